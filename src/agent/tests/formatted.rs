//! An empty disk becomes the data disk.

use std::fs;

use lucid_agent_protocol::{DiskId, RefusalCode, Reply, SsdState};

use super::rig::{Disk, LARGE, MIB, Rig, SMALL, expect, order, run};
use crate::keeper::{Command, Keeper};

fn blkid(disk: &Disk, name: &str) -> String {
    run("blkid", &["-p", "-o", "value", "-s", name, &disk.device()]).trim().to_owned()
}

fn adopt(keeper: &mut Keeper, disk: &DiskId, confirmation: Option<&str>) -> Reply {
    let confirmation = confirmation.map(|typed| typed.parse().unwrap());
    order(keeper, Command::Adopt { disk: disk.clone(), confirmation })
}

#[track_caller]
fn refused(reply: &Reply, code: RefusalCode) {
    assert!(matches!(reply, Reply::Refused(refusal) if refusal.code == code), "{reply:?}");
}

#[test]
fn with_leave_an_empty_disk_is_formatted_and_mounted() {
    let rig = Rig::new("empty");
    let disk = rig.plugged("SERIAL1", LARGE);
    let keeper = rig.start();
    let report = expect(&keeper, &SsdState::Mounted, "");
    assert_eq!((blkid(&disk, "LABEL"), blkid(&disk, "TYPE")), ("lucid-data".to_owned(), "ext4".to_owned()));
    assert_eq!(report.adopted.unwrap().uuid, blkid(&disk, "UUID"));
    let features = run("dumpe2fs", &["-h", &disk.device()]);
    let behaviour = features.lines().find(|line| line.starts_with("Errors behavior")).unwrap();
    assert!(behaviour.contains("Remount read-only"), "{behaviour}");
}

#[test]
fn without_leave_it_takes_the_disks_id_typed() {
    let rig = Rig::new("none");
    let disk = rig.plugged("SERIAL1", SMALL);
    let untouched = disk.fingerprint();
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::NotAdopted, "no disk was adopted");
    refused(&adopt(&mut keeper, &disk.id(), None), RefusalCode::NotConfirmed);
    refused(&adopt(&mut keeper, &disk.id(), Some("SERIAL2")), RefusalCode::NotConfirmed);
    refused(&adopt(&mut keeper, &"SERIAL2".parse().unwrap(), Some("SERIAL2")), RefusalCode::NotFound);
    assert!(disk.fingerprint() == untouched && !rig.config.intent.exists());
    assert_eq!(adopt(&mut keeper, &disk.id(), Some("SERIAL1")), Reply::Accepted);
    expect(&keeper, &SsdState::Mounted, "");
    // Once more is no harm, and formats nothing.
    let uuid = blkid(&disk, "UUID");
    assert_eq!(adopt(&mut keeper, &disk.id(), Some("SERIAL1")), Reply::Accepted);
    assert_eq!(blkid(&disk, "UUID"), uuid);
    let other = rig.plugged("SERIAL2", SMALL);
    refused(&adopt(&mut keeper, &other.id(), Some("SERIAL2")), RefusalCode::WrongState);
}

#[test]
fn a_disk_without_a_serial_number_is_formatted_only_by_hand() {
    let rig = Rig::new("empty");
    let disk = rig.disk("nameless", LARGE);
    rig.plug_as(&disk, None);
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::NotAdopted, "serial number");
    let id = disk.name.parse().unwrap();
    assert_eq!(adopt(&mut keeper, &id, Some(&disk.name)), Reply::Accepted);
    expect(&keeper, &SsdState::Mounted, "");
}

#[test]
fn two_disks_with_one_serial_number_are_not_told_apart() {
    let rig = Rig::new("none");
    let disks = [rig.disk("one", SMALL), rig.disk("two", SMALL)];
    disks.iter().for_each(|disk| rig.plug_as(disk, Some("0123456789ABCDEF")));
    let mut keeper = rig.start();
    let id = "0123456789ABCDEF".parse().unwrap();
    refused(&adopt(&mut keeper, &id, Some("0123456789ABCDEF")), RefusalCode::NotUnique);
}

/// What a power cut leaves behind, from just after the intent was kept to just before the last note.
fn interrupted(rig: &Rig, disk: &Disk, done: u32) {
    let uuid = "8095fee0-bcda-4d6a-abd6-22e604fc26db";
    let serial = disk.id();
    let intent = format!(
        r#"{{"intent":"format","disk":"{serial}","has_serial":true,"model":null,"partition":null,"uuid":"{uuid}"}}"#
    );
    fs::write(&rig.config.intent, intent).unwrap();
    match done {
        0 => {}
        // Inode tables and a journal without a superblock.
        1 => disk.write(MIB, &[0x5a; 65536]),
        2 => disk.write(4096, &[0x5a; 65536]),
        _ => drop(run("mke2fs", &["-q", "-F", "-t", "ext4", "-L", "lucid-data", "-U", uuid, &disk.device()])),
    }
}

#[test]
fn an_interrupted_formatting_is_finished() {
    for done in 0..4 {
        let rig = Rig::new("none");
        let disk = rig.plugged("SERIAL1", SMALL);
        interrupted(&rig, &disk, done);
        let report = expect(&rig.start(), &SsdState::Mounted, "");
        assert_eq!(report.adopted.unwrap().uuid, "8095fee0-bcda-4d6a-abd6-22e604fc26db", "after step {done}");
    }
}

#[test]
fn an_interrupted_formatting_waits_for_its_disk_and_takes_no_other() {
    let rig = Rig::new("empty");
    let disk = rig.disk("SERIAL1", LARGE);
    let other = rig.plugged("SERIAL2", LARGE);
    let untouched = other.fingerprint();
    interrupted(&rig, &disk, 0);
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::Absent, "SERIAL1");
    // Meanwhile it was used elsewhere.
    disk.make_ext4("holiday");
    rig.plug(&disk);
    let holiday = disk.fingerprint();
    keeper.look_and_act();
    expect(&keeper, &SsdState::Failed, "something else is on it");
    assert!(disk.fingerprint() == holiday && other.fingerprint() == untouched);
}

#[test]
fn a_damaged_note_formats_nothing() {
    let rig = Rig::new("empty");
    let disk = rig.plugged("SERIAL1", LARGE);
    let untouched = disk.fingerprint();
    fs::write(&rig.config.intent, "{\"intent\":\"use\",\"uu").unwrap();
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::Failed, "adopt the data disk again");
    assert!(disk.fingerprint() == untouched);
    assert_eq!(adopt(&mut keeper, &disk.id(), Some("SERIAL1")), Reply::Accepted);
    expect(&keeper, &SsdState::Mounted, "");
}

#[test]
fn without_a_note_nothing_is_formatted() {
    let mut rig = Rig::new("empty");
    rig.config.intent = rig.dir.path().join("read-only/ssd.json");
    let disk = rig.plugged("SERIAL1", LARGE);
    let untouched = disk.fingerprint();
    expect(&rig.start(), &SsdState::Failed, "ssd.json");
    assert!(disk.fingerprint() == untouched);
}
