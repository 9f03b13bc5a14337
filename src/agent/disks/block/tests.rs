use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A tree of devices: each line is a folder below `devices` and its files as `name=content`.
fn tree(lines: &[&str]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let sys = dir.path();
    ["block", "dev/block"].iter().for_each(|folder| fs::create_dir_all(sys.join(folder)).unwrap());
    for line in lines {
        let mut words = line.split(' ');
        let folder = sys.join("devices").join(words.next().unwrap());
        fs::create_dir_all(&folder).unwrap();
        for (name, content) in words.filter_map(|word| word.split_once('=')) {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, format!("{}\n", content.replace(';', "\n"))).unwrap();
            if name == "dev" {
                symlink(&folder, sys.join("dev/block").join(content)).unwrap();
            }
        }
        if !folder.join("partition").exists() {
            symlink(&folder, sys.join("block").join(folder.file_name().unwrap())).unwrap();
        }
    }
    dir
}

/// A Pi that runs from NVMe, with a stick, an empty card reader and devices that are no hardware.
fn pi() -> TempDir {
    let dir = tree(&[
        "nvme0n1 dev=259:0 size=8000 ro=0 diskseq=9 device/x=",
        "nvme0n1/nvme0n1p4 dev=259:4 size=100 ro=0 partition=4 uevent=PARTN=4;PARTNAME=root-a",
        "nvme0n1/nvme0n1p6 dev=259:6 size=100 ro=0 partition=6 uevent=PARTN=6;PARTNAME=state",
        "nvme0n1/nvme0n1p10 dev=259:10 size=100 ro=0 partition=10",
        "nvme0c0n1 dev=259:20 size=8000 hidden=1 device/x=",
        "sda dev=8:0 size=2000 ro=1 diskseq=12 device/x=",
        "sdb dev=8:16 size=0 ro=0 device/x=",
        "dm-0 dev=254:0 size=100 ro=1",
        "loop0 dev=7:0 size=100 ro=0",
        "damaged dev=1:1 size=many device/x=",
    ]);
    let devices = dir.path().join("devices");
    fs::create_dir_all(devices.join("dm-0/slaves")).unwrap();
    symlink(devices.join("nvme0n1/nvme0n1p4"), devices.join("dm-0/slaves/nvme0n1p4")).unwrap();
    fs::create_dir_all(devices.join("nvme0n1/nvme0n1p4/holders/dm-0")).unwrap();
    dir
}

fn mounts(mountinfo: &[&str]) -> Vec<Mount> {
    let lines = mountinfo.iter().map(|mount| {
        let (device, point) = mount.split_once(' ').unwrap();
        format!("1 1 {device} / {point} rw - ext4 /dev/x rw")
    });
    lucid_device::mounts(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn disks_with_a_medium_are_listed_with_their_partitions() {
    let dir = pi();
    let list = list(dir.path(), &Managed::Hardware).unwrap();
    let names: Vec<_> = list.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "sda"]);
    let nvme = &list[0];
    assert_eq!((nvme.size_bytes, nvme.sequence, nvme.read_only, nvme.held), (8000 * 512, Some(9), false, false));
    let numbers: Vec<_> = nvme.partitions.iter().map(|partition| partition.number).collect();
    assert_eq!(numbers, [4, 6, 10]);
    let root = &nvme.partitions[0];
    assert_eq!((root.label.as_deref(), root.held, root.device.as_str()), (Some("root-a"), true, "259:4"));
    assert!(!nvme.partitions[1].held && nvme.partitions[2].label.is_none());
    assert!(list[1].read_only);
}

#[test]
fn only_the_named_disks_are_looked_at_where_some_are_named() {
    let dir = pi();
    let managed = Managed::Only(vec!["loop0".to_owned(), "nothing".to_owned()]);
    let list = list(dir.path(), &managed).unwrap();
    assert_eq!(list.iter().map(|block| block.name.as_str()).collect::<Vec<_>>(), ["loop0"]);
}

#[test]
fn the_systems_disk_is_found_below_verity_and_by_the_state() {
    let dir = pi();
    assert_eq!(system(dir.path(), &mounts(&["254:0 /"])), ["nvme0n1"]);
    assert_eq!(system(dir.path(), &mounts(&["0:20 /", "259:6 /state"])), ["nvme0n1"]);
    assert_eq!(system(dir.path(), &mounts(&["254:0 /", "259:6 /state", "8:0 /mnt/myssd"])), ["nvme0n1"]);
    assert!(system(dir.path(), &mounts(&["8:0 /mnt/myssd", "9:9 /"])).is_empty());
    let devices = dir.path().join("devices");
    fs::create_dir_all(devices.join("loop0/slaves")).unwrap();
    symlink(devices.join("loop0"), devices.join("loop0/slaves/loop0")).unwrap();
    assert_eq!(system(dir.path(), &mounts(&["7:0 /"])), ["loop0"], "a circle has an end");
}

#[test]
fn single_questions_are_answered_by_number_and_name() {
    let dir = pi();
    assert!(is_there(dir.path(), "259:6") && !is_there(dir.path(), "259:7"));
    assert!(is_read_only(dir.path(), "8:0") && !is_read_only(dir.path(), "259:6") && !is_read_only(dir.path(), "9:9"));
    assert_eq!((sequence(dir.path(), "sda"), sequence(dir.path(), "sdz")), (Some(12), None));
    assert_eq!(path("cciss!c0d0"), Path::new("/dev/cciss/c0d0"));
}
