//! Updates of the EEPROM. The volumes are made by mkfs.fat and mtools; the firmware is played here: what it finds on
//! the partition that it boots, it takes if the digest is right.

use std::fs;

use lucid_agent_protocol::RefusalCode;
use lucid_device::Reading;
use lucid_layout::eeprom::{IMAGE_BYTES, digest_file};
use lucid_layout::{Digest, EepromRelease, Partition, Slot, files};
use sha2::{Digest as _, Sha256};

use super::bundles::NOW;
use super::cuts::Recorded;
use super::rig::{MIB, Rig, View, former, refused, running};
use super::volume::Volume;
use super::world::Lasting;
use crate::update::progress::Progress;
use crate::update::surroundings::{Conditions, Surroundings as _};

/// 2024-09-23, with which boards were sold: too old for a trial of ours, and new enough to update itself.
const OLD_S: u64 = 1_727_049_600;
/// 2026-05-26.
const NEW_S: u64 = 1_779_753_600;

fn image(seed: u8) -> Vec<u8> {
    (0..IMAGE_BYTES).map(|at| (at / 4096) as u8 ^ seed).collect()
}

fn carried(seed: u8) -> EepromRelease {
    let sha256 = Digest(Sha256::digest(image(seed)).into());
    EepromRelease { build_s: NEW_S, version: "c0ffee".to_owned(), sha256, settings: "[all]\nBOOT_UART=1\n".to_owned() }
}

/// The boot partition of a release that carries an EEPROM's.
fn boot_partition(release: &[u8], seed: u8) -> Vec<u8> {
    let volume = Volume::new();
    let facts = carried(seed);
    volume.put(files::RELEASE, release);
    volume.put(files::EEPROM_FACTS, &serde_json::to_vec(&facts).unwrap());
    volume.put(files::EEPROM_IMAGE, &image(seed));
    volume.put(files::EEPROM_DIGEST, digest_file(&facts.sha256, NEW_S).as_bytes());
    let mut bytes = fs::read(&volume.image).unwrap();
    // The rest of the volume is free.
    bytes.truncate(4 * MIB);
    bytes
}

/// A board of 2024 whose slots carry these EEPROMs.
fn board(a: u8, b: u8) -> Rig {
    let json = |content: super::bundles::Content| serde_json::to_vec(&content.release).unwrap();
    let mut lasting = Rig::new().world.lasting();
    lasting.partitions.insert(Partition::BootA, boot_partition(&json(running()), a));
    lasting.partitions.insert(Partition::BootB, boot_partition(&json(former()), b));
    let rig = Rig::on(lasting);
    installed(&rig, OLD_S);
    rig
}

fn change(rig: &Rig, change: impl FnOnce(&mut Conditions)) {
    let mut conditions = rig.around.conditions();
    change(&mut conditions);
    rig.asked(|asked| asked.conditions = Some(conditions));
}

fn installed(rig: &Rig, build_s: u64) {
    change(rig, |now| now.eeprom_s = Reading::Present(build_s));
}

/// What the firmware finds on a slot's partition: an image that fits its digest, and the digest's time.
fn found(lasting: &Lasting, slot: Slot) -> Option<(Vec<u8>, u64)> {
    let volume = View(&lasting.partitions[&slot.boot()]);
    let image = lucid_fat::read(&volume, "pieeprom.upd", IMAGE_BYTES).ok()?;
    let digest = String::from_utf8(lucid_fat::read(&volume, "pieeprom.sig", 1024).ok()?).unwrap();
    let lines: Vec<_> = digest.lines().collect();
    let [sha256, time] = *lines else { panic!("{digest:?}") };
    assert_eq!(sha256, Digest(Sha256::digest(&image).into()).to_string(), "an image that is not whole");
    Some((image, time.strip_prefix("ts: ").unwrap().parse().unwrap()))
}

