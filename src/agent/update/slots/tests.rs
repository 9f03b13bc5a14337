//! The real disk: a loop device with the partition table of an image, in a tree of devices of the test's own. Needs
//! root.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lucid_layout::Profile;
use lucid_layout::disk::{DISK_GUID, MIB};
use tempfile::TempDir;

use super::*;
use crate::Managed;

/// Small, and with the image's names and GUIDs.
const SIZES: [u64; 6] = [2, 2, 2, 3, 3, 2];

/// A boot disk, attached until it is dropped.
struct Loop {
    dir: TempDir,
    name: String,
}

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; these tests need `.ci/setup`"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn table() -> String {
    let lines = Partition::IN_IMAGE.iter().zip(SIZES).map(|(partition, mib)| {
        let (kind, guid, name) = (partition.type_guid(), partition.guid(), partition.name());
        format!("size={mib}MiB, type={kind}, uuid={guid}, name=\"{name}\"\n")
    });
    format!("label: gpt\nlabel-id: {DISK_GUID}\n{}", lines.collect::<String>())
}

impl Loop {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let image = dir.path().join("disk");
        let bytes = Profile::TEST.autoboot_bytes;
        File::create(&image).unwrap().set_len(bytes).unwrap();
        run("sfdisk", &["-q", image.to_str().unwrap()], &table());
        let device = run("losetup", &["--find", "--show", image.to_str().unwrap()], "");
        // A kernel that runs tests need not know GPT.
        run("partx", &["--add", device.trim()], "");
        let name = device.trim().strip_prefix("/dev/").unwrap().to_owned();
        let disk = Self { dir, name };
        disk.show();
        disk
    }

    /// The tree of devices in which it is a disk: the kernel's own, with the partitions' names.
    fn show(&self) {
        let copy = |from: &Path, to: &Path| {
            fs::create_dir_all(to).unwrap();
            for file in ["dev", "size", "ro", "partition"].iter().filter(|file| from.join(file).exists()) {
                fs::copy(from.join(file), to.join(file)).unwrap();
            }
        };
        let (real, shown) = (Path::new("/sys/block").join(&self.name), self.shown());
        copy(&real, &shown);
        for partition in Partition::IN_IMAGE {
            let name = format!("{}p{}", self.name, partition.number());
            copy(&real.join(&name), &shown.join(&name));
            fs::write(shown.join(&name).join("uevent"), format!("PARTNAME={}\n", partition.name())).unwrap();
        }
    }

    fn shown(&self) -> PathBuf {
        self.dir.path().join("sys/block").join(&self.name)
    }

    fn slots(&self) -> Slots {
        let (sys, managed) = (self.dir.path().join("sys"), Managed::Only(vec![self.name.clone()]));
        Slots::new(Box::new(BootDisk::new(&sys, &managed, &self.name, Path::new("/"))))
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        let mut disk = File::options().write(true).open(Path::new("/dev").join(&self.name)).unwrap();
        disk.seek(SeekFrom::Start(offset)).unwrap();
        disk.write_all(bytes).unwrap();
        disk.sync_all().unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("partx", &["--delete", &format!("/dev/{}", self.name)], "");
        let detached = Command::new("losetup").args(["--detach", &format!("/dev/{}", self.name)]).status();
        assert!(detached.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn partitions_are_found_written_past_the_cache_and_read_back() {
    let disk = Loop::new();
    let device = disk.slots().disk.open(Partition::BootB, Access::Write).unwrap();
    assert_eq!(device.bytes(), SIZES[2] * MIB);
    // Memory and lengths that the kernel does not take as they are.
    let bytes: Vec<u8> = (0..5 * 512).map(|at| (at / 3) as u8).collect();
    device.write_at(512, &bytes[..1024]).unwrap();
    device.write_at(1536, &Aligned::copied(&bytes[1024..])).unwrap();
    device.flush().unwrap();
    let mut found = vec![0; 1777];
    let again = disk.slots().read(Partition::BootB).unwrap();
    again.read_exact_at(&mut found, 513).unwrap();
    assert_eq!(found, bytes[1..1778]);
    // It lies where the table says, and nowhere else.
    let begin = (1 + SIZES[0] + SIZES[1]) * MIB;
    let image = fs::read(disk.dir.path().join("disk")).unwrap();
    assert_eq!(image[begin as usize + 512..][..bytes.len()], bytes);
    let full = device.write_at(device.bytes() - 512, &[1; 1024]);
    assert!(full.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull));
    assert!(again.read_exact_at(&mut [0; 512], again.bytes() - 256).is_err());
}

#[test]
fn a_partition_counts_only_with_its_name_and_its_guid() {
    let disk = Loop::new();
    assert!(disk.slots().read(Partition::RootA).is_ok());
    assert!(disk.slots().read(Partition::Data).is_err(), "not in the table");
    // The unique GUID of the fourth entry.
    disk.write(2 * 512 + 3 * 128 + 16, &[7; 16]);
    let error = disk.slots().read(Partition::RootA).map(drop).unwrap_err();
    assert!(chain(&error).contains("no such partition"), "{error}");
    assert!(disk.slots().read(Partition::RootB).is_ok());
}

#[test]
fn the_machine_that_runs_this_has_no_slot() {
    let disk = Loop::new();
    let error = disk.slots().running().unwrap_err();
    assert!(matches!(error, SlotsError::Unknown(_)), "{error}");
    assert!(disk.slots().write(Slot::B).is_err(), "what runs is not known, so nothing is written");
}

#[test]
fn a_second_disk_of_the_same_ids_is_noticed() {
    let (disk, other) = (Loop::new(), Loop::new());
    assert_eq!(disk.slots().twin().unwrap(), None);
    symlink(other.shown(), disk.dir.path().join("sys/block").join(&other.name)).unwrap();
    let managed = Managed::Only(vec![disk.name.clone(), other.name.clone()]);
    let both = BootDisk::new(&disk.dir.path().join("sys"), &managed, &disk.name, Path::new("/"));
    assert_eq!(both.twin().unwrap().as_deref(), Some(&*other.name));
    assert_eq!(both.twin().unwrap().as_deref(), Some(&*other.name), "the same without looking again");
}

/// Threads of this process that look at other disks.
fn looking() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread that ends meanwhile has no name any more.
    threads.filter(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(|it| it == "lucid-twin\n")).count()
}

