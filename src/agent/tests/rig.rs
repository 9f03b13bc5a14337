//! A machine to keep a data disk on.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lucid_agent_protocol::{DiskId, Reply, SsdReport, SsdState};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use crate::keeper::{self, Keeper};
use crate::{Config, Managed};

pub(super) const MIB: u64 = 1024 * 1024;
/// Large enough to be taken for the data disk without being asked; sparse.
pub(super) const LARGE: u64 = 1100 * MIB;
pub(super) const SMALL: u64 = 64 * MIB;
/// Owner of the folders on the data disk.
pub(super) const USER: u32 = 65532;

/// A machine: folders for what is kept, a mount point, and a tree of devices of its own.
pub(super) struct Rig {
    pub(super) dir: TempDir,
    pub(super) config: Config,
}

/// A disk: a loop device over a sparse file.
pub(super) struct Disk {
    pub(super) file: PathBuf,
    pub(super) name: String,
}

impl Rig {
    /// One with `consent` in its provisioning.
    pub(super) fn new(consent: &str) -> Self {
        private_mounts();
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["disks", "mnt", "sys/block", "sys/dev/block", "sys/devices"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        symlink("/sys/fs", at("sys/fs")).unwrap();
        fs::write(at("ssd.toml"), format!("consent = \"{consent}\"\n")).unwrap();
        let config = Config {
            socket: at("agent.sock"),
            user: USER,
            intent: at("ssd.json"),
            consent: at("ssd.toml"),
            network: at("network.toml"),
            attempts: at("attempts.json"),
            boot_report: at("boot.json"),
            mount_point: at("mnt"),
            sys: at("sys"),
            root: "/".into(),
            update: at("update"),
            slot_book: at("slots.json"),
            fallback: at("fallback.json"),
            update_root: at("update-root"),
            managed: Managed::Hardware,
        };
        Self { dir, config }
    }

    /// A keeper after a start, which trusts at once that no more disks are on their way.
    pub(super) fn start(&self) -> Keeper {
        let mut keeper = Keeper::new(Arc::new(self.config.clone()));
        keeper.settle = Duration::ZERO;
        keeper.look_and_act();
        keeper
    }

    /// A disk of zeros, not yet plugged in.
    pub(super) fn disk(&self, name: &str, bytes: u64) -> Disk {
        let file = self.dir.path().join("disks").join(name);
        File::create_new(&file).unwrap().set_len(bytes).unwrap();
        Disk::attach(file, &[])
    }

    /// A disk plugged in with its file's name as serial number.
    pub(super) fn plugged(&self, name: &str, bytes: u64) -> Disk {
        let disk = self.disk(name, bytes);
        self.plug(&disk);
        disk
    }

    /// Plugs a disk in.
    pub(super) fn plug(&self, disk: &Disk) {
        let serial = disk.file.file_name().unwrap().to_str().unwrap();
        self.plug_as(disk, Some(serial));
    }

    /// Plugs a disk in, with a serial number or without. Simulated: the device is there before, and becomes visible.
    pub(super) fn plug_as(&self, disk: &Disk, serial: Option<&str>) {
        static SEQUENCE: AtomicU64 = AtomicU64::new(1);
        let (sys, real) = (&self.config.sys, Path::new("/sys/block").join(&disk.name));
        let dir = sys.join("devices").join(&disk.name);
        mirror(&real, &dir);
        fs::create_dir_all(dir.join("device")).unwrap();
        fs::write(dir.join("device/model"), "Model\n").unwrap();
        fs::write(dir.join("diskseq"), SEQUENCE.fetch_add(1, Ordering::Relaxed).to_string()).unwrap();
        if let Some(serial) = serial {
            fs::write(dir.join("device/serial"), format!("{serial}\n")).unwrap();
        }
        for entry in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.join("partition").exists() {
                link_device(sys, &entry);
            }
        }
        link_device(sys, &dir);
        symlink(&dir, sys.join("block").join(&disk.name)).unwrap();
    }

    /// Pulls a disk out. Simulated: it is no longer visible, and still answers whoever has it open.
    pub(super) fn unplug(&self, disk: &Disk) {
        fs::remove_file(self.config.sys.join("block").join(&disk.name)).unwrap();
        fs::remove_dir_all(self.config.sys.join("devices").join(&disk.name)).unwrap();
        let numbers = fs::read_dir(self.config.sys.join("dev/block")).unwrap();
        for link in numbers.map(|entry| entry.unwrap().path()).filter(|link| !link.exists()) {
            fs::remove_file(link).unwrap();
        }
    }

    /// Shows a disk under another name, as that of a device that is not there.
    pub(super) fn rename(&self, disk: &Disk, name: &str) {
        let (devices, block) = (self.config.sys.join("devices"), self.config.sys.join("block"));
        fs::rename(devices.join(&disk.name), devices.join(name)).unwrap();
        fs::remove_file(block.join(&disk.name)).unwrap();
        symlink(devices.join(name), block.join(name)).unwrap();
    }

    /// The options and the source of what is mounted at the mount point.
    pub(super) fn mount(&self) -> Option<(String, String)> {
        let mounts = keeper::mounts().unwrap();
        let mount = mounts.iter().rfind(|mount| mount.mount_point == self.config.mount_point)?;
        Some((mount.options.clone(), mount.source.clone()))
    }

