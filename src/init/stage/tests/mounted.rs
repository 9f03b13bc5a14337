//! The stage with the kernel's own mounts, on a disk with the real partition table, FAT and ext4, in a mount namespace
//! of its own. Needs root.
//!
//! Partitions are told to the kernel by `partx`, since one that runs tests need not know GPT; so their names, which the
//! kernel would tell then, are laid over its own files.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use lucid_layout::disk::{MIB, SECTOR_BYTES};
use lucid_layout::provisioning::{consumed, template};
use rustix::fs::{FileType, Mode, makedev, mknodat};
use tempfile::TempDir;

use super::*;
use crate::system::Linux;

const STATE_MIB: u64 = 32;

/// Whether this is the process that may mount. The first one starts it, and takes its result for its own.
fn is_alone(test: &str) -> bool {
    assert!(rustix::process::getuid().is_root(), "this test mounts file systems: run it as root");
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).unwrap();
    let parent = rustix::process::getppid().unwrap().as_raw_nonzero().to_string();
    if namespace("self") != namespace(&parent) {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--uts", "--propagation", "private"]).arg(program);
    let ran = command.args(["--exact", &format!("stage::tests::mounted::{test}"), "--nocapture"]).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    println!("{told}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && told.contains("1 passed"), "it failed in its namespace");
    false
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; install fdisk, e2fsprogs, mount and util-linux"));
    assert!(ran.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// Where a partition begins and how long it is, in MiB. Boot partitions and the second root are not looked at.
fn extent(partition: Partition) -> (u64, u64) {
    match partition {
        Partition::Autoboot => (1, 64),
        Partition::BootA => (65, 1),
        Partition::BootB => (66, 1),
        Partition::RootA => (67, 16),
        Partition::RootB => (83, 1),
        Partition::State => (84, STATE_MIB),
        Partition::Data => unreachable!("not in the image"),
    }
}

/// A disk as a file.
struct Disk {
    dir: TempDir,
    image: PathBuf,
}

impl Disk {
    fn new(volume: &Volume) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        let end = 84 + STATE_MIB + 1;
        File::create(&image).unwrap().set_len(end * MIB).unwrap();
        let line = |partition: &Partition| {
            let (start, size) = extent(*partition);
            let sectors = MIB / SECTOR_BYTES;
            let (start, size, guid) = (start * sectors, size * sectors, partition.guid());
            format!("start={start}, size={size}, type=L, name={}, uuid={guid}\n", partition.name())
        };
        let script: String = Partition::IN_IMAGE.iter().map(line).collect();
        fs::write(dir.path().join("script"), format!("label: gpt\n{script}")).unwrap();
        let shell = format!("sfdisk -q '{0}/disk' < '{0}/script'", dir.path().display());
        tool("sh", &["-c", &shell]);
        let disk = Self { dir, image };
        disk.fill(Partition::Autoboot, &volume.image);
        disk.format(Partition::RootA);
        disk.format(Partition::State);
        disk
    }

    /// What the disk holds after the power is cut now: what has reached the file, and nothing that only lies in memory.
    fn cut(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        tool("cp", &["--sparse=always", self.image.to_str().unwrap(), image.to_str().unwrap()]);
        Self { dir, image }
    }

    fn fill(&self, partition: Partition, source: &Path) {
        let mut target = File::options().write(true).open(&self.image).unwrap();
        target.seek(SeekFrom::Start(extent(partition).0 * MIB)).unwrap();
        std::io::copy(&mut File::open(source).unwrap(), &mut target).unwrap();
    }

    fn format(&self, partition: Partition) {
        let (_, size) = extent(partition);
        let file = self.dir.path().join("ext4");
        File::create(&file).unwrap().set_len(size * MIB).unwrap();
        tool("mke2fs", &["-q", "-F", "-t", "ext4", file.to_str().unwrap()]);
        self.fill(partition, &file);
    }

    fn overwrite(&self, partition: Partition, byte: u8) {
        let (_, size) = extent(partition);
        let file = self.dir.path().join("garbage");
        fs::write(&file, vec![byte; (size * MIB) as usize]).unwrap();
        self.fill(partition, &file);
    }

    fn read(&self, partition: Partition) -> Vec<u8> {
        let (start, size) = extent(partition);
        let mut file = File::open(&self.image).unwrap();
        file.seek(SeekFrom::Start(start * MIB)).unwrap();
        let mut bytes = vec![];
        file.take(size * MIB).read_to_end(&mut bytes).unwrap();
        bytes
    }
}

/// A disk in a reader, with its root mounted, ready for the stage; taken out when dropped.
struct Machine {
    top: TempDir,
    root: Root,
    device: String,
}

impl Machine {
    fn insert(disk: &Disk, options: &[&str]) -> Self {
        let image = disk.image.to_str().unwrap();
        let device = tool("losetup", &[&["--find", "--show"], options, &[image]].concat());
        tool("partx", &["--add", &device]);
        let top = tempfile::tempdir().unwrap();
        let machine = Self { root: Root::elsewhere(top.path()), top, device };
        machine.populate(&machine.make_nodes(), options.contains(&"--read-only"));
        machine
    }

    fn name(&self) -> &str {
        self.device.strip_prefix("/dev/").unwrap()
    }

    /// A `/dev` of our own: the real one has the watchdog of the machine that runs the tests.
    fn make_nodes(&self) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let nodes = dir.path();
        tool("mount", &["-t", "tmpfs", "tmpfs", nodes.to_str().unwrap()]);
        for partition in Partition::IN_IMAGE {
            let name = format!("{}p{}", self.name(), partition.number());
            let numbers = fs::read_to_string(format!("/sys/class/block/{name}/dev")).unwrap();
            let (major, minor) = numbers.trim().split_once(':').unwrap();
            let device = makedev(major.parse().unwrap(), minor.parse().unwrap());
            mknodat(rustix::fs::CWD, nodes.join(name), FileType::BlockDevice, Mode::RUSR | Mode::WUSR, device).unwrap();
        }
        ["kmsg", "watchdog0"].iter().for_each(|name| fs::write(nodes.join(name), "").unwrap());
        dir
    }

    fn populate(&self, nodes: &TempDir, is_read_only: bool) {
        let (top, nodes) = (self.top.path(), nodes.path());
        let partition = nodes.join(format!("{}p4", self.name()));
        let (partition, top_text) = (partition.to_str().unwrap(), top.to_str().unwrap());
        let is_new = !is_read_only && {
            tool("mount", &["-t", "ext4", partition, top_text]);
            !top.join("state").exists()
        };
        if is_new {
            self.write_tree();
        }
        if !is_read_only {
            tool("mount", &["-o", "remount,ro", top_text]);
        } else {
            tool("mount", &["-t", "ext4", "-o", "ro,noload", partition, top_text]);
        }
        tool("mount", &["--move", nodes.to_str().unwrap(), top.join("dev").to_str().unwrap()]);
        self.lay_over("proc", "proc/cmdline", "quiet lucid.slot=a\n");
        for partition in Partition::IN_IMAGE {
            let (name, number) = (format!("{}p{}", self.name(), partition.number()), partition.number());
            let event = format!("DEVNAME={name}\nDEVTYPE=partition\nPARTN={number}\nPARTNAME={}\n", partition.name());
            self.lay_over("sysfs", &format!("sys/class/block/{name}/uevent"), &event);
        }
    }

    /// Puts a text in place of a file of the kernel, whose file system is mounted if it is not.
    fn lay_over(&self, kind: &str, path: &str, text: &str) {
        let mount_point = self.top.path().join(path.split('/').next().unwrap());
        if fs::read_dir(&mount_point).unwrap().next().is_none() {
            tool("mount", &["-t", kind, kind, mount_point.to_str().unwrap()]);
        }
        let source = self.top.path().join("dev").join(path.replace('/', "."));
        fs::write(&source, text).unwrap();
        let target = self.top.path().join(path);
        tool("mount", &["--bind", source.to_str().unwrap(), target.to_str().unwrap()]);
    }

    fn write_tree(&self) {
        for path in paths::MOUNT_POINTS {
            fs::create_dir_all(self.root.at(path)).unwrap();
        }
        file::write_volatile(&self.root.at("/etc/machine-id"), "").unwrap();
        file::write_volatile(&self.root.at(paths::BINARY), "").unwrap();
        fs::create_dir_all(self.root.at("/sbin")).unwrap();
        symlink("/sbin/e2fsck", self.root.at("/sbin/e2fsck")).unwrap();
    }

    fn boot(&self) -> BootReport {
        let report = run(&self.root, &Linux);
        println!("{}: {} ms", self.device, report.stage_ms);
        println!("{}", fs::read_to_string(self.root.at("/dev/kmsg")).unwrap());
        report
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.at(path)).unwrap()
    }

    /// Kind and options of what is mounted on a path, the topmost.
    fn mounted(&self, path: &str) -> Option<(String, Vec<String>)> {
        let target = self.root.at(path).display().to_string();
        let target = target.trim_end_matches('/');
        let table = fs::read_to_string("/proc/self/mounts").unwrap();
        let mut fields = table.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = fields.find(|fields| fields[1] == target)?;
        Some((found[2].to_owned(), found[3].split(',').map(ToOwned::to_owned).collect()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Nothing to be done about a failure while a test fails; the namespace ends with its process anyway.
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(self.top.path()).status();
        let _ = Command::new("partx").args(["--delete", &self.device]).status();
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

fn volume() -> Volume {
    Volume::with(files::PROVISIONING, &padded(FILE.replace("timezone", "#timezone").as_bytes()).unwrap())
}

#[test]
fn a_first_boot_mounts_everything_and_survives_a_cut() {
    if !is_alone("a_first_boot_mounts_everything_and_survives_a_cut") {
        return;
    }
    let volume = volume();
    let disk = Disk::new(&volume);
    let machine = Machine::insert(&disk, &[]);
    let report = machine.boot();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.state, report.provisioned, report.first_boot), (StateCondition::Fresh, true, true));
    assert_eq!((report.boot_disk.as_deref(), report.boot_count), (Some(machine.name()), Some(1)));
    assert_eq!(rustix::system::uname().nodename().to_str().unwrap(), "cellar");

    assert_mounts(&machine);
    assert_owners(&machine);
    let id = machine.text("/etc/machine-id");
    assert_eq!(id, machine.text(paths::MACHINE_ID));

    // The file's bytes changed, and no others.
    let mut expected = fs::read(&volume.image).unwrap();
    let place = lucid_fat::find(&volume.open(), files::PROVISIONING).unwrap();
    assert_eq!(place.extents.len(), 1);
    let begin = place.extents[0].offset as usize;
    expected[begin..begin + 32 * 1024].copy_from_slice(&consumed(32 * 1024));
    assert!(disk.read(Partition::Autoboot) == expected, "other bytes of the first partition changed");

    let after = disk.cut();
    drop(machine);
    let machine = Machine::insert(&after, &[]);
    let report = machine.boot();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.state, report.provisioned, report.first_boot), (StateCondition::Kept, true, false));
    assert_eq!((machine.text("/etc/machine-id"), machine.text(paths::CLAIM_CODE)), (id, CODE.to_owned()));
}

