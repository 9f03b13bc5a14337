//! Good updates, one after the other, and back again; and what is refused because of the box, not of the bundle.

use lucid_agent_protocol::RefusalCode;
use lucid_agent_protocol::update::{Outcome, Phase};
use lucid_device::Reading;
use lucid_layout::update::Standing;
use lucid_layout::{Partition, Slot};

use super::bundles::{NOW, bundle, channel};
use super::rig::{Rig, build, former, holds, new, refused, running, small, walk};
use crate::update::Wish;
use crate::update::progress::Progress;
use crate::update::surroundings::Conditions;

#[test]
fn a_good_update_is_written_tried_and_kept_and_then_another() {
    let mut rig = Rig::new();
    let (first, second) = (new(), small());
    assert_eq!(rig.send(&bundle(&first)), Ok(()));
    assert!(matches!(rig.phase(), Phase::Written { incoming } if incoming.version == "1.1.0"), "{:?}", rig.phase());
    assert!(rig.holds(Slot::B, std::slice::from_ref(&first)).is_some());
    assert!(matches!(rig.book().b, Standing::Unfit { .. }), "nothing was tried yet");
    rig.install();
    let report = rig.updates.report();
    assert_eq!((report.running, report.committed), (Some(Slot::B), Reading::Present(Slot::B)));
    assert_eq!(report.phase, Phase::Idle {});
    assert_eq!(report.history[0].outcome, Outcome::Committed {});
    assert_eq!(report.epoch_floor, 4);
    assert!(matches!(rig.book().b, Standing::Good { version, .. } if version == "1.1.0"));
    // The next one goes into the slot that is idle now.
    rig.boot(false);
    assert_eq!(rig.send(&bundle(&second)), Ok(()));
    rig.install();
    assert_eq!(rig.updates.report().committed, Reading::Present(Slot::A));
    assert_eq!(build(&rig, Slot::A), second.release.build_id);
    // And back by hand.
    rig.boot(false);
    rig.updates.return_to_other(60).unwrap();
    assert!(rig.restarted());
    rig.pass_the_gate();
    assert_eq!(rig.updates.report().committed, Reading::Present(Slot::B));
    assert_eq!(rig.updates.report().history[0].outcome, Outcome::Returned {});
}

#[test]
fn only_the_idle_slot_and_one_sector_are_ever_written() {
    let mut rig = Rig::new();
    let before = rig.world.lasting();
    assert_eq!(rig.send(&bundle(&new())), Ok(()));
    let opened = rig.world.with(|inner| std::mem::take(&mut inner.opened));
    assert!(opened.iter().all(|partition| [Partition::BootB, Partition::RootB].contains(partition)), "{opened:?}");
    rig.install();
    let after = rig.world.lasting();
    for partition in [Partition::BootA, Partition::RootA] {
        assert!(before.partitions[&partition] == after.partitions[&partition], "{partition:?}");
    }
    let (before, after) = (&before.partitions[&Partition::Autoboot], &after.partitions[&Partition::Autoboot]);
    let differing: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).map(|at| at / 512).collect();
    assert!(differing.iter().all(|sector| *sector == differing[0]) && !differing.is_empty(), "{differing:?}");
}

#[test]
fn a_slot_that_is_being_written_can_not_be_booted() {
    let rig = Rig::new();
    let bundle = bundle(&new());
    let half = &bundle.bytes[..bundle.bytes.len() - 1];
    refused(rig.send_bytes(half), RefusalCode::Malformed, "ended early");
    assert_eq!(walk(&rig.world.lasting()), [Slot::A]);
    assert_eq!(rig.send_rest(&bundle), Ok(()));
    assert_eq!(walk(&rig.world.lasting()), Slot::ALL);
}

