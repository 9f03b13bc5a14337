use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A recorded shape of sysfs: a card whose root partition is mapped by dm-verity.
pub(crate) fn recorded(dir: &Path, root_partition: u32) {
    let block = "sys/devices/platform/soc/mmc0/block/mmcblk0";
    let write = |path: String, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(format!("{block}/uevent"), "MAJOR=179\nMINOR=0\nDEVNAME=mmcblk0\nDEVTYPE=disk\n");
    for partition in Partition::IN_IMAGE {
        let (number, name) = (partition.number(), partition.name());
        let place = format!("{block}/mmcblk0p{number}");
        write(format!("{place}/partition"), &format!("{number}\n"));
        let event = format!("DEVNAME=mmcblk0p{number}\nDEVTYPE=partition\nPARTN={number}\nPARTNAME={name}\n");
        write(format!("{place}/uevent"), &event);
    }
    let mapper = dir.join("sys/devices/virtual/block/dm-0");
    fs::create_dir_all(mapper.join("slaves")).unwrap();
    let slave = format!("mmcblk0p{root_partition}");
    let target = format!("../../../../platform/soc/mmc0/block/mmcblk0/{slave}");
    symlink(target, mapper.join("slaves").join(&slave)).unwrap();
    fs::create_dir_all(dir.join("sys/dev/block")).unwrap();
    symlink("../../devices/virtual/block/dm-0", dir.join("sys/dev/block/254:0")).unwrap();
    symlink(format!("../../../{block}/mmcblk0p4"), dir.join("sys/dev/block/179:4")).unwrap();
    symlink(format!("../../../{block}"), dir.join("sys/dev/block/179:0")).unwrap();
}

fn bench() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path(), 5);
    let root = Root::of_test(dir.path());
    (dir, root)
}

#[test]
fn follows_the_root_file_system_to_its_disk() {
    let (dir, root) = bench();
    let disk = BootDisk::find(&root, (254, 0)).unwrap();
    assert_eq!((&*disk.name, disk.root_partition), ("mmcblk0", 5));
    assert_eq!(disk.device(Partition::State).unwrap(), dir.path().join("dev/mmcblk0p6"));
    assert_eq!(disk.device(Partition::Autoboot).unwrap(), dir.path().join("dev/mmcblk0p1"));
    assert!(disk.confirm(Slot::B).is_ok());
    assert!(matches!(disk.confirm(Slot::A), Err(Error::SlotMismatch { slot: 'a', partition: 5 })));
    assert_eq!(BootDisk::find(&root, (179, 4)).unwrap().root_partition, 4, "not mapped");
}

#[test]
fn a_disk_of_another_layout_has_no_state() {
    let (dir, root) = bench();
    let place = dir.path().join("sys/devices/platform/soc/mmc0/block/mmcblk0");
    let event = place.join("mmcblk0p6/uevent");
    fs::write(&event, "DEVNAME=mmcblk0p6\nPARTNAME=swap\n").unwrap();
    let missing = |disk: BootDisk| matches!(disk.device(Partition::State), Err(Error::Partition { number: 6, .. }));
    assert!(missing(BootDisk::find(&root, (254, 0)).unwrap()), "a partition of another name");
    fs::remove_dir_all(place.join("mmcblk0p6")).unwrap();
    assert!(missing(BootDisk::find(&root, (254, 0)).unwrap()), "no partition");
}

#[test]
fn what_is_on_no_partition_is_an_error() {
    let (dir, root) = bench();
    assert!(matches!(BootDisk::find(&root, (179, 0)), Err(Error::NoPartition(name)) if name == "mmcblk0"));
    assert!(matches!(BootDisk::find(&root, (1, 2)), Err(Error::Io { .. })));
    let slaves = dir.path().join("sys/devices/virtual/block/dm-0/slaves");
    fs::remove_dir_all(&slaves).unwrap();
    fs::create_dir(&slaves).unwrap();
    symlink("../../dm-0", slaves.join("dm-0")).unwrap();
    assert!(matches!(BootDisk::find(&root, (254, 0)), Err(Error::NoPartition(_))), "mapped in a circle");
    fs::write(dir.path().join("sys/devices/platform/soc/mmc0/block/mmcblk0/mmcblk0p2/partition"), "x").unwrap();
    assert!(matches!(BootDisk::find(&root, (179, 4)), Err(Error::Damaged { .. })));
}