fn assert_mounts(machine: &Machine) {
    let check = |path: &str, kind: &str, options: &[&str]| {
        let (found, has) = machine.mounted(path).unwrap_or_else(|| panic!("nothing on {path}"));
        assert_eq!(found, kind, "{path}");
        let missing: Vec<_> = options.iter().filter(|option| !has.iter().any(|has| has == *option)).collect();
        assert!(missing.is_empty(), "{path} lacks {missing:?}, has {has:?}");
    };
    let state = ["rw", "nosuid", "nodev", "noexec", "noatime", "errors=remount-ro"];
    check("/state", "ext4", &state);
    check("/var/lib/systemd", "ext4", &state);
    check("/var/log/journal", "ext4", &state);
    check("/etc/machine-id", "ext4", &state);
    check("/var", "tmpfs", &["rw", "nosuid", "nodev", "mode=755", "size=65536k"]);
    check("/run", "tmpfs", &["nosuid", "nodev", "mode=755"]);
    check("/", "ext4", &["ro"]);
}

fn assert_owners(machine: &Machine) {
    let check = |path: &str, mode: u32, uid: u32| {
        let found = fs::metadata(machine.root.at(path)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (mode, uid, uid), "{path}");
    };
    check("/state", 0o755, 0);
    check("/state/agent", 0o700, 0);
    check("/state/lucid", 0o700, 65532);
    check("/state/lucid/claim.code", 0o600, 65532);
    check("/state/payments", 0o700, 65533);
    check("/state/machine-id", 0o444, 0);
    check("/run/lucid/boot.json", 0o644, 0);
    check("/var/tmp", 0o1777, 0);
}

