//! A disk of the appliance, there and gone.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use lucid_agent_protocol::{CheckOutcome, RefusalCode, Reply, SsdState};
use rustix::mount::{MountFlags, UnmountFlags};

use super::rig::{Rig, SMALL, USER, expect, order, run};
use crate::keeper::Command;

/// A machine with one disk of the appliance, that was allowed.
fn with_disk() -> (Rig, super::rig::Disk) {
    let rig = Rig::new("labelled");
    let disk = rig.plugged("SERIAL1", SMALL);
    disk.make_ext4("lucid-data");
    (rig, disk)
}

#[test]
fn in_rescue_no_disk_is_touched() {
    let (rig, _disk) = with_disk();
    let report = r#"{"slot":"a","boot_count":4,"first_boot":false,"state":"kept","provisioned":true,"serial":null,
                     "rescue":"it failed three times","problems":[]}"#;
    fs::write(&rig.config.boot_report, report).unwrap();
    let keeper = rig.start();
    expect(&keeper, &SsdState::Detached, "in rescue");
    assert_eq!(rig.mount(), None);
}

#[test]
fn a_labelled_disk_is_checked_mounted_and_made_ready() {
    let (rig, disk) = with_disk();
    let keeper = rig.start();
    let report = expect(&keeper, &SsdState::Mounted, "");
    assert_eq!(report.check.unwrap().outcome, CheckOutcome::Clean);
    assert_eq!(report.adopted.unwrap().disk, disk.id());
    let mounted = report.mount.unwrap();
    assert_eq!(mounted.errors.present(), Some(&0));
    assert!(mounted.free_bytes.present() <= mounted.size_bytes.present() && !mounted.read_only);
    let (options, source) = rig.mount().unwrap();
    assert_eq!(source, disk.device());
    for option in ["rw", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(options.split(',').any(|set| set == option), "{option} is not in {options}");
    }
    let info = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let line = info.lines().find(|line| line.contains(rig.config.mount_point.to_str().unwrap())).unwrap();
    assert!(line.contains("errors=remount-ro"), "{line}");
    for folder in ["Lucid", "Lucid/data", "Lucid/logs", "Lucid/backup"] {
        let metadata = fs::symlink_metadata(rig.on_disk(folder)).unwrap();
        assert!(metadata.is_dir(), "{folder}");
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (USER, USER, 0o700), "{folder}");
    }
}

#[test]
fn it_is_known_by_its_uuid_after_a_restart() {
    let (rig, disk) = with_disk();
    drop(rig.start());
    // The agent alone was started anew: the mount is still there.
    expect(&rig.start(), &SsdState::Mounted, "");
    rustix::mount::unmount(&rig.config.mount_point, UnmountFlags::empty()).unwrap();
    // The box was: neither label nor leave matter any more, and other disks do not.
    run("e2label", &[&disk.device(), "holiday"]);
    fs::write(&rig.config.consent, "consent = \"none\"\n").unwrap();
    let other = rig.plugged("SERIAL2", SMALL);
    other.make_ext4("lucid-data");
    expect(&rig.start(), &SsdState::Mounted, "");
    assert_eq!(rig.mount().unwrap().1, disk.device());
}

#[test]
fn without_leave_nothing_is_adopted() {
    for consent in ["none", "labelled"] {
        let rig = Rig::new(consent);
        let disk = rig.plugged("SERIAL1", SMALL);
        disk.make_ext4(if consent == "none" { "lucid-data" } else { "other" });
        expect(&rig.start(), &SsdState::NotAdopted, "");
        assert!(rig.mount().is_none() && !rig.config.intent.exists());
    }
    let rig = Rig::new("labelled");
    fs::write(&rig.config.consent, "consent = \"everything\"\n").unwrap();
    expect(&rig.start(), &SsdState::Failed, "ssd.toml");
    fs::remove_file(&rig.config.consent).unwrap();
    expect(&rig.start(), &SsdState::NotAdopted, "no disk was adopted");
}

#[test]
fn a_disk_that_is_pulled_out_is_let_go_and_comes_back() {
    let (rig, disk) = with_disk();
    let mut keeper = rig.start();
    let open = File::create(rig.on_disk("Lucid/data/recording")).unwrap();
    rig.unplug(&disk);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Absent, "unplugged");
    assert!(rig.mount().is_none(), "what is left of it is unmounted although a file is open");
    keeper.look_and_act();
    expect(&keeper, &SsdState::Absent, "Model with serial number `SERIAL1`");
    drop(open);
    rig.plug(&disk);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Mounted, "");
    // Out and in again between two looks: the name is the same, the attachment is not.
    rig.unplug(&disk);
    rig.plug(&disk);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Absent, "unplugged");
    keeper.look_and_act();
    expect(&keeper, &SsdState::Mounted, "");
}

#[test]
fn detached_it_stays_until_it_is_asked_for_or_plugged_in_anew() {
    let (rig, disk) = with_disk();
    drop(rig.start());
    let mut keeper = rig.start();
    let open = File::create(rig.on_disk("Lucid/data/recording")).unwrap();
    let refused = order(&mut keeper, Command::Detach);
    assert!(matches!(&refused, Reply::Refused(refusal) if refusal.code == RefusalCode::Busy), "{refused:?}");
    expect(&keeper, &SsdState::Mounted, "");
    drop(open);
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    assert!(rig.mount().is_none());
    let other = rig.plugged("SERIAL2", SMALL);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Detached, "may be unplugged");
    rig.unplug(&other);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Detached, "may be unplugged");
    assert_eq!(order(&mut keeper, Command::Mount), Reply::Accepted);
    expect(&keeper, &SsdState::Mounted, "");
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    rig.unplug(&disk);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Absent, "connect it");
    rig.plug(&disk);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Mounted, "");
}

#[test]
fn two_copies_are_not_guessed_between() {
    let (rig, disk) = with_disk();
    let copy = rig.disk("SERIAL2", SMALL);
    copy.write(0, &fs::read(&disk.file).unwrap());
    let mut keeper = rig.start();
    expect(&keeper, &SsdState::Mounted, "");
    assert_eq!(order(&mut keeper, Command::Detach), Reply::Done);
    rig.plug(&copy);
    order(&mut keeper, Command::Mount);
    expect(&keeper, &SsdState::Failed, "two copies");
    rig.unplug(&copy);
    keeper.look_and_act();
    expect(&keeper, &SsdState::Mounted, "");
}

#[test]
fn links_on_the_disk_lead_nowhere() {
    let (rig, disk) = with_disk();
    let outside = rig.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::set_permissions(&outside, Permissions::from_mode(0o755)).unwrap();
    let point = &rig.config.mount_point;
    let mount = |flags| rustix::mount::mount(disk.device(), point, "ext4", flags, None).unwrap();
    mount(MountFlags::empty());
    symlink(&outside, point.join("Lucid")).unwrap();
    rustix::mount::unmount(point, UnmountFlags::empty()).unwrap();
    expect(&rig.start(), &SsdState::Failed, "Lucid");
    let metadata = fs::metadata(&outside).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (0, 0o755));
    assert!(rig.mount().is_none() && fs::read_dir(&outside).unwrap().next().is_none());
}
