//! Disks that are dirty, broken, full or can't be written.

use std::fs::{self, File};
use std::io::Write;

use lucid_agent_protocol::{CheckOutcome, RefusalCode, Reply, SsdState, Work};
use rustix::mount::MountFlags;

use super::rig::{Disk, Rig, SMALL, expect, order, run};
use crate::keeper::{Command, Keeper};

/// A machine that has adopted a disk, which is detached.
fn adopted() -> (Rig, Disk, Keeper) {
    let rig = Rig::new("labelled");
    let disk = rig.plugged("SERIAL1", SMALL);
    disk.make_ext4("lucid-data");
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::Mounted, "");
    fs::write(rig.on_disk("Lucid/data/file"), "recorded").unwrap();
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    (rig, disk, keeper)
}

#[test]
fn a_dirty_disk_is_mended_by_its_journal() {
    let rig = Rig::new("labelled");
    let disk = rig.plugged("SERIAL1", SMALL);
    disk.make_ext4("lucid-data");
    drop(rig.start());
    let mut file = File::create(rig.on_disk("Lucid/data/file")).unwrap();
    file.write_all(b"recorded").unwrap();
    file.sync_all().unwrap();
    // What a power cut leaves: the file as it is while mounted.
    let cut = rig.disk("SERIAL2", SMALL);
    cut.write(0, &fs::read(&disk.file).unwrap());
    drop(file);
    rustix::mount::unmount(&rig.config.mount_point, rustix::mount::UnmountFlags::empty()).unwrap();
    rig.unplug(&disk);
    rig.plug(&cut);
    let report = expect(&rig.start(), &SsdState::Mounted, "");
    let check = report.check.unwrap();
    assert!(check.said.contains("recovering journal"), "{check:?}");
    assert_eq!(fs::read_to_string(rig.on_disk("Lucid/data/file")).unwrap(), "recorded");
}

#[test]
fn damage_beyond_mending_waits_for_the_owners_leave() {
    let (rig, disk, mut keeper) = adopted();
    run("debugfs", &["-w", "-R", "clri /Lucid", &disk.device()]);
    // Nothing says that it is damaged until the damage is met; then the filesystem says so itself.
    assert_eq!(order(&mut keeper, Command::Mount), Reply::Accepted);
    expect(&keeper, &SsdState::Failed, "damaged");
    assert_eq!(order(&mut keeper, Command::Mount), Reply::Accepted);
    let report = expect(&keeper, &SsdState::Failed, "repaired");
    assert_eq!(report.check.unwrap().outcome, CheckOutcome::Uncorrected);
    assert!(rig.mount().is_none());
    let wrong = order(&mut keeper, Command::Repair { confirmation: "SERIAL2".parse().unwrap() });
    assert!(matches!(&wrong, Reply::Refused(refusal) if refusal.code == RefusalCode::NotConfirmed), "{wrong:?}");
    expect(&keeper, &SsdState::Failed, "repaired");
    assert_eq!(order(&mut keeper, Command::Repair { confirmation: disk.id() }), Reply::Accepted);
    expect(&keeper, &SsdState::Mounted, "");
    let mounted = order(&mut keeper, Command::Repair { confirmation: disk.id() });
    assert!(matches!(&mounted, Reply::Refused(refusal) if refusal.code == RefusalCode::WrongState), "{mounted:?}");
}

#[test]
fn a_write_protected_disk_is_mounted_for_reading() {
    let (rig, disk, keeper) = adopted();
    drop(keeper);
    rig.unplug(&disk);
    let disk = disk.write_protected();
    rig.plug(&disk);
    let report = expect(&rig.start(), &SsdState::ReadOnly, "write-protected");
    assert!(report.mount.unwrap().read_only && rig.mount().unwrap().0.split(',').any(|option| option == "ro"));
    assert_eq!(fs::read_to_string(rig.on_disk("Lucid/data/file")).unwrap(), "recorded");
}

#[test]
fn a_filesystem_that_stopped_writing_is_reported_and_checked_at_the_next_mount() {
    let (rig, _disk, mut keeper) = adopted();
    order(&mut keeper, Command::Mount);
    expect(&keeper, &SsdState::Mounted, "");
    // What ext4 does by itself when it meets an error.
    rustix::mount::mount_remount(&rig.config.mount_point, MountFlags::empty(), c"abort").unwrap();
    keeper.look_and_act();
    let report = expect(&keeper, &SsdState::ReadOnly, "met an error");
    assert!(report.mount.unwrap().errors.present().is_some_and(|errors| *errors > 0));
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    order(&mut keeper, Command::Mount);
    let report = expect(&keeper, &SsdState::Mounted, "");
    assert!(report.check.unwrap().said.contains("recovering journal"));
}

#[test]
fn a_full_disk_is_mounted_and_says_so() {
    let (rig, _disk, mut keeper) = adopted();
    order(&mut keeper, Command::Mount);
    let mut file = File::create(rig.on_disk("Lucid/data/filler")).unwrap();
    while file.write_all(&[1; 65536]).is_ok() {}
    drop(file);
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    order(&mut keeper, Command::Mount);
    let report = expect(&keeper, &SsdState::Mounted, "");
    assert!(report.mount.unwrap().free_bytes.present().is_some_and(|free| *free < 4 * 65536));
}

#[test]
fn while_a_disk_does_not_answer_its_state_does() {
    let (_rig, _disk, keeper) = adopted();
    let board = keeper.board();
    let seen = board.working(Work::Checking, || board.report().state);
    assert!(matches!(seen, SsdState::Working { work: Work::Checking, .. }), "{seen:?}");
    expect(&keeper, &SsdState::Detached, "");
}

#[test]
fn a_disk_that_can_not_be_read_is_named() {
    let rig = Rig::new("empty");
    let disk = rig.plugged("SERIAL1", SMALL);
    // Simulated: a device that is not there answers no read.
    rig.rename(&disk, "lucid-mute");
    let list = crate::keeper::list(&rig.config, None).unwrap();
    let reason = format!("{:?}", list[0].content);
    assert!(reason.contains("Unreadable") && reason.contains("/dev/lucid-mute"), "{reason}");
    expect(&rig.start(), &SsdState::NotAdopted, "no empty disk");
}
