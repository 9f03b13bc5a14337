//! The command line against what this very release serves: both have types of their own for the same JSON.

use clap::Parser;
use lucid_agent_protocol::update::{
    Attempt, Cause, EepromAttempt, EepromReport, Incoming, Outcome, Phase, Selftest, SlotReport, TrustReport,
    TrybootWay, UpdateReport,
};
use lucid_appliance::update::{ChannelState, ChannelStatus};
use lucid_device::Reading;
use lucid_layout::{
    Digest, EepromRelease, Slot,
    update::{DATA, Standing},
};

use super::*;
use crate::cli::{Cli, Command};

fn incoming() -> Incoming {
    let (build_id, bundle) = (Digest([3; 32]), Digest([4; 32]));
    Incoming { version: "1.3.0".to_owned(), build_id, bundle, slot: Slot::B, notes: String::new() }
}

fn attempt(outcome: Outcome) -> Attempt {
    Attempt { at_ms: 1_700_000_000_000, version: "1.3.0".to_owned(), build_id: None, slot: Slot::B, outcome }
}

fn served(phase: Phase) -> lucid_appliance::UpdateStatus {
    let why = || "because".to_owned();
    let history = vec![
        attempt(Outcome::Committed {}),
        attempt(Outcome::RolledBack { cause: Cause::Service, why: why(), log: vec![why()] }),
        attempt(Outcome::LeftAfterFailedBoots { failed_boots: 3 }),
        attempt(Outcome::Returned {}),
        attempt(Outcome::Repaired { why: why() }),
        attempt(Outcome::Discarded { why: why() }),
    ];
    let standings = [
        Standing::Good { version: "1.2.0".to_owned(), build_id: Digest([1; 32]), data: DATA },
        Standing::Unfit { reason: why() },
    ];
    let slots = Slot::ALL.into_iter().zip(standings);
    let slots = slots.map(|(slot, standing)| SlotReport { slot, release: Reading::absent("empty"), standing });
    let report = UpdateReport {
        running: Some(Slot::A),
        trial: false,
        remark: None,
        committed: Reading::Present(Slot::A),
        slots: slots.collect(),
        phase,
        history,
        quarantine: Vec::new(),
        trust: TrustReport { root_version: Some(1), keys_version: None, is_test: true, problem: None },
        tryboot: TrybootWay::Mailbox,
        eeprom_s: Reading::failed("unreadable"),
        eeprom: EepromReport {
            carried: Reading::Present(EepromRelease {
                build_s: 1_779_753_600,
                version: "ab".repeat(20),
                sha256: Digest([9; 32]),
                settings: "[all]\nBOOT_UART=1\n".to_owned(),
            }),
            hindrance: None,
            last: Some(EepromAttempt { at_ms: 1, build_s: 1_779_753_600, done: false, text: why() }),
        },
        epoch_floor: 3,
        selftest: Some(Selftest { at_ms: 1, passed: true, text: why() }),
    };
    let channel = ChannelStatus { state: ChannelState::Fresh, text: "fresh".to_owned(), ..ChannelStatus::default() };
    lucid_appliance::UpdateStatus { agent: Some(report), channel, ..lucid_appliance::UpdateStatus::default() }
}

#[test]
fn what_the_appliance_tells_is_understood_whole() {
    let phases = [
        Phase::Idle {},
        Phase::Writing { incoming: incoming(), offset: 1, bundle_bytes: 2, active: true },
        Phase::Checking { incoming: incoming(), checked_bytes: 1, of_bytes: 2 },
        Phase::Written { incoming: incoming() },
        Phase::Armed { incoming: None },
        Phase::Trying { incoming: Some(incoming()), fit_for_s: None, soak_s: 180, waiting_for: vec!["x".to_owned()] },
    ];
    for phase in phases {
        let json = serde_json::to_string(&served(phase)).unwrap();
        let understood: UpdateStatus = serde_json::from_str(&json).unwrap();
        let text = update_text(&understood);
        assert!(
            !text.contains("does not know") && text.contains("TEST KEYS") && text.contains("good"),
            "{json}: {text}"
        );
        let eeprom = eeprom_text(&understood);
        for part in ["2026-05-26", "  BOOT_UART=1\n", "NOT installed: because", "--install 2026-05-26"] {
            assert!(eeprom.contains(part), "{part}: {eeprom}");
        }
        assert_eq!(understood.agent.unwrap().history.len(), 6, "{json}");
    }
}

#[test]
fn only_what_is_kept_is_a_success() {
    let text = || "x".to_owned();
    let good = [
        Ending::Kept { version: text() },
        Ending::Returned { version: text() },
        Ending::Selftest { passed: true, text: text() },
        Ending::Eeprom { done: true, text: text() },
    ];
    let bad = [
        Ending::RolledBack { version: text(), why: text(), log: vec![text()] },
        Ending::Discarded { version: text(), why: text() },
        Ending::Selftest { passed: false, text: text() },
        Ending::Eeprom { done: false, text: text() },
    ];
    let code = |ending: &Ending| format!("{:?}", told(ending).1);
    assert!(good.iter().all(|ending| code(ending) == format!("{:?}", ExitCode::SUCCESS)));
    assert!(bad.iter().all(|ending| code(ending) == format!("{:?}", ExitCode::FAILURE)));
    assert_eq!(code(&Ending::Unknown { why: text() }), format!("{:?}", ExitCode::from(3)));
    assert!(told(&bad[0]).0.starts_with("NOT updated") && told(&bad[1]).0.starts_with("NOT updated"));
}

#[test]
fn an_eeprom_is_ordered_by_the_day_of_the_carried_release_alone() {
    let json = serde_json::to_string(&served(Phase::Idle {})).unwrap();
    let status: UpdateStatus = serde_json::from_str(&json).unwrap();
    assert_eq!(consented(&status, "2026-05-26").unwrap(), Order::InstallEeprom { build_s: 1_779_753_600 });
    for typed in ["2026-05-25", "yes", ""] {
        let refused = consented(&status, typed).unwrap_err().to_string();
        assert!(refused.contains("nothing was done: run `lucid update eeprom`"), "{refused}");
    }
    assert!(consented(&UpdateStatus::default(), "2026-05-26").is_err(), "an appliance that tells of none");
}

#[test]
fn the_command_line_reads() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' '));
    let Ok(Cli { command: Command::Update(cli::Update::Push(push)) }) =
        parse("lucid update push x.bundle --when quiet")
    else {
        panic!("a push");
    };
    assert!(matches!(push.when, cli::When::Quiet) && !push.no_wait && !push.no_install);
    let Ok(Cli { command: Command::Update(cli::Update::Eeprom(eeprom)) }) =
        parse("lucid update eeprom --install 2026-05-26 --no-wait")
    else {
        panic!("an EEPROM");
    };
    assert!(eeprom.install.as_deref() == Some("2026-05-26") && eeprom.no_wait);
    for wrong in [
        "lucid update push",
        "lucid update push x --no-install --when now",
        "lucid update install --when soon",
        "lucid update eeprom --install",
        "lucid update eeprom --no-wait",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
