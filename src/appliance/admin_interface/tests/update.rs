//! The page of updates, its forms, and what the overview says of them. The agent is a fake one behind the real
//! protocol.

use std::sync::Arc;

use axum::{body::Body, http::Request as HttpRequest};
use lucid_agent_protocol::{
    Refusal, RefusalCode, Reply, Request,
    update::{
        Attempt, Cause, ChannelReport, EepromAttempt, EepromReport, Incoming, Offer, Outcome, Phase, Quarantined,
        Selftest, SlotReport, TrustReport, TrybootWay, UpdateReport,
    },
};
use lucid_device::{FakeClock, Reading};
use lucid_http::{CertificateNames, DeviceCertificate};
use lucid_kit::{Board, Life, Spec, supervise, wire};
use lucid_layout::{
    Digest, EepromRelease, Release, Slot,
    update::{DATA, Standing},
};
use lucid_ports::Storage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::fakes::{Bench, Browser, Fakes, HOSTILE, NOW_MS, bench, bench_of, bench_with};
use crate::{
    AgentLink, Boot, Update, UpdateStatus, Updates,
    agent_link::tests::FakeAgent,
    update::{self, ChannelState, ChannelStatus, Settings, Source, Transfer},
};

const PASSWORD: &str = "correct horse battery";

fn release(version: &str) -> Release {
    let (build_id, root_hash) = (Digest([1; 32]), Digest([2; 32]));
    Release { version: version.to_owned(), build_id, root_hash, epoch: 3, data: DATA }
}

fn incoming() -> Incoming {
    let (build_id, bundle) = (Digest([3; 32]), Digest([4; 32]));
    Incoming { version: "1.3.0".to_owned(), build_id, bundle, slot: Slot::B, notes: format!("faster {HOSTILE}") }
}

/// Slot A runs and is kept; B holds an older release.
fn report(phase: Phase) -> UpdateReport {
    let good = |version: &str| Standing::Good { version: version.to_owned(), build_id: Digest([1; 32]), data: DATA };
    let slot =
        |slot, version: &str| SlotReport { slot, release: Reading::Present(release(version)), standing: good(version) };
    UpdateReport {
        running: Some(Slot::A),
        trial: false,
        remark: None,
        committed: Reading::Present(Slot::A),
        slots: vec![slot(Slot::A, "1.2.0"), slot(Slot::B, "1.1.0")],
        phase,
        history: Vec::new(),
        quarantine: Vec::new(),
        trust: TrustReport { root_version: Some(1), keys_version: Some(4), is_test: false, problem: None },
        tryboot: TrybootWay::Mailbox,
        eeprom_s: Reading::Present(1_760_000_000),
        eeprom: EepromReport { carried: Reading::absent("the image carries none"), hindrance: None, last: None },
        epoch_floor: 3,
        selftest: None,
    }
}

/// The same with a newer EEPROM in the image than on the board.
fn carrying(phase: Phase) -> UpdateReport {
    let release = EepromRelease {
        build_s: 1_779_753_600,
        version: "ab".repeat(20),
        sha256: Digest([9; 32]),
        settings: format!("[all]\nBOOT_UART=1\n# {HOSTILE}\n"),
    };
    let eeprom = EepromReport { carried: Reading::Present(release), hindrance: None, last: None };
    UpdateReport { eeprom, ..report(phase) }
}

fn taken_back() -> Attempt {
    let why = format!("session-storage was not healthy: {HOSTILE}. Look at its log");
    let outcome = Outcome::RolledBack { cause: Cause::Service, why, log: vec![format!("panicked {HOSTILE}")] };
    Attempt { at_ms: NOW_MS, version: "1.3.0".to_owned(), build_id: None, slot: Slot::B, outcome }
}

fn attempt(outcome: Outcome) -> Attempt {
    Attempt { outcome, ..taken_back() }
}

fn told(report: UpdateReport) -> Arc<UpdateStatus> {
    Arc::new(UpdateStatus { agent: Some(report), ..UpdateStatus::default() })
}