#[track_caller]
fn assert_inert(rig: &Rig) {
    let lasting = rig.world.lasting();
    for slot in Slot::ALL {
        let volume = View(&lasting.partitions[&slot.boot()]);
        for name in [files::EEPROM_ARMED_IMAGE, files::EEPROM_ARMED_DIGEST] {
            assert!(lucid_fat::entry(&volume, name).is_err(), "{name} in slot {slot:?}");
        }
        assert!(lucid_fat::entry(&volume, files::EEPROM_IMAGE).is_ok(), "it is carried as before");
    }
}

#[test]
fn with_consent_the_firmware_finds_it_in_the_other_slot_and_what_became_of_it_is_told() {
    let mut rig = board(1, 1);
    let before = rig.world.lasting();
    let report = rig.updates.report().eeprom;
    assert_eq!((report.carried, report.hindrance, report.last), (Reading::Present(carried(1)), None, None));
    rig.updates.install_eeprom(NEW_S).unwrap();
    let armed = rig.world.lasting();
    assert_eq!(found(&armed, Slot::B), Some((image(1), NOW)));
    assert!(before.partitions[&Partition::BootA] == armed.partitions[&Partition::BootA], "what runs is not touched");
    assert!(before.partitions[&Partition::RootB] == armed.partitions[&Partition::RootB]);
    assert_eq!(rig.asked(|asked| (asked.restart.take(), std::mem::take(&mut asked.flag))), (Some(true), true));
    // It installs it and resets; the flag for the trial is gone by then.
    installed(&rig, NEW_S);
    rig.boot(false);
    let report = rig.updates.report();
    let last = report.eeprom.last.unwrap();
    assert!(last.done && last.build_s == NEW_S && last.at_ms == NOW * 1000, "{last:?}");
    assert!(report.eeprom.hindrance.unwrap().contains("nothing is to be done"));
    assert_eq!((report.history, rig.updates.progress()), (vec![], Progress::Idle));
    assert_inert(&rig);
}

#[test]
fn where_the_flag_outlives_the_update_the_trial_goes_straight_back() {
    let mut rig = board(1, 1);
    rig.updates.install_eeprom(NEW_S).unwrap();
    installed(&rig, NEW_S);
    assert!(rig.restarted(), "on trial");
    assert!(matches!(rig.updates.progress(), Progress::Trying { .. }));
    assert!(rig.restarted(), "and back");
    assert!(rig.updates.report().eeprom.last.unwrap().done);
    assert_eq!(rig.updates.report().committed, Reading::Present(Slot::A));
    assert_inert(&rig);
}

#[test]
fn a_firmware_that_does_not_take_it_is_told_and_finds_nothing_later() {
    let mut rig = board(1, 1);
    rig.updates.install_eeprom(NEW_S).unwrap();
    assert!(rig.restarted() && rig.restarted());
    let last = rig.updates.report().eeprom.last.unwrap();
    assert!(!last.done && last.text.contains("Raspberry Pi Imager"), "{last:?}");
    assert_inert(&rig);
    // The owner may try again.
    assert_eq!(rig.updates.report().eeprom.hindrance, None);
    rig.updates.install_eeprom(NEW_S).unwrap();
}

#[test]
fn the_other_slot_gets_what_the_running_one_carries() {
    let rig = board(1, 2);
    rig.updates.install_eeprom(NEW_S).unwrap();
    assert_eq!(found(&rig.world.lasting(), Slot::B), Some((image(1), NOW)));
}

#[test]
fn the_time_is_after_that_of_the_last_update_even_if_the_clock_is_not() {
    let rig = board(1, 1);
    change(&rig, |now| now.eeprom_updated_s = Reading::Present(NOW + 99));
    rig.updates.install_eeprom(NEW_S).unwrap();
    assert_eq!(found(&rig.world.lasting(), Slot::B), Some((image(1), NOW + 100)));
}