#[test]
fn a_state_that_is_lost_or_damaged_locks_the_box() {
    if !is_alone("a_state_that_is_lost_or_damaged_locks_the_box") {
        return;
    }
    let disk = Disk::new(&Volume::with(files::PROVISIONING, &template()));
    assert_eq!(Machine::insert(&disk, &[]).boot().state, StateCondition::Fresh);
    let disk = disk.cut();
    let boot = || {
        let machine = Machine::insert(&disk, &[]);
        let report = machine.boot();
        let kind = machine.mounted("/state").unwrap().0;
        assert!(
            machine.root.at("/etc/machine-id").metadata().unwrap().len() == 33,
            "there is an identity all the same"
        );
        (report.state, kind, codes(&report).join(" "))
    };
    disk.format(Partition::State);
    assert_eq!(boot(), (StateCondition::Lost, "ext4".to_owned(), "state-lost".to_owned()));
    assert_eq!(boot(), (StateCondition::Lost, "ext4".to_owned(), "state-lost".to_owned()));
    for byte in [0, 0xff] {
        disk.overwrite(Partition::State, byte);
        let (state, kind, problems) = boot();
        assert_eq!((state, &*kind), (StateCondition::Unmountable, "tmpfs"));
        assert_eq!(problems, "state-check state-mount");
    }
}