/// With an agent that nobody asks, because the status says what it would.
fn shown(status: Arc<UpdateStatus>) -> Bench {
    let bench = bench_of(Boot::NotAnAppliance, AgentLink::new(Some("/nonexistent/agent.sock".as_ref())));
    bench.updates.send_replace(status);
    bench
}

#[tokio::test]
async fn both_slots_are_shown_with_which_one_runs_and_why() {
    let bench = shown(told(report(Phase::Idle {})));
    let mut browser = bench.logged_in("ada").await;
    let page = browser.get("/updates").await.body;
    for part in ["Slot A", "Slot B", "1.2.0", "1.1.0", "because it is the one that is kept", "No update is under way"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Test keys") && !page.contains("too old for updates") && !page.contains("update-title"));
    let overview = browser.get("/").await.body;
    assert!(!overview.contains("update-title"), "{overview}");

    let mut odd = report(Phase::Idle {});
    odd.remark = Some(format!("the other one was left {HOSTILE}"));
    odd.trust =
        TrustReport { root_version: None, keys_version: None, is_test: true, problem: Some(HOSTILE.to_owned()) };
    odd.eeprom_s = Reading::Present(1_720_000_000);
    odd.slots[1].standing = Standing::Unfit { reason: format!("half written {HOSTILE}") };
    odd.slots[1].release = Reading::failed(HOSTILE);
    odd.tryboot = TrybootWay::ArgumentOnly { reason: "a virtual machine".to_owned() };
    odd.selftest = Some(Selftest { at_ms: NOW_MS, passed: false, text: HOSTILE.to_owned() });
    odd.quarantine =
        vec![Quarantined { version: "1.3.0".to_owned(), build_id: Digest([3; 32]), at_ms: NOW_MS, failures: 2 }];
    bench.updates.send_replace(told(odd));
    let page = browser.get("/updates").await.body;
    for part in [
        "The other one was left",
        "Test keys.",
        "too old for updates",
        "Raspberry Pi Imager",
        "not bootable by itself",
        "asked for by the restart alone",
        "2 times",
        "none: no update is taken",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(HOSTILE), "{page}");
}

#[tokio::test]
async fn a_release_that_was_taken_back_is_said_to_be_that_everywhere() {
    let mut after = report(Phase::Idle {});
    after.history = vec![taken_back(), attempt(Outcome::Committed {})];
    let bench = shown(told(after.clone()));
    for (name, path) in [("ada", "/updates"), ("ada", "/"), ("bob", "/")] {
        let page = bench.logged_in(name).await.get(path).await.body;
        assert!(page.contains("Version 1.3.0 was tried and taken back"), "{path}: {page}");
        assert!(page.contains("Now 1.2.0 runs."), "{path}: {page}");
        assert!(!page.contains(HOSTILE), "{path}: {page}");
    }
    let page = bench.logged_in("ada").await.get("/updates").await.body;
    assert!(page.contains("because a service was not healthy") && page.contains("Its last words"), "{page}");

    // What was given up before it was tried does not hide it; what went well does.
    after.history.insert(0, attempt(Outcome::Discarded { why: "as ordered".to_owned() }));
    bench.updates.send_replace(told(after.clone()));
    assert!(bench.logged_in("bob").await.get("/").await.body.contains("was tried and taken back"));
    after.history.insert(0, attempt(Outcome::Committed {}));
    bench.updates.send_replace(told(after.clone()));
    assert!(!bench.logged_in("bob").await.get("/").await.body.contains("was tried and taken back"));
    for (outcome, words) in [
        (Outcome::LeftAfterFailedBoots { failed_boots: 3 }, "did not become ready in 3 starts"),
        (Outcome::Repaired { why: "autoboot.txt was empty".to_owned() }, "Autoboot.txt was empty"),
    ] {
        after.history.insert(0, attempt(outcome));
        bench.updates.send_replace(told(after.clone()));
        let page = bench.logged_in("bob").await.get("/").await.body;
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test]
async fn progress_is_shown_in_steps_and_bytes_and_never_as_done() {
    let bytes = |active| Phase::Writing { incoming: incoming(), offset: 64_000_000, bundle_bytes: 300_000_000, active };
    let phases = [
        (bytes(true), "Send", "64.0 MB of 300.0 MB are safe"),
        (bytes(false), "Send", "Send the same file again"),
        (
            Phase::Checking { incoming: incoming(), checked_bytes: 1_000_000, of_bytes: 2_000_000 },
            "Check",
            "1.0 MB of 2.0 MB",
        ),
        (Phase::Written { incoming: incoming() }, "Install", "It is not installed yet"),
        (Phase::Armed { incoming: Some(incoming()) }, "Restart", "is started on trial"),
        (
            Phase::Trying { incoming: None, fit_for_s: Some(20), soak_s: 180, waiting_for: vec![] },
            "Trial",
            "fit for 20 of 180 s",
        ),
        (
            Phase::Trying {
                incoming: None,
                fit_for_s: None,
                soak_s: 180,
                waiting_for: vec![format!("the chain {HOSTILE}")],
            },
            "Trial",
            "The chain",
        ),
    ];
    let bench = shown(Arc::default());
    let mut browser = bench.logged_in("dev").await;
    assert!(browser.get("/updates").await.body.contains("The agent is being asked"));
    for (phase, step, words) in phases {
        let is_trial = matches!(phase, Phase::Trying { .. } | Phase::Armed { .. });
        bench.updates.send_replace(told(report(phase)));
        let page = browser.get("/updates").await.body;
        assert!(page.contains(&format!("aria-current=\"step\">{step}<")), "{step}: {page}");
        assert!(page.contains(words) && !page.contains(HOSTILE) && !page.contains("was installed"), "{words}: {page}");
        assert_eq!(browser.get("/").await.body.contains("update-title"), is_trial, "{step}");
    }
}

#[tokio::test]
async fn channel_transfer_and_waiting_are_shown() {
    let offer = Offer {
        version: "1.4.0".to_owned(),
        build_id: Digest([5; 32]),
        epoch: 3,
        url: "https://x.example/b".to_owned(),
        bytes: 120_000_000,
        bundle: Digest([6; 32]),
        percent: 10,
        hold: true,
        notes: HOSTILE.to_owned(),
        refused: None,
    };
    let channel = ChannelStatus {
        state: ChannelState::Stale,
        checked_ms: Some(NOW_MS),
        news_ms: Some(NOW_MS),
        text: "no trusted news for 9 days".to_owned(),
        report: Some(ChannelReport { sequence: 7, issued_s: 1, expires_s: 2, offers: vec![offer] }),
    };
    let settings = Settings {
        channel: Some("https://x.example/channel".parse().unwrap()),
        automatic: true,
        window: Some("02:00-05:00".parse().unwrap()),
        ..Settings::default()
    };
    let transfer = Transfer {
        source: Source::Automatic,
        url: None,
        done_bytes: 5_000_000,
        of_bytes: Some(9_000_000),
        active: false,
        problem: Some("the server hung up: it is tried again".to_owned()),
    };
    let status = UpdateStatus {
        agent: Some(report(Phase::Written { incoming: incoming() })),
        settings,
        channel,
        transfer: Some(transfer),
        waiting: Some("2 recordings are running: the restart waits for them".to_owned()),
        ..UpdateStatus::default()
    };
    let bench = shown(Arc::new(status));
    let page = bench.logged_in("ada").await.get("/updates").await.body;
    for part in [
        "No trusted news for 9 days",
        "1.4.0",
        "Its makers hold it back",
        "a new release is installed between 02:00-05:00 (UTC)",
        "2 recordings are running",
        "Fetched by itself, and not complete: The server hung up",
        "in the window, 02:00-05:00 (UTC)",
        "Ask for new releases now",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(HOSTILE), "{page}");
}

#[tokio::test]
async fn who_sees_what() {
    let bench = shown(told(carrying(Phase::Written { incoming: incoming() })));
    let page = bench.logged_in("ada").await.get("/updates").await.body;
    for form in ["install", "rollback", "selftest", "eeprom", "discard", "bundle", "pull"] {
        assert!(page.contains(&format!("action=\"/updates/{form}\"")), "{form}: {page}");
    }
    let page = bench.logged_in("dev").await.get("/updates").await.body;
    assert!(page.contains("Slot A") && !page.contains("action=\"/updates/"), "{page}");
    let mut bob = bench.logged_in("bob").await;
    assert_eq!(bob.get("/updates").await.status, 403);
    assert!(!bob.get("/").await.body.contains("href=\"/updates\""));
    let none = bench_of(Boot::NotAnAppliance, AgentLink::new(None)).logged_in("ada").await.get("/updates").await;
    assert!(none.body.contains("This machine has no agent") && !none.body.contains("/updates/bundle"), "{}", none.body);
    let problem = Some("nobody listens: restart the appliance".to_owned());
    bench.updates.send_replace(Arc::new(UpdateStatus { agent_problem: problem, ..UpdateStatus::default() }));
    let page = bench.logged_in("dev").await.get("/updates").await.body;
    assert!(page.contains("nobody listens"), "{page}");
}

#[tokio::test]
async fn the_eeprom_is_shown_with_what_happens_before_anybody_consents() {
    let bench = shown(told(carrying(Phase::Idle {})));
    let mut admin = bench.logged_in("ada").await;
    let page = admin.get("/updates").await.body;
    for part in [
        "of 2025-10-09<",
        "of 2026-05-26<",
        "[all]\nBOOT_UART=1\n#",
        "restarts twice",
        "The settings on the board are lost",
        "The power must not fail while it writes",
        "Raspberry Pi Imager",
        "has not been tried on a real board yet",
        "name=\"build_s\" value=\"1779753600\"",
        "name=\"consent\" value=\"yes\" required",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(HOSTILE), "{page}");
    let page = bench.logged_in("dev").await.get("/updates").await.body;
    assert!(page.contains("An administrator can install it") && !page.contains("/updates/eeprom"), "{page}");

    let busy = Phase::Armed { incoming: None };
    bench.updates.send_replace(told(carrying(busy)));
    let page = admin.get("/updates").await.body;
    assert!(page.contains("once nothing else is under way") && !page.contains("/updates/eeprom"), "{page}");
    for (done, badge) in [(true, "installed"), (false, "not installed")] {
        let mut after = carrying(Phase::Idle {});
        after.eeprom.hindrance = Some(format!("the board has it {HOSTILE}"));
        let text = format!("the firmware said nothing {HOSTILE}");
        after.eeprom.last = Some(EepromAttempt { at_ms: NOW_MS, build_s: 1_779_753_600, done, text });
        bench.updates.send_replace(told(after));
        let page = admin.get("/updates").await.body;
        for part in
            [&format!(" {badge}</span>"), "It can't be installed now: The board has it", "The firmware said nothing"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("/updates/eeprom") && !page.contains(HOSTILE), "{page}");
    }
    let mut old = carrying(Phase::Idle {});
    old.eeprom_s = Reading::Present(1_720_000_000);
    bench.updates.send_replace(told(old));
    let page = admin.get("/updates").await.body;
    assert!(
        page.contains("too old for updates") && page.contains("the one installed that this image carries"),
        "{page}"
    );
    let mut odd = carrying(Phase::Idle {});
    odd.eeprom.carried = Reading::failed(HOSTILE);
    odd.eeprom_s = Reading::failed(HOSTILE);
    bench.updates.send_replace(told(odd));
    let page = admin.get("/updates").await.body;
    assert!(page.contains("can't be read: ") && !page.contains(HOSTILE), "{page}");
    bench.updates.send_replace(told(report(Phase::Idle {})));
    let page = admin.get("/updates").await.body;
    assert!(page.contains("none: the image carries none") && !page.contains("/updates/eeprom"), "{page}");
}

#[tokio::test]
async fn the_eeprom_is_not_installed_without_consent_to_this_release() {
    let agent = agent(false);
    let running = running(&agent).await;
    let mut admin = running.bench.logged_in("ada").await;
    let build = ("build_s", "1779753600");
    for (fields, words) in [
        (vec![build], "tick that you consent"),
        (vec![build, ("consent", "")], "tick that you consent"),
        (vec![build, ("consent", "on")], "tick that you consent"),
        (vec![("consent", "yes")], "does not say which EEPROM"),
        (vec![("build_s", "-1"), ("consent", "yes")], "does not say which EEPROM"),
        (vec![("build_s", HOSTILE), ("consent", "yes")], "does not say which EEPROM"),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([("password", PASSWORD)]).collect();
        let refused = post(&mut admin, "/updates/eeprom", &fields).await;
        assert!(refused.status == 422 && refused.body.contains(words), "{fields:?}: {}", refused.body);
    }
    assert_eq!(orders(&agent), []);
    assert_eq!(running.bench.fakes.with(|world| world.notes.len()), 0);
}

/// The page over the service of updates and an agent with a release that is written.
struct Running {
    bench: Bench,
    stop: CancellationToken,
    _state: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const SPEC: Spec =
    Spec { name: "update", purpose: "tests", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

async fn running(agent: &FakeAgent) -> Running {
    let state = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(NOW_MS);
    let names = CertificateNames::new("lucid.local", []);
    let certificate = DeviceCertificate::open(&state.path().join("tls"), &names, now, now).unwrap();
    let (handle, wired) = wire::<Update>();
    let (desk, slot) = lucid_kit::slot("update");
    let (board, stop) = (Board::default(), CancellationToken::new());
    let deps = update::Deps {
        agent: agent.link(),
        board: board.clone(),
        logs: Arc::new(Fakes::default()),
        clock: Arc::new(FakeClock::new(NOW_MS)),
        accounts: Arc::new(Fakes::default()),
        storage: watch::channel(Storage::Waiting { reason: "no disk".to_owned() }).1,
        recordings: Arc::new(|| 0),
        addresses: Arc::new(|| Ok(Vec::new())),
        ca_pem: certificate.ca_pem().into(),
        id: [7; 32],
        supervisor: "test".to_owned(),
        state_dir: state.path().to_owned(),
        desk,
    };
    drop(supervise(SPEC, wired, Settings::default(), deps, Vec::new(), &board, stop.clone()));
    let updates = Updates::new(slot, &handle);
    handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
    updates.watch().wait_for(|status| status.agent.is_some()).await.unwrap();
    let bench = bench_with(Boot::NotAnAppliance, agent.link(), Some(updates));
    Running { bench, stop, _state: state }
}

fn agent(refuses: bool) -> FakeAgent {
    FakeAgent::start(move |request| {
        Some(match request {
            Request::UpdateStatus {} => Reply::Update(Box::new(report(Phase::Written { incoming: incoming() }))),
            Request::Bundle { .. } => {
                Reply::Refused(Refusal::new(RefusalCode::Untrusted, format!("no trusted key signed it {HOSTILE}")))
            }
            _ if refuses => Reply::Refused(Refusal::new(RefusalCode::WrongState, "the board is too hot: let it cool")),
            _ => Reply::Accepted,
        })
    })
}

fn orders(agent: &FakeAgent) -> Vec<Request> {
    let asked = agent.asked.lock().unwrap();
    let is_order =
        |request: &&Request| !matches!(request, Request::UpdateStatus {} | Request::Gate { .. } | Request::Status {});
    asked.iter().filter(is_order).cloned().collect()
}

async fn post(browser: &mut Browser, to: &str, fields: &[(&str, &str)]) -> super::fakes::Reply {
    let csrf = browser.get("/account").await.csrf();
    let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    browser.post(to, &fields).await
}

#[tokio::test]
async fn what_changes_the_system_takes_an_administrator_a_form_of_ours_and_the_password() {
    let agent = agent(false);
    let running = running(&agent).await;
    let mut admin = running.bench.logged_in("ada").await;
    let mut developer = running.bench.logged_in("dev").await;
    let given = [("when", "now"), ("url", "https://x.example/b"), ("build_s", "1779753600"), ("consent", "yes")];
    let with = |password| given.into_iter().chain([("password", password)]).collect::<Vec<_>>();
    let (fields, wrong) = (with(PASSWORD), with("not the password"));
    for to in ["/updates/install", "/updates/rollback", "/updates/selftest", "/updates/eeprom", "/updates/pull"] {
        assert_eq!(admin.post(to, &fields).await.status, 403, "{to}: without the form's token");
        assert_eq!(post(&mut developer, to, &fields).await.status, 403, "{to}: a developer");
        let refused = post(&mut admin, to, &wrong).await;
        assert!(refused.status == 422 && refused.body.contains("password is wrong"), "{to}: {}", refused.body);
        assert_eq!(post(&mut admin, to, &given).await.status, 422, "{to}: without a password");
        assert_eq!(running.bench.browser().post(to, &fields).await.status, 303, "{to}: nobody");
    }
    for to in ["/updates/check", "/updates/discard"] {
        assert_eq!(admin.post(to, &[]).await.status, 403, "{to}: without the form's token");
        assert_eq!(post(&mut developer, to, &[]).await.status, 403, "{to}: a developer");
    }
    assert_eq!(orders(&agent), []);
    assert_eq!(running.bench.fakes.with(|world| world.notes.len()), 0, "what was not done is not on record as done");

    for to in ["/updates/install", "/updates/rollback", "/updates/selftest", "/updates/eeprom", "/updates/discard"] {
        let done = post(&mut admin, to, &fields).await;
        assert_eq!(done.status, 303, "{to}: {}", done.body);
        let page = admin.get(done.header("location")).await.body;
        assert!(page.contains("role=\"status\"") && !page.contains("was installed"), "{to}: {page}");
    }
    let asked = orders(&agent);
    let is_right = matches!(
        asked.as_slice(),
        [
            Request::InstallUpdate { soak_s: 180 },
            Request::ReturnToOther { soak_s: 180 },
            Request::Selftest {},
            Request::InstallEeprom { build_s: 1_779_753_600 },
            Request::DiscardUpdate {}
        ]
    );
    assert!(is_right, "{asked:?}");
    let notes =
        running.bench.fakes.with(|world| world.notes.iter().map(|note| note.action.clone()).collect::<Vec<_>>());
    let expected = ["update installed", "update returned", "update self-test", "update EEPROM", "update discarded"];
    assert_eq!(notes, expected);
    let notes = running.bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("release of 2026-05-26"), "{notes}");
    assert!(notes.contains("192.0.2.7") && !notes.contains(PASSWORD), "{notes}");
}

#[tokio::test]
async fn what_is_not_done_is_shown_in_its_words_and_put_on_record() {
    let agent = agent(true);
    let running = running(&agent).await;
    let mut admin = running.bench.logged_in("ada").await;
    let refused = post(&mut admin, "/updates/install", &[("when", "now"), ("password", PASSWORD)]).await;
    assert!(refused.status == 409 && refused.body.contains("The board is too hot: let it cool"), "{}", refused.body);
    let notes = running.bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("not done: the board is too hot"), "{notes}");
    let window = post(&mut admin, "/updates/install", &[("when", "window"), ("password", PASSWORD)]).await;
    assert!(window.status == 409 && window.body.contains("No window is set"), "{}", window.body);
    let check = post(&mut admin, "/updates/check", &[]).await;
    assert!(check.status == 409 && check.body.contains("No channel is set"), "{}", check.body);
    for fields in [[("when", "later"), ("password", PASSWORD)], [("url", "ftp://x"), ("password", PASSWORD)]] {
        let to = if fields[0].0 == "url" { "/updates/pull" } else { "/updates/install" };
        assert_eq!(post(&mut admin, to, &fields).await.status, 422, "{fields:?}");
    }
    let mut alone = bench().logged_in("ada").await;
    let refused = post(&mut alone, "/updates/selftest", &[("password", PASSWORD)]).await;
    assert_eq!(refused.status, 503, "the service does not run: {}", refused.body);
}

#[tokio::test]
async fn the_password_makes_the_log_in_fresh_for_the_script() {
    let bench = shown(told(report(Phase::Idle {})));
    let mut admin = bench.logged_in("ada").await;
    let before = admin.cookies.clone();
    let wrong = post(&mut admin, "/updates/sign-in", &[("password", "wrong")]).await;
    assert!(wrong.status == 422 && wrong.body.contains("\"detail\":"), "{}", wrong.body);
    let slow = post(&mut admin, "/updates/sign-in", &[("password", "throttle me")]).await;
    assert_eq!((slow.status, slow.header("retry-after")), (429, "7"));
    assert_eq!(admin.cookies, before);
    assert_eq!(admin.post("/updates/sign-in", &[("password", PASSWORD)]).await.status, 403, "without the form's token");
    let done = post(&mut admin, "/updates/sign-in", &[("password", PASSWORD)]).await;
    assert!(done.status == 204 && admin.cookies != before, "{}", done.body);
    assert_eq!(bench.fakes.with(|world| world.revoked.len()), 1, "the former log-in has ended");
    assert_eq!(admin.get("/updates").await.status, 200);
    let refused = post(&mut bench.logged_in("dev").await, "/updates/sign-in", &[("password", PASSWORD)]).await;
    assert_eq!(refused.status, 403);
}

/// Sends the form as a browser without JavaScript does.
async fn send_file(browser: &mut Browser, fields: &[(&str, &str)]) -> super::fakes::Reply {
    let part = |(name, value): &(&str, &str)| {
        let file = if *name == "file" { "; filename=\"a.bundle\"" } else { "" };
        format!("--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
    };
    let body = fields.iter().map(part).collect::<String>() + "--x--\r\n";
    let request = HttpRequest::post("/updates/bundle")
        .header("content-type", "multipart/form-data; boundary=x")
        .header("sec-fetch-site", "same-origin")
        .body(Body::from(body));
    browser.send(request.unwrap()).await
}

#[tokio::test]
async fn a_bundle_from_a_plain_form_takes_token_and_password_before_its_first_byte() {
    let agent = agent(false);
    let running = running(&agent).await;
    let mut admin = running.bench.logged_in("ada").await;
    let csrf = admin.get("/account").await.csrf();
    let (token, password, file) = (("csrf", csrf.as_str()), ("password", PASSWORD), ("file", "LUCIDUP1 and more"));
    assert_eq!(send_file(&mut admin, &[password, file]).await.status, 403, "without the form's token");
    assert_eq!(send_file(&mut admin, &[("csrf", "00"), password, file]).await.status, 403, "with another token");
    assert_eq!(send_file(&mut admin, &[token, file]).await.status, 422, "without a password");
    assert_eq!(send_file(&mut admin, &[token, ("password", "wrong"), file]).await.status, 422);
    assert_eq!(send_file(&mut admin, &[token, password]).await.status, 400, "without a file");
    assert_eq!(send_file(&mut admin, &[token, ("odd", "x"), file]).await.status, 400);
    assert_eq!(send_file(&mut running.bench.logged_in("dev").await, &[token, password, file]).await.status, 403);
    assert_eq!(orders(&agent), []);
    let refused = send_file(&mut admin, &[token, password, file]).await;
    assert!(refused.status == 409 && refused.body.contains("No trusted key signed it"), "{}", refused.body);
    assert!(!refused.body.contains(HOSTILE), "{}", refused.body);
    assert!(matches!(orders(&agent).as_slice(), [Request::Bundle { offset: 0, bundle: None, automatic: false }]));
    let notes = running.bench.fakes.with(|world| format!("{:?}", world.notes));
    assert!(notes.contains("update sent") && notes.contains("not done: no trusted key"), "{notes}");
}
