//! Staying with an update over the restarts of the appliance.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::bench::Bench;
use crate::bench::Words;

fn limits() -> FollowLimits {
    FollowLimits { poll: Duration::from_millis(1), ..FollowLimits::default() }
}

/// How updates are, with this phase and these attempts.
fn told(phase: Value, history: &[Value]) -> Value {
    json!({ "agent": { "running": "a", "phase": phase, "history": history } })
}

fn attempt(at_ms: u64, version: &str, outcome: Value) -> Value {
    json!({ "at_ms": at_ms, "version": version, "slot": "b", "outcome": outcome })
}

fn idle() -> Value {
    json!({ "phase": "idle" })
}

fn armed() -> Value {
    json!({ "phase": "armed", "incoming": { "version": "1.3.0" } })
}

fn trying(fit_for_s: Option<u64>, waiting_for: &[&str]) -> Value {
    json!({ "phase": "trying", "incoming": { "version": "1.3.0" }, "fit_for_s": fit_for_s, "soak_s": 180,
            "waiting_for": waiting_for })
}

fn old() -> Value {
    attempt(1, "1.2.0", json!({ "outcome": "committed" }))
}

async fn run(before: Value, script: Vec<Option<Value>>, limits: &FollowLimits) -> (Ending, String) {
    let bench = Bench::new().await;
    bench.world().script.extend(script);
    let words = Words::default();
    let before = serde_json::from_value(before).unwrap();
    let ending = follow(&bench.client(), &words, &before, limits).await.unwrap();
    (ending, words.all())
}

#[tokio::test]
async fn a_release_that_is_kept_is_followed_over_the_restart() {
    let kept = attempt(2, "1.3.0", json!({ "outcome": "committed" }));
    let script = vec![
        Some(told(armed(), &[old()])),
        None,
        None,
        Some(told(trying(None, &["the chain is starting", "the disk"]), &[old()])),
        Some(told(trying(Some(20), &[]), &[old()])),
        Some(told(trying(Some(20), &[]), &[old()])),
        Some(told(idle(), &[kept, old()])),
    ];
    let (ending, said) = run(told(idle(), &[old()]), script, &limits()).await;
    assert_eq!(ending, Ending::Kept { version: "1.3.0".to_owned() });
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "the appliance restarts into 1.3.0, on trial",
            "the appliance does not answer: it restarts",
            "1.3.0 is on trial: waits for the chain is starting; the disk",
            "1.3.0 is on trial: fit for 20 of 180 s",
        ]
    );
}

#[tokio::test]
async fn a_release_that_was_taken_back_is_not_called_installed() {
    let why = "session-storage was not healthy\u{1b}[0m";
    let back =
        attempt(2, "1.3.0", json!({ "outcome": "rolled_back", "cause": "service", "why": why, "log": ["a", "b"] }));
    let repaired = attempt(3, "1.2.0", json!({ "outcome": "repaired", "why": "x" }));
    // The former release answers at once, and has nothing to tell for a moment.
    let script = vec![Some(told(armed(), &[])), None, Some(told(idle(), &[])), Some(told(idle(), &[repaired, back]))];
    let (ending, _) = run(told(idle(), &[]), script, &limits()).await;
    let why = "session-storage was not healthy\\u{1b}[0m".to_owned();
    let log = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(ending, Ending::RolledBack { version: "1.3.0".to_owned(), why, log });
}

#[tokio::test]
async fn every_other_ending_is_told_apart() {
    let version = || "1.3.0".to_owned();
    let endings = [
        (json!({ "outcome": "returned" }), Ending::Returned { version: version() }),
        (
            json!({ "outcome": "discarded", "why": "too hot" }),
            Ending::Discarded { version: version(), why: "too hot".into() },
        ),
        (
            json!({ "outcome": "left_after_failed_boots", "failed_boots": 3 }),
            Ending::RolledBack { version: version(), why: "it did not become ready in 3 boots".into(), log: vec![] },
        ),
    ];
    for (outcome, expected) in endings {
        let script = vec![Some(told(idle(), &[attempt(2, "1.3.0", outcome), old()]))];
        assert_eq!(run(told(idle(), &[old()]), script, &limits()).await.0, expected);
    }
    let mut done = told(idle(), &[]);
    done["agent"]["selftest"] = json!({ "at_ms": 5, "passed": true, "text": "both slots started" });
    let mut before = told(idle(), &[]);
    before["agent"]["selftest"] = json!({ "at_ms": 1, "passed": true, "text": "both slots started" });
    let script = vec![Some(before.clone()), None, Some(done)];
    let (ending, _) = run(before, script, &limits()).await;
    assert_eq!(ending, Ending::Selftest { passed: true, text: "both slots started".into() });
}

#[tokio::test]
async fn an_eeproms_update_is_followed_until_it_is_known_whether_it_is_there() {
    let with = |phase: Value, last: Value| {
        let mut status = told(phase, &[old()]);
        status["agent"]["eeprom"] = json!({ "carried": { "absent": { "reason": "test" } }, "last": last });
        status
    };
    let attempt =
        |at_ms: u64, done: bool| json!({ "at_ms": at_ms, "build_s": 7, "done": done, "text": "\u{1b}c seen" });
    let going = json!({ "phase": "armed", "incoming": null });
    for (former, done) in [(Value::Null, true), (attempt(1, true), true), (attempt(1, true), false)] {
        let script = vec![
            Some(with(going.clone(), former.clone())),
            None,
            // It answers before the agent has judged.
            Some(with(idle(), former.clone())),
            Some(with(idle(), attempt(2, done))),
        ];
        let (ending, said) = run(with(idle(), former), script, &limits()).await;
        assert_eq!(ending, Ending::Eeprom { done, text: "\\u{1b}c seen".to_owned() });
        assert!(said.contains("the appliance does not answer: it restarts"), "{said}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_guessed() {
    let short = Duration::from_millis(30);
    let settle = FollowLimits { settle_max: short, ..limits() };
    let (ending, _) = run(told(idle(), &[old()]), vec![Some(told(idle(), &[old()]))], &settle).await;
    assert!(matches!(&ending, Ending::Unknown { why } if why.contains("tells nothing of it")), "{ending:?}");
    let silence = FollowLimits { silence_max: short, ..limits() };
    let (ending, _) = run(told(idle(), &[]), vec![Some(told(armed(), &[])), None], &silence).await;
    assert!(matches!(&ending, Ending::Unknown { why } if why.contains("has not answered")), "{ending:?}");
    let outcome = FollowLimits { outcome_max: short, ..limits() };
    let (ending, _) = run(told(idle(), &[]), vec![Some(told(trying(None, &[]), &[]))], &outcome).await;
    assert!(matches!(&ending, Ending::Unknown { why } if why.contains("has not ended")), "{ending:?}");
}

#[tokio::test]
async fn a_restart_that_waits_for_recordings_is_waited_for() {
    let mut waiting = told(json!({ "phase": "written", "incoming": { "version": "1.3.0", "slot": "b" } }), &[]);
    waiting["waiting"] = json!("2 recordings are running");
    let kept = attempt(2, "1.3.0", json!({ "outcome": "committed" }));
    let mut script = vec![Some(waiting.clone()); 100];
    script.push(Some(told(idle(), &[kept])));
    let settle = FollowLimits { settle_max: Duration::from_millis(5), ..limits() };
    let (ending, said) = run(waiting, script, &settle).await;
    assert_eq!(ending, Ending::Kept { version: "1.3.0".to_owned() });
    assert!(said.contains("not yet installed: 2 recordings are running"), "{said}");
}