    /// A path on the data disk.
    pub(super) fn on_disk(&self, path: &str) -> PathBuf {
        self.config.mount_point.join(path)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let mounts = keeper::mounts().unwrap_or_default();
        for mount in mounts.iter().rev().filter(|mount| mount.mount_point.starts_with(self.dir.path())) {
            let unmounted = rustix::mount::unmount(&mount.mount_point, UnmountFlags::DETACH);
            assert!(unmounted.is_ok() || std::thread::panicking(), "{mount:?} stays");
        }
    }
}

impl Disk {
    fn attach(file: PathBuf, options: &[&str]) -> Self {
        let device = run("losetup", &[&["--find", "--show"], options, &[file.to_str().unwrap()]].concat());
        let name = device.trim().strip_prefix("/dev/").expect("losetup prints the device").to_owned();
        let disk = Self { file, name };
        disk.forget_partitions();
        disk
    }

    /// The kernel keeps partitions that something had open when their loop device was detached; most have none.
    fn forget_partitions(&self) {
        let _ = Command::new("partx").args(["--delete", &self.device()]).output();
    }

    /// The same file as another device, which can't be written.
    pub(super) fn write_protected(self) -> Self {
        let file = self.file.clone();
        drop(self);
        Self::attach(file, &["--read-only"])
    }

    pub(super) fn device(&self) -> String {
        format!("/dev/{}", self.name)
    }

    pub(super) fn id(&self) -> DiskId {
        self.file.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Gives it a filesystem with a label.
    pub(super) fn make_ext4(&self, label: &str) {
        run("mke2fs", &["-q", "-F", "-t", "ext4", "-L", label, &self.device()]);
    }

    /// Overwrites bytes.
    pub(super) fn write(&self, at: u64, bytes: &[u8]) {
        let mut device = File::options().write(true).open(self.device()).unwrap();
        device.seek(SeekFrom::Start(at)).unwrap();
        device.write_all(bytes).unwrap();
        device.sync_all().unwrap();
    }

    /// Its first and last bytes, and how much of its file is allocated: what changes if anything is written.
    pub(super) fn fingerprint(&self) -> (Vec<u8>, Vec<u8>, u64) {
        File::open(self.device()).unwrap().sync_all().unwrap();
        let mut file = File::open(&self.file).unwrap();
        let mut read = |from| {
            let mut bytes = vec![0; 2 * usize::try_from(MIB).unwrap()];
            file.seek(from).unwrap();
            file.read_exact(&mut bytes).unwrap();
            bytes
        };
        let ends = (read(SeekFrom::Start(0)), read(SeekFrom::End(-2 * i64::try_from(MIB).unwrap())));
        (ends.0, ends.1, fs::metadata(&self.file).unwrap().blocks())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.forget_partitions();
        let detached = Command::new("losetup").args(["--detach", &self.device()]).status();
        assert!(detached.is_ok_and(|status| status.success()) || std::thread::panicking(), "{} stays", self.name);
    }
}

/// What a program printed; it has to succeed.
pub(super) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; these tests need root and `.ci/setup`"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The state that is reported, with a reason that holds `word`.
#[track_caller]
pub(super) fn expect(keeper: &Keeper, state: &SsdState, word: &str) -> SsdReport {
    let report = keeper.board().report();
    assert_eq!(&report.state, state, "{report:?}");
    assert!(report.reason.as_deref().unwrap_or_default().contains(word), "{report:?}");
    report
}

/// Gives an order and lets it be carried out.
pub(super) fn order(keeper: &mut Keeper, command: keeper::Command) -> Reply {
    // However late the two threads come to it.
    let (orders, ordered) = keeper::orders(Duration::from_secs(600));
    let placing = std::thread::spawn(move || orders.place(command));
    keeper.obey(&ordered.recv().unwrap());
    keeper.look_and_act();
    placing.join().unwrap()
}

/// Mounts of this thread are its own from here on, and end with it.
#[expect(deprecated, reason = "unsafe is only the sharing of descriptors, which stays")]
fn private_mounts() {
    let unshared = rustix::thread::unshare(UnshareFlags::NEWNS);
    assert!(unshared.is_ok(), "these tests mount disks and need root: {unshared:?}");
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).unwrap();
}

/// Copies what the agent reads of a device, and of its partitions.
fn mirror(real: &Path, copy: &Path) {
    for folder in ["holders", "slaves"] {
        fs::create_dir_all(copy.join(folder)).unwrap();
    }
    for file in ["dev", "size", "ro", "partition", "uevent"] {
        if let Ok(content) = fs::read(real.join(file)) {
            fs::write(copy.join(file), content).unwrap();
        }
    }
    for entry in fs::read_dir(real).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.join("partition").exists() {
            mirror(&entry, &copy.join(entry.file_name().unwrap()));
        }
    }
}

fn link_device(sys: &Path, dir: &Path) {
    let number = fs::read_to_string(dir.join("dev")).unwrap();
    symlink(dir, sys.join("dev/block").join(number.trim())).unwrap();
}
