use super::*;

const SOAK_S: u64 = 60;

fn before() -> Circumstances {
    Circumstances {
        links: vec!["eth0".to_owned()],
        addressed: vec!["eth0".to_owned()],
        data_disk: Some("1234".to_owned()),
    }
}

fn report(faults: Vec<Fault>) -> GateReport {
    GateReport { supervisor: "one".to_owned(), restarts: 2, faults }
}

fn fit() -> GateReport {
    report(vec![])
}

fn fault(cause: Cause, service: Option<&str>) -> Fault {
    Fault { cause, service: service.map(str::to_owned), why: "no answer".to_owned(), log: vec!["last".to_owned()] }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A gate that is fit from second 30 on, reported to every 2 s until `until`, excluded.
fn soaking(until: u64) -> Gate {
    let mut gate = Gate::new(SOAK_S, before());
    assert_eq!(gate.looked(s(1), &Ok(Circumstances::default())), Verdict::Waiting);
    for now in (30..until).step_by(2) {
        assert_eq!(gate.heard(s(now), fit(), &Ok(before())), Verdict::Soaking, "{now}");
        assert_eq!(gate.looked(s(now + 1), &Ok(before())), Verdict::Soaking, "{now}");
    }
    gate
}

#[track_caller]
fn rolled_back(verdict: &Verdict) -> (Cause, &str, &[String]) {
    let Verdict::RollBack(failure) = verdict else { panic!("{verdict:?}") };
    (failure.cause, &failure.why, &failure.log)
}

#[test]
fn a_release_that_is_fit_throughout_is_kept_after_a_fresh_report() {
    let mut gate = soaking(90);
    assert_eq!((gate.fit_for(s(89)), gate.soak()), (Some(s(59)), s(60)));
    assert_eq!(gate.looked(s(90), &Ok(before())), Verdict::Soaking, "the last report is from before the end");
    assert_eq!(gate.looked(s(95), &Ok(before())), Verdict::Soaking);
    assert_eq!(gate.heard(s(96), fit(), &Ok(before())), Verdict::Commit);
    let bad = report(vec![fault(Cause::Service, None)]);
    assert_eq!(gate.heard(s(98), bad, &Ok(Circumstances::default())), Verdict::Commit, "it is final");
}

/// Something that goes wrong, what is said and seen then, and which words name it.
type Case = (&'static str, Option<GateReport>, Seen, Cause, &'static str);

fn faults() -> Vec<Case> {
    let seen = || Ok(before());
    let heard = |faults| Some(report(faults));
    let less = |change: fn(&mut Circumstances)| {
        let mut seen = before();
        change(&mut seen);
        Ok(seen)
    };
    let another = GateReport { supervisor: "two".to_owned(), ..fit() };
    let restarted = GateReport { restarts: 3, ..fit() };
    let restarted_and_bad = GateReport { restarts: 3, ..report(vec![fault(Cause::Service, Some("mongodb"))]) };
    let service = heard(vec![fault(Cause::Service, Some("session-api"))]);
    vec![
        ("a service", service, seen(), Cause::Service, "session-api: no answer"),
        ("https", heard(vec![fault(Cause::Network, None)]), seen(), Cause::Network, "no answer"),
        ("disk, as the supervisor sees it", heard(vec![fault(Cause::DataDisk, None)]), seen(), Cause::DataDisk, "no"),
        ("a cause it can't know", heard(vec![fault(Cause::Panic, None)]), seen(), Cause::Service, "no answer"),
        ("another supervisor", Some(another), seen(), Cause::Restarted, "process of all services"),
        ("a restart", Some(restarted), seen(), Cause::Restarted, "a service was started again"),
        ("a restart with a fault", Some(restarted_and_bad), seen(), Cause::Restarted, "mongodb: no answer"),
        ("link", None, less(|seen| seen.links.clear()), Cause::Network, "link eth0 was up before"),
        ("address", None, less(|seen| seen.addressed.clear()), Cause::Network, "eth0 had an address"),
        ("data disk", None, less(|seen| seen.data_disk = None), Cause::DataDisk, "1234 was mounted before"),
        (
            "another disk",
            Some(fit()),
            less(|seen| seen.data_disk = Some("other".to_owned())),
            Cause::DataDisk,
            "1234 was mounted before",
        ),
        ("no look", None, Err("no netlink".to_owned()), Cause::Network, "no netlink"),
    ]
}

#[test]
fn whatever_goes_wrong_while_it_is_fit_takes_it_back_at_once() {
    // At once after it was fit, in the middle, a second before the end, and at the end.
    for until in [32, 60, 88, 90] {
        for (what, said, seen, cause, words) in faults() {
            let mut gate = soaking(until);
            let now = s(until + 1);
            let verdict = match said {
                Some(report) => gate.heard(now, report, &seen),
                None => gate.looked(now, &seen),
            };
            let (found, why, _) = rolled_back(&verdict);
            assert!(found == cause && why.contains(words), "{what} at {until}: {verdict:?}");
            assert_eq!(gate.heard(now + s(1), fit(), &Ok(before())), verdict, "{what}: it is final");
        }
    }
}

#[test]
fn silence_takes_it_back() {
    let mut gate = soaking(60);
    assert_eq!(gate.looked(s(58) + SILENCE_MAX, &Ok(before())), Verdict::Soaking);
    let mut late = soaking(60);
    assert_eq!(rolled_back(&gate.looked(s(59) + SILENCE_MAX, &Ok(before()))).0, Cause::Watchdog);
    let verdict = late.heard(s(59) + SILENCE_MAX, fit(), &Ok(before()));
    assert!(rolled_back(&verdict).1.contains("silent for 21 s"), "a late report is no excuse: {verdict:?}");
    let mut end = soaking(90);
    assert_eq!(rolled_back(&end.looked(s(88 + 21), &Ok(before()))).0, Cause::Watchdog, "no report after the end");
}

#[test]
fn before_it_is_fit_everything_may_still_come() {
    let mut gate = Gate::new(SOAK_S, before());
    assert_eq!(gate.waiting_for(), ["the services are starting"]);
    let mut seen = Circumstances::default();
    for (now, what) in [(1, "one"), (5, "two")] {
        let bad = GateReport { supervisor: what.to_owned(), ..report(vec![fault(Cause::Service, Some("mongodb"))]) };
        assert_eq!(gate.heard(s(now), bad, &Ok(seen.clone())), Verdict::Waiting);
    }
    assert_eq!(gate.waiting_for(), ["mongodb: no answer", "the network link eth0 was up before, and is down"]);
    seen.links = before().links;
    assert_eq!(gate.heard(s(100), fit(), &Ok(seen.clone())), Verdict::Waiting, "long silences, no address yet");
    assert_eq!(gate.fit_for(s(100)), None);
    seen = before();
    seen.links.push("usb0".to_owned());
    assert_eq!(gate.looked(s(110), &Ok(seen.clone())), Verdict::Waiting, "only a report makes it fit");
    assert_eq!(gate.heard(s(120), fit(), &Ok(seen)), Verdict::Soaking, "more than before is no fault");
}

#[test]
fn one_that_is_never_fit_is_taken_back_at_the_deadline() {
    let deadline = fit_within(s(SOAK_S));
    assert_eq!((fit_within(s(10)), deadline, fit_within(s(180))), (s(150), s(300), FIT_WITHIN_MAX));
    let last = deadline - s(1);
    let check = |said: Option<GateReport>, seen: Seen, cause: Cause, words: &str| {
        let mut gate = Gate::new(SOAK_S, before());
        if let Some(report) = said.clone() {
            assert_eq!(gate.heard(last, report, &seen), Verdict::Waiting);
        }
        assert_eq!(gate.looked(last, &seen), Verdict::Waiting);
        let verdict = gate.looked(deadline, &seen);
        let (found, why, _) = rolled_back(&verdict);
        assert!(found == cause && why.starts_with("not fit within 300 s: ") && why.contains(words), "{verdict:?}");
    };
    check(None, Ok(before()), Cause::NotReady, "did not come up");
    check(None, Ok(Circumstances::default()), Cause::Network, "eth0");
    let bad = report(vec![fault(Cause::Service, Some("mongodb"))]);
    check(Some(bad), Ok(Circumstances::default()), Cause::Service, "mongodb: no answer");
    let no_disk = Circumstances { data_disk: None, ..before() };
    check(Some(fit()), Ok(no_disk), Cause::DataDisk, "1234");
    // Fit too late.
    let mut gate = Gate::new(SOAK_S, before());
    assert!(matches!(gate.heard(deadline, fit(), &Ok(before())), Verdict::RollBack(_)));
}

#[test]
fn the_soak_is_bounded() {
    assert_eq!(Gate::new(0, before()).soak(), s(5));
    assert_eq!(Gate::new(u64::MAX, before()).soak(), s(3600));
    assert_eq!(Gate::new(7, before()).soak(), s(7));
}

#[test]
fn what_a_hostile_supervisor_says_is_cut() {
    let long = "ä".repeat(10_000);
    let hostile = Fault { cause: Cause::Service, service: Some(long.clone()), why: long.clone(), log: vec![long; 50] };
    let mut gate = soaking(40);
    let verdict = gate.heard(s(40), report(vec![hostile; 20]), &Ok(before()));
    let (_, why, log) = rolled_back(&verdict);
    assert!(why.len() <= WHY_BYTES_MAX && log.len() == LOG_LINES_MAX, "{} {}", why.len(), log.len());
    assert!(log.iter().all(|line| line.len() <= 300));
    assert_eq!(gate.faults().len(), 16);
}

proptest::proptest! {
    /// Whatever is said and seen, and when: kept is only what was fit from one report to a later one, a soak apart.
    #[test]
    fn nothing_is_kept_that_was_not_fit_throughout(steps in proptest::collection::vec((0u64..15, 0u8..8), 1..80)) {
        let mut gate = Gate::new(5, before());
        let (mut now, mut fit_since) = (0, None);
        for (pause, kind) in steps {
            now += pause;
            let seen = if kind == 0 { Ok(Circumstances::default()) } else { Ok(before()) };
            let verdict = match kind {
                1 => gate.looked(s(now), &seen),
                2 => gate.heard(s(now), report(vec![fault(Cause::Service, None)]), &seen),
                _ => gate.heard(s(now), fit(), &seen),
            };
            match verdict {
                Verdict::Commit => {
                    let since: u64 = fit_since.expect("it was fit");
                    proptest::prop_assert!(now - since >= 5 && !matches!(kind, 0..=2));
                    return Ok(());
                }
                Verdict::Soaking => fit_since = fit_since.or(Some(now)),
                Verdict::Waiting => proptest::prop_assert_eq!(fit_since, None),
                Verdict::RollBack(_) => return Ok(()),
            }
        }
    }
}
