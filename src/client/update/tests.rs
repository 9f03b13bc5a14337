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
            "eeprom": { "carried": { "present": carried(evil) }, "hindrance": evil, "last": null },
            "selftest": { "at_ms": 1_700_000_000_000_u64, "passed": false, "text": evil },
        },
        "settings": { "automatic": true, "pinned": "1.2.0", "window": "02:00-05:00", "zone": "Europe/Berlin" },
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
        "EEPROM: 2025-10-08, the image carries that of 2026-05-26\n",
        "self-test 2023-11-14 22:13: failed",
        "1.3.0 was tried and taken back",
        "1.2.0 was installed and is kept",
        "new releases are installed, only 1.2.0, between 02:00-05:00 (Europe/Berlin)",
        "transfer (upload): 5 of 9 bytes, ended",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A release of the EEPROM as the API tells of it.
fn carried(settings: &str) -> serde_json::Value {
    json!({ "build_s": 1_779_753_600, "version": "ab".repeat(20), "sha256": "cd".repeat(32), "settings": settings })
}

/// How an update of the EEPROM stands on a board with one of 2025-10-08.
fn of_eeprom(eeprom: serde_json::Value) -> UpdateStatus {
    let agent = json!({ "eeprom_s": { "present": 1_759_881_600 }, "eeprom": eeprom });
    serde_json::from_value(json!({ "agent": agent })).unwrap()
}

#[test]
fn what_an_eeproms_update_does_is_said_before_it_is_ordered() {
    let settings = "[all]\nBOOT_UART=1\n\u{1b}[2Jevil\n";
    let free = of_eeprom(json!({ "carried": { "present": carried(settings) }, "hindrance": null, "last": null }));
    let text = eeprom_text(&free);
    for part in [
        "on the board now: 2025-10-08\n",
        "in the image:     2026-05-26, version abab",
        "  [all]\n  BOOT_UART=1\n  \\u{1b}[2Jevil\n",
        "restarts twice",
        "settings on the board are lost",
        "must NOT fail while it writes",
        "Raspberry Pi Imager",
        "has not been tried on a real board yet",
        "run `lucid update eeprom --install 2026-05-26`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let line = update_text(&free);
    assert!(line.contains("that of 2026-05-26; `lucid update eeprom` says how"), "{line}");
}

#[test]
fn what_is_in_the_way_of_an_eeprom_and_what_became_of_it_is_shown() {
    let text = "\u{1b}c lost";
    let last = json!({ "at_ms": 1_779_840_000_000_u64, "build_s": 1_779_753_600, "done": false, "text": text });
    let hindered =
        of_eeprom(json!({ "carried": { "present": carried("") }, "hindrance": "on \u{1b}trial", "last": last }));
    let text = eeprom_text(&hindered);
    let seen = "last attempt:     2026-05-27 00:00, 2026-05-26: NOT installed: \\u{1b}c lost";
    assert!(text.contains(seen) && text.contains("it can't be installed now: on \\u{1b}trial"), "{text}");
    assert!(!text.contains("--install") && !text.contains('\u{1b}'), "{text}");
    let line = update_text(&hindered);
    assert!(line.contains("EEPROM: 2025-10-08, the image carries that of 2026-05-26; NOT installed: "), "{line}");

    let mut since = hindered.clone();
    since.agent.as_mut().unwrap().eeprom_s = Fact::Present(1_779_753_600);
    assert!(!update_text(&since).contains("NOT installed"), "somebody installed it by hand: {}", update_text(&since));

    let none = eeprom_text(&of_eeprom(json!({ "carried": { "absent": { "reason": "the image has none" } } })));
    assert!(none.contains("in the image:     none (the image has none)") && !none.contains("--install"), "{none}");
    let former = eeprom_text(&serde_json::from_value(json!({ "agent": {} })).unwrap());
    assert!(former.contains("in the image:     not known\n"), "of a release that knows nothing of it: {former}");
    let alone = serde_json::from_value(json!({ "agent_problem": "nobody listens" })).unwrap();
    assert_eq!(eeprom_text(&alone), "EEPROM: not known: nobody listens\n");
}

#[test]
fn only_the_day_of_the_carried_release_is_a_consent() {
    let status = of_eeprom(json!({ "carried": { "present": carried("") } }));
    assert_eq!(carried_on(&status, "2026-05-26").map(|release| release.build_s), Some(1_779_753_600));
    for typed in ["", "-", "2026-05-27", "2026-5-26", " 2026-05-26", "2026-05-26 ", "1779753600", "yes"] {
        assert_eq!(carried_on(&status, typed), None, "{typed:?}");
    }
    let mut far = carried("");
    far["build_s"] = json!(u64::MAX);
    let far = of_eeprom(json!({ "carried": { "present": far } }));
    for typed in ["-", "", &format!("{} s since 1970", u64::MAX)] {
        assert_eq!(carried_on(&far, typed), None, "a day that there is not can't be named: {typed:?}");
    }
    assert_eq!(carried_on(&of_eeprom(json!({ "carried": { "absent": { "reason": "" } } })), ""), None);
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
        (Order::InstallEeprom { build_s: 1_779_753_600 }, "eeprom", r#"{"build_s":1779753600}"#),
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
