//! Updates against an appliance that cuts connections, refuses, restarts, and takes releases back.

mod bench;
mod following;
mod sending;

use serde_json::json;

use super::*;

#[test]
fn what_a_newer_release_tells_is_read_as_far_as_it_is_known() {
    let told = json!({
        "agent": {
            "running": "b", "trial": false, "committed": { "present": "b" }, "later": 7,
            "slots": [{ "slot": "a", "release": { "absent": { "reason": "empty" } }, "standing": { "standing": "odd" } }],
            "phase": { "phase": "polishing", "how": 3 },
            "history": [{ "at_ms": 1, "version": "2", "slot": "b", "outcome": { "outcome": "polished" } }],
        },
        "channel": { "state": "fresh" }, "more": [],
    });
    let status: UpdateStatus = serde_json::from_value(told).unwrap();
    let agent = status.agent.as_ref().unwrap();
    assert_eq!((&agent.phase, &agent.history[0].outcome), (&Phase::Unknown, &Outcome::Unknown));
    assert_eq!(agent.slots[0].standing, Standing::Unknown);
    let text = update_text(&status);
    assert!(text.contains("use the newer `lucid`") && text.contains("not known (empty)"), "{text}");
    let nothing: UpdateStatus = serde_json::from_value(json!({})).unwrap();
    assert!(update_text(&nothing).contains("now: not known"));
}

#[test]
fn everything_is_shown_and_nothing_reaches_the_terminal_raw() {
    let evil = "\u{1b}[2Jevil";
    let told = json!({
        "agent": {
            "running": "a", "trial": true, "remark": evil, "committed": { "present": "b" },
            "slots": [
                { "slot": "a", "release": { "present": { "version": "1.3.0" } },
                  "standing": { "standing": "unfit", "reason": evil } },
                { "slot": "b", "release": { "present": { "version": "1.2.0" } },
                  "standing": { "standing": "good", "version": "1.2.0" } },
            ],
            "phase": { "phase": "trying", "incoming": null, "fit_for_s": 20, "soak_s": 180, "waiting_for": [] },
            "history": [
                { "at_ms": 1_700_000_000_000_u64, "version": "1.3.0", "slot": "a",
                  "outcome": { "outcome": "rolled_back", "cause": "service", "why": evil, "log": [evil] } },
                { "at_ms": 1_700_000_000_000_u64, "version": "1.2.0", "slot": "b", "outcome": { "outcome": "committed" } },
            ],
            "trust": { "root_version": 1, "keys_version": 4, "is_test": true, "problem": evil },
            "eeprom_s": { "present": 1_759_881_600 },
            "selftest": { "at_ms": 1_700_000_000_000_u64, "passed": false, "text": evil },
        },
        "settings": { "automatic": true, "pinned": "1.2.0", "window": "02:00-05:00" },
        "channel": { "state": "stale", "text": "no trusted news for 9 days",
                     "report": { "offers": [{ "version": evil, "hold": true }, { "version": "1", "refused": evil }] } },
        "transfer": { "source": "upload", "done_bytes": 5, "of_bytes": 9, "active": false, "problem": evil },
    });
    let text = update_text(&serde_json::from_value(told).unwrap());
    assert!(!text.contains('\u{1b}'), "{text}");
    for part in [
        "A     1.3.0             on trial    unfit: \\u{1b}[2Jevil",
        "B     1.2.0             kept        good",
        "the other slot is on trial: fit for 20 of 180 s",
        "no trusted news for 9 days",
        "held back by its makers",
        "TEST KEYS, this is no release",
        "EEPROM: 2025-10-08",
        "self-test 2023-11-14 22:13: failed",
        "1.3.0 was tried and taken back",
        "1.2.0 was installed and is kept",
        "new releases are installed, only 1.2.0, between 02:00-05:00 UTC",
        "transfer (upload): 5 of 9 bytes, ended",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn orders_are_given_as_the_api_takes_them() {
    let bench = bench::Bench::new().await;
    let orders = [
        (Order::Check, "check", "null"),
        (Order::Pull { url: "https://x.example/b".into() }, "pull", r#"{"url":"https://x.example/b"}"#),
        (Order::Install(When::Now), "install", r#"{"when":"now"}"#),
        (Order::Install(When::Quiet), "install", r#"{"when":"quiet"}"#),
        (Order::Install(When::Window), "install", r#"{"when":"window"}"#),
        (Order::Discard, "discard", "null"),
        (Order::Rollback, "rollback", "null"),
        (Order::Selftest, "selftest", "null"),
    ];
    for (order, path, body) in orders {
        update_order(&bench.client(), &order).await.unwrap();
        let given = bench.world().orders.pop().unwrap();
        assert_eq!((given.0.as_str(), given.1.to_string().as_str()), (path, body));
    }
}

#[tokio::test]
async fn a_log_in_that_is_too_old_is_made_anew_with_the_password() {
    let bench = bench::Bench::new().await;
    bench.world().wants_sign_in = true;
    let refused = update_order(&bench.client(), &Order::Rollback).await.unwrap_err();
    assert!(needs_sign_in(&refused) && UpdateError::from(refused).needs_sign_in());
    let wrong = sign_in_again(&bench.store, &bench.server, String::from("wrong").into()).await.unwrap_err();
    assert!(!needs_sign_in(&wrong) && wrong.status() == Some(401), "{wrong}");
    sign_in_again(&bench.store, &bench.server, String::from("correct horse").into()).await.unwrap();
    update_order(&bench.client(), &Order::Rollback).await.unwrap();
    assert_eq!(bench.world().orders.len(), 1);
}