#[test]
fn a_box_that_is_not_in_order_is_left_alone() {
    let bundle = bundle(&small());
    let with = |change: &dyn Fn(&mut Conditions)| {
        let rig = Rig::new();
        let mut conditions = crate::update::surroundings::Surroundings::conditions(&rig.around);
        change(&mut conditions);
        rig.asked(|asked| asked.conditions = Some(conditions));
        rig.send(&bundle)
    };
    let code = RefusalCode::Unsuitable;
    refused(with(&|now| now.undervoltage = Reading::Present(true)), code, "voltage");
    refused(with(&|now| now.hottest_mc = Reading::Present(82_000)), code, "82 °C");
    refused(with(&|now| now.eeprom_s = Reading::Present(1_759_881_599)), code, "older than 2025-10-08");
    refused(with(&|now| now.eeprom_s = Reading::absent("no firmware")), code, "no firmware");
    assert_eq!(with(&|now| now.eeprom_s = Reading::Present(1_759_881_600)), Ok(()));
    assert_eq!(with(&|now| now.undervoltage = Reading::absent("not watched")), Ok(()));
    let rig = Rig::new();
    rig.world.with(|inner| inner.twin = Some("sdb".to_owned()));
    refused(rig.send(&bundle), RefusalCode::WrongState, "sdb");
    refused(rig.updates.selftest(), RefusalCode::WrongState, "sdb");
}

#[test]
fn two_at_once_are_one_too_many() {
    let rig = Rig::new();
    let wish = Wish { offset: 0, bundle: None, automatic: false };
    let first = rig.updates.begin(&wish).unwrap();
    refused(rig.updates.begin(&wish).map(drop), RefusalCode::Busy, "worked on");
    refused(rig.updates.discard(), RefusalCode::Busy, "worked on");
    let bundle = bundle(&small());
    assert_eq!(first.run(&mut &*bundle.bytes), Ok(()));
    assert_eq!(rig.updates.discard(), Ok(()));
}

#[test]
fn a_release_may_be_given_up_and_another_sent_in_its_place() {
    let rig = Rig::new();
    refused(rig.updates.discard(), RefusalCode::WrongState, "nothing");
    refused(rig.updates.install(60), RefusalCode::WrongState, "send a bundle");
    assert_eq!(rig.send(&bundle(&new())), Ok(()));
    refused(rig.updates.return_to_other(60), RefusalCode::WrongState, "give it up");
    assert_eq!(rig.send(&bundle(&small())), Ok(()));
    let history = rig.updates.report().history;
    assert!(matches!(&history[0].outcome, Outcome::Discarded { why } if why.contains("another")), "{history:?}");
    assert_eq!(rig.updates.discard(), Ok(()));
    assert_eq!(rig.phase(), Phase::Idle {});
    // Nothing is in the other slot any more that anybody has tried.
    refused(rig.updates.return_to_other(60), RefusalCode::Unsuitable, "no release");
    refused(rig.updates.selftest(), RefusalCode::Unsuitable, "no release");
}

#[test]
fn what_can_not_be_armed_stays_as_it_was() {
    let rig = Rig::new();
    assert_eq!(rig.send(&bundle(&small())), Ok(()));
    rig.asked(|asked| asked.mailbox_fails = true);
    refused(rig.updates.install(60), RefusalCode::Failed, "did not keep the flag");
    assert!(matches!(rig.updates.progress(), Progress::Written { .. }));
    rig.asked(|asked| (asked.mailbox_fails, asked.restart_fails) = (false, true));
    refused(rig.updates.install(60), RefusalCode::Failed, "systemd refused");
    assert!(matches!(rig.updates.progress(), Progress::Written { .. }));
    assert!(!rig.asked(|asked| asked.flag), "the next restart is a plain one");
    rig.asked(|asked| asked.restart_fails = false);
    assert_eq!(rig.updates.install(60), Ok(()));
    refused(rig.send(&bundle(&new())), RefusalCode::WrongState, "under way");
    refused(rig.updates.discard(), RefusalCode::WrongState, "nothing");
}