#[test]
fn a_card_that_can_only_be_read_is_used_for_nothing() {
    if !is_alone("a_card_that_can_only_be_read_is_used_for_nothing") {
        return;
    }
    let disk = Disk::new(&volume());
    // Its root gets its tree, and nothing else happens.
    drop(Machine::insert(&disk, &[]));
    let before = (disk.read(Partition::Autoboot), disk.read(Partition::State));
    let machine = Machine::insert(&disk, &["--read-only"]);
    let report = machine.boot();
    assert_eq!((report.state, report.provisioned), (StateCondition::Unmountable, false));
    assert_eq!(codes(&report), ["state-check", "state-mount"]);
    assert_eq!(machine.mounted("/state").unwrap().0, "tmpfs");
    assert!(!machine.root.at(paths::CLAIM_CODE).exists(), "a claim code that can't be kept must not open the box");
    drop(machine);
    assert!((disk.read(Partition::Autoboot), disk.read(Partition::State)) == before);
}

#[test]
fn a_dirty_state_is_replayed() {
    if !is_alone("a_dirty_state_is_replayed") {
        return;
    }
    let disk = Disk::new(&volume());
    let machine = Machine::insert(&disk, &[]);
    machine.boot();
    // A file that was synced, and one that was not, when the power is cut.
    let mut synced = File::create(machine.root.at("/state/lucid/synced")).unwrap();
    synced.write_all(b"kept").unwrap();
    synced.sync_all().unwrap();
    drop(synced);
    File::open(machine.root.at("/state/lucid")).unwrap().sync_all().unwrap();
    let after = disk.cut();
    drop(machine);
    let machine = Machine::insert(&after, &[]);
    let report = machine.boot();
    assert!(report.problems.is_empty() && report.state == StateCondition::Kept, "{report:?}");
    assert_eq!(machine.text("/state/lucid/synced"), "kept");
}
