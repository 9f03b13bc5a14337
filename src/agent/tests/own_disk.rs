//! A system that runs from an NVMe disk brings its own data partition.

use std::fs;
use std::path::{Path, PathBuf};

use lucid_agent_protocol::Content;
use lucid_layout::{Partition, Profile};

use super::rig::{Disk, LARGE, MIB, Rig, run};
use crate::data_partition;
use crate::disks::{self, Seen, block};
use crate::keeper::mounts;

/// A disk that the image was written to, as the kernel knows it, with its state partition mounted.
struct Flashed {
    disk: Disk,
    state: PathBuf,
}

impl Drop for Flashed {
    fn drop(&mut self) {
        // Before the disk goes: a loop device keeps a partition that is mounted.
        let unmounted = rustix::mount::unmount(&self.state, rustix::mount::UnmountFlags::empty());
        assert!(unmounted.is_ok() || std::thread::panicking(), "{} stays", self.state.display());
    }
}

fn flashed(rig: &Rig, bytes: u64) -> Flashed {
    let disk = rig.disk("nvme", bytes);
    let mut table = format!("label: gpt\nlabel-id: {}\n", lucid_layout::disk::DISK_GUID);
    for partition in Partition::IN_IMAGE {
        let (kind, guid, name) = (partition.type_guid(), partition.guid(), partition.name());
        table += &format!("size=16MiB, type={kind}, uuid={guid}, name=\"{name}\"\n");
    }
    // The image has its second table at its own end, which is not the disk's.
    let image = rig.dir.path().join("image");
    fs::File::create_new(&image).unwrap().set_len(128 * MIB).unwrap();
    let script = rig.dir.path().join("table");
    fs::write(&script, table).unwrap();
    run("sh", &["-c", &format!("sfdisk --quiet {} < {}", image.display(), script.display())]);
    disk.write(0, &fs::read(&image).unwrap());
    run("partx", &["--add", &disk.device()]);
    let state = format!("{}p6", disk.device());
    run("mke2fs", &["-q", "-F", "-t", "ext4", &state]);
    let point = rig.dir.path().join("state");
    fs::create_dir(&point).unwrap();
    rustix::mount::mount(state, &point, "ext4", rustix::mount::MountFlags::empty(), None).unwrap();
    Flashed { disk, state: point }
}

fn seen(rig: &Rig) -> Seen {
    let blocks = block::list(&rig.config.sys, &rig.config.managed).unwrap();
    disks::look(&blocks, &[blocks[0].name.clone()], &mounts().unwrap()).remove(0)
}

/// With the transport that a loop device does not have.
fn as_nvme(mut seen: Seen) -> Seen {
    seen.drive.transport = lucid_device::Transport::Nvme;
    seen
}

#[test]
fn the_partition_is_added_behind_the_mounted_ones() {
    let rig = Rig::new("none");
    let flashed = flashed(&rig, 2 * LARGE);
    rig.plug(&flashed.disk);
    let before = seen(&rig);
    assert!(matches!(&before.content, Content::PartitionTable { kind, .. } if kind == "gpt"), "{:?}", before.content);
    assert!(!data_partition::has_room(&before), "only on NVMe");
    assert!(data_partition::has_room(&as_nvme(before)));
    data_partition::make(&seen(&rig)).unwrap();
    rig.unplug(&flashed.disk);
    rig.plug(&flashed.disk);
    let after = as_nvme(seen(&rig));
    assert!(!data_partition::has_room(&after));
    let data = after.volumes.last().unwrap();
    // By the table: the kernel was told of the partition, and not of its name.
    assert_eq!((data.partition.clone(), &data.content), (Some((7, Some("data".to_owned()))), &Content::Empty));
    assert!(data.size_bytes > LARGE);
    let table = run("sfdisk", &["--dump", &flashed.disk.device()]);
    let line = table.lines().last().unwrap().to_lowercase();
    assert!(line.contains(Partition::Data.guid()) && line.contains("name=\"data\""), "{line}");
    // The image is written anew up to its own second table, a mebibyte behind its last partition, and no further.
    let start = line.split("start=").nth(1).unwrap().split(',').next().unwrap().trim().to_owned();
    assert_eq!(start.parse::<u64>().unwrap() * 512, (1 + 6 * 16 + 1) * MIB);
    assert_eq!(table.matches("start=").count(), 7);
    assert!(run("sfdisk", &["--verify", &flashed.disk.device()]).contains("No errors"));
}

#[test]
fn a_partition_that_only_the_table_knows_is_not_made_twice() {
    let rig = Rig::new("none");
    let flashed = flashed(&rig, 2 * LARGE);
    rig.plug(&flashed.disk);
    let before = seen(&rig);
    data_partition::make(&before).unwrap();
    run("partx", &["--delete", "--nr", "7", &flashed.disk.device()]);
    data_partition::make(&before).unwrap();
    assert_eq!(run("sfdisk", &["--dump", &flashed.disk.device()]).matches("start=").count(), 7);
    assert!(Path::new(&format!("/sys/block/{0}/{0}p7", flashed.disk.name)).exists());
}

#[test]
fn a_small_disk_or_a_foreign_table_has_no_room() {
    let rig = Rig::new("none");
    let small = flashed(&rig, LARGE);
    rig.plug(&small.disk);
    assert!(!data_partition::has_room(&as_nvme(seen(&rig))), "the rest is too small");
    assert!(Profile::RELEASE.disk_bytes() > LARGE, "such a disk could not hold the release anyway");
    let rig = Rig::new("none");
    let flashed = flashed(&rig, 2 * LARGE);
    rig.plug(&flashed.disk);
    let mut foreign = as_nvme(seen(&rig));
    let uuid = Some("47607776-84e7-bf44-87c3-9005006e5bb6".to_owned());
    foreign.content = Content::PartitionTable { kind: "gpt".to_owned(), uuid };
    assert!(!data_partition::has_room(&foreign));
    let other_system = Seen { system: false, ..as_nvme(seen(&rig)) };
    assert!(!data_partition::has_room(&other_system));
}