/// A FIFO is the disk: opening it hangs until somebody writes to it.
#[test]
fn a_disk_that_hangs_is_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let fifo = dir.path().join("hangs");
    run("mkfifo", &[fifo.to_str().unwrap()], "");
    // As the kernel writes a path in a name.
    let name = fifo.to_str().unwrap().replace('/', "!");
    let shown = dir.path().join("sys/block").join(&name);
    fs::create_dir_all(&shown).unwrap();
    fs::write(shown.join("size"), "8\n").unwrap();
    fs::write(shown.join("dev"), "8:0\n").unwrap();
    let managed = Managed::Only(vec![name.clone(), "coming".to_owned()]);
    let disk = BootDisk::new(&dir.path().join("sys"), &managed, "boots", Path::new("/"));
    let error = disk.twin_within(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, SlotsError::Unanswered { .. }) && error.to_string().contains(&name), "{error}");
    // Another disk comes. That is no reason for a second thread to hang, so that nothing is waited for.
    let coming = dir.path().join("sys/block/coming");
    fs::create_dir(&coming).unwrap();
    fs::write(coming.join("size"), "8\n").unwrap();
    fs::write(coming.join("dev"), "8:16\n").unwrap();
    let (began, patience) = (Instant::now(), Duration::from_secs(60));
    assert!(matches!(disk.twin_within(patience), Err(SlotsError::Unanswered { .. })));
    fs::remove_dir_all(coming).unwrap();
    assert!(matches!(disk.twin_within(patience), Err(SlotsError::Unanswered { .. })));
    assert!(began.elapsed() < patience, "a second thread looks");
    // It answers at last, and what was found is known.
    drop(File::options().write(true).open(&fifo).unwrap());
    while looking() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(disk.twin_within(Duration::ZERO).unwrap(), None);
}

#[test]
fn a_table_that_is_none_has_no_guids() {
    let dir = TempDir::new().unwrap();
    let guids = |content: &[u8]| {
        let path = dir.path().join("table");
        fs::write(&path, content).unwrap();
        table::partition_guids(&File::open(path).unwrap())
    };
    assert!(guids(&[]).unwrap().is_empty() && guids(&[0; 4096]).unwrap().is_empty());
    let mut header = vec![0; 1024];
    header[512..520].copy_from_slice(b"EFI PART");
    header[512 + 72..512 + 80].copy_from_slice(&u64::MAX.to_le_bytes());
    header[512 + 80..512 + 88].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 128, 0, 0, 0]);
    assert!(guids(&header).is_err(), "a place that no disk has");
}