#[test]
fn without_consent_or_use_or_in_the_wrong_moment_nothing_is_written() {
    let unsuitable = |set: &dyn Fn(&mut Rig), build_s, words| {
        let mut rig = board(1, 1);
        set(&mut rig);
        refused(rig.updates.install_eeprom(build_s), RefusalCode::Unsuitable, words);
        assert!(rig.asked(|asked| asked.restart).is_none() && rig.world.with(|inner| inner.opened.is_empty()));
    };
    unsuitable(&|_| {}, NEW_S + 1, "another release");
    unsuitable(&|rig| installed(rig, NEW_S), NEW_S, "nothing is to be done");
    unsuitable(&|rig| change(rig, |now| now.eeprom_s = Reading::absent("no firmware")), NEW_S, "no firmware");
    unsuitable(&|rig| change(rig, |now| now.undervoltage = Reading::Present(true)), NEW_S, "voltage");
    let settings = "ENABLE_SELF_UPDATE=1\n[all]\nENABLE_SELF_UPDATE=0\n";
    unsuitable(&|rig| rig.updates.booted.eeprom_settings = Some(settings.to_owned()), NEW_S, "ENABLE_SELF_UPDATE=0");
    let rig = board(1, 1);
    rig.world.with(|inner| inner.twin = Some("sdb".to_owned()));
    refused(rig.updates.install_eeprom(NEW_S), RefusalCode::WrongState, "sdb");
    // A box whose image carries none.
    let rig = Rig::new();
    assert!(rig.updates.report().eeprom.carried.is_absent());
    refused(rig.updates.install_eeprom(NEW_S), RefusalCode::Unsuitable, "carries none");
}

#[test]
fn an_image_that_is_not_what_was_announced_is_not_offered_to_the_firmware() {
    let mut lasting = board(1, 1).world.lasting();
    let volume = lasting.partitions.get_mut(&Partition::BootA).unwrap();
    let extents = lucid_fat::find(&View(volume), files::EEPROM_IMAGE).unwrap().extents;
    volume[extents[0].offset as usize + 70_000] ^= 1;
    let rig = Rig::on(lasting);
    installed(&rig, OLD_S);
    refused(rig.updates.install_eeprom(NEW_S), RefusalCode::Failed, "flash the box again");
    assert_inert(&rig);
}

#[test]
fn a_restart_that_fails_leaves_nothing_to_be_found() {
    let rig = board(1, 1);
    rig.asked(|asked| asked.restart_fails = true);
    refused(rig.updates.install_eeprom(NEW_S), RefusalCode::Failed, "systemd refused");
    assert_inert(&rig);
    assert_eq!(rig.updates.progress(), Progress::Idle);
}

#[test]
fn a_disk_that_fails_at_any_write_leaves_nothing_or_all_to_be_found() {
    for writes in 0..4 {
        let rig = board(1, 2);
        rig.world.with(|inner| inner.faults.writes = Some(writes));
        refused(rig.updates.install_eeprom(NEW_S), RefusalCode::Failed, "can't be written");
        assert!(found(&rig.world.lasting(), Slot::B).is_none() && rig.asked(|asked| asked.restart).is_none());
        rig.world.with(|inner| inner.faults.writes = None);
        rig.updates.start();
        assert_inert(&rig);
    }
}

#[test]
fn a_power_cut_at_any_step_leaves_nothing_or_all_to_be_found() {
    const TRIES: u64 = 4;
    let rig = board(1, 2);
    let before = rig.world.with(|inner| {
        inner.log.clear();
        inner.lasting.clone()
    });
    rig.updates.install_eeprom(NEW_S).unwrap();
    let recorded = Recorded { before, log: rig.world.with(|inner| inner.log.clone()) };
    let mut whole = 0;
    for at in 0..=recorded.log.len() {
        for seed in 0..TRIES {
            let left = recorded.cut(at, &mut fastrand::Rng::with_seed(seed));
            // `found` fails where the image is not that of the digest.
            whole += u64::from(found(&left, Slot::B).is_some());
            assert!(found(&left, Slot::A).is_none());
            let rig = Rig::on(left);
            assert_inert(&rig);
            assert_eq!(rig.updates.progress(), Progress::Idle);
        }
    }
    assert!((TRIES..TRIES * recorded.log.len() as u64).contains(&whole), "{whole}");
}
