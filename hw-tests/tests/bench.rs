//! The bench of every test: a copy of the image, a board, a folder for its logs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use lucid_hw_tests::machine::{Board, Bus, Disk, Forward, Pi, Run};
use lucid_hw_tests::probe::{self, Probe};

/// A board on the bench. Its folder is removed with it, unless the test fails.
pub(crate) struct Bench {
    pub(crate) pi: Pi,
    folder: PathBuf,
}

fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pi").canonicalize().expect("hw-tests/image was run")
}

/// A file that `hw-tests/image` makes.
pub(crate) fn built(name: &str) -> PathBuf {
    let path = place().join(name);
    assert!(path.exists(), "{} is missing: run hw-tests/image (make test-pi does)", path.display());
    path
}

/// Copies a file without filling its holes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["--sparse=always", "--reflink=auto"]).args([from, to]).status().unwrap();
    assert!(copied.success(), "cannot copy {}", from.display());
}

impl Bench {
    /// A board that boots a fresh copy of the image, with an adopted-to-be SSD and the probe.
    pub(crate) fn new(name: &str) -> Self {
        let folder = place().join("tests").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let image = folder.join("disk.img");
        copy(&built("image/lucid.img"), &image);
        let mut board = Board::new(image);
        board.data_disk = Some(Disk::new(ssd(&folder), Bus::Nvme, "LUCID-SSD"));
        board.probe = Some(built("probe.img"));
        board.cmdline = probe::cmdline();
        Self { pi: Pi::new(board, &folder), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The disk that the board boots from.
    pub(crate) fn disk(&self) -> PathBuf {
        self.path("disk.img")
    }

    /// Makes a TCP port of the guest reachable from the next boot on. The port of this machine's loopback for it.
    pub(crate) fn forward(&mut self, guest: u16) -> u16 {
        let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        self.pi.board_mut().forwards.push(Forward { host, guest });
        host
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // After a failure the logs are what one wants to read.
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
    }
}

fn ssd(folder: &Path) -> PathBuf {
    let path = folder.join("ssd.img");
    fs::File::create(&path).unwrap().set_len(512 * 1024 * 1024).unwrap();
    let made = Command::new("mke2fs").args(["-q", "-t", "ext4", "-L", "lucid-data"]).arg(&path).status().unwrap();
    assert!(made.success());
    path
}

/// A property of the device tree that is one number.
pub(crate) fn cell(probe: &mut Probe, path: &str) -> u32 {
    let bytes = probe.read(&format!("/proc/device-tree/{path}")).unwrap();
    u32::from_be_bytes(bytes.try_into().expect("one cell"))
}

/// Restarts the system with an argument, as the update service does.
pub(crate) fn reboot(probe: &mut Probe, argument: Option<&str>) {
    let option = argument.map(|argument| format!("--reboot-argument={argument}"));
    let arguments: Vec<_> = ["reboot"].into_iter().chain(option.as_deref()).collect();
    let ran = probe.run("/usr/bin/systemctl", &arguments).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Waits until `done` says so; each look goes through the guest, which is all the waiting that is needed.
pub(crate) fn until(run: &Run, what: &str, mut done: impl FnMut() -> bool) {
    while !done() {
        assert!(run.elapsed().as_secs() < 600, "waited for {what}; see {}", run.log().display());
    }
}

/// What systemd says of a unit.
pub(crate) fn property(probe: &mut Probe, unit: &str, name: &str) -> String {
    let ran = probe.run("/usr/bin/systemctl", &["show", "--value", "--property", name, unit]).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.trim().to_owned()
}

/// The main process of a unit; 0 while it has none.
pub(crate) fn main_pid(probe: &mut Probe, unit: &str) -> i32 {
    property(probe, unit, "MainPID").parse().unwrap()
}

/// Waits until the box is ready.
pub(crate) fn ready(run: &Run, probe: &mut Probe) {
    // Early in the boot systemd may be too busy to answer, which is no state of the target.
    let arguments = ["is-active", "--quiet", "lucid-ready.target"];
    until(run, "lucid-ready.target", || probe.run("/usr/bin/systemctl", &arguments).unwrap().code == Some(0));
}