#[test]
fn on_trial_nothing_is_written() {
    let mut rig = Rig::new();
    assert_eq!(rig.send(&bundle(&small())), Ok(()));
    rig.updates.install(60).unwrap();
    assert!(rig.restarted());
    refused(rig.send(&bundle(&new())), RefusalCode::WrongState, "");
    refused(rig.updates.install(60), RefusalCode::WrongState, "");
    refused(rig.updates.selftest(), RefusalCode::WrongState, "");
    assert!(rig.holds(Slot::A, &[running()]).is_some());
}

#[test]
fn one_automatic_attempt_a_day_and_none_of_what_failed() {
    let rig = Rig::new();
    let automatic = |rig: &Rig, bytes: &[u8]| {
        rig.updates.begin(&Wish { offset: 0, bundle: None, automatic: true }).unwrap().run(&mut &*bytes)
    };
    let (first, second) = (bundle(&new()), bundle(&small()));
    let half = &first.bytes[..first.bytes.len() / 2];
    refused(automatic(&rig, half), RefusalCode::Malformed, "ended early");
    assert_eq!(automatic(&rig, &first.bytes), Ok(()), "the same goes on");
    refused(automatic(&rig, &second.bytes), RefusalCode::Unsuitable, "within the last day");
    rig.asked(|asked| asked.now_ms += 24 * 60 * 60 * 1000);
    // By then the release keys of these tests have ended.
    refused(automatic(&rig, &second.bytes), RefusalCode::Untrusted, "ended");
    rig.asked(|asked| asked.now_ms = NOW * 1000);
    rig.updates
        .record(|history, now_ms| {
            history.automatic_ms = None;
            history.quarantine("1.2.0", small().release.build_id, now_ms);
        })
        .unwrap();
    refused(automatic(&rig, &second.bytes), RefusalCode::Unsuitable, "failed here before");
    assert_eq!(rig.send(&second), Ok(()), "by hand it may be tried again");
}

#[test]
fn a_channel_is_read_and_its_numbers_do_not_go_back() {
    let rig = Rig::new();
    let send = |file: &[u8]| rig.updates.channel(&data_encoding::BASE64.encode(file));
    let (new, running, former) = (new().release, running().release, former().release);
    let mut old = former.clone();
    old.epoch = 0;
    let offers = [(&new, "1.1.0"), (&running, "1.0.0"), (&former, "0.9.0"), (&old, "9.9.9")];
    let report = send(&channel(5, &offers)).unwrap();
    let refusals: Vec<_> = report.offers.iter().map(|offer| offer.refused.clone().unwrap_or_default()).collect();
    assert_eq!(
        refusals,
        ["", "it runs already", "it is older than 1.0.0, which runs", "below epoch 3 nothing is installed any more"]
    );
    assert_eq!(report.sequence, 5);
    for (file, words) in [(channel(4, &[]), "replayed"), (channel(5, &[]), "two channels"), (vec![1, 2], "ends early")]
    {
        let outcome = send(&file).map(drop);
        assert!(outcome.as_ref().is_err_and(|refusal| refusal.message.contains(words)), "{words}: {outcome:?}");
    }
    assert!(rig.updates.channel("?").is_err());
    assert!(send(&channel(5, &offers)).is_ok(), "the same once more");
    assert_eq!(rig.world.with(|inner| inner.opened.len()), 0, "nothing was written for it");
}

#[test]
fn a_machine_without_slots_takes_nothing() {
    let mut rig = Rig::new();
    rig.updates.slots = None;
    refused(rig.send(&bundle(&small())), RefusalCode::WrongState, "no slots");
    refused(rig.updates.selftest(), RefusalCode::WrongState, "no slots");
    let report = rig.updates.report();
    assert!(report.slots.is_empty() && report.running.is_none() && report.committed.is_absent());
    assert!(holds(&rig.world.lasting(), Slot::B, &[former()]).is_some());
}
