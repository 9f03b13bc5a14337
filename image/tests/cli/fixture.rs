//! Inputs that are as small as they can be: a root tree with a stand-in for every file that is checked.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) const EPOCH: &str = "1760000000";

pub(crate) const CONFIG_TXT: &str = "os_check=1\n[boot_partition=2]\ncmdline=cmdline-a.txt\n[boot_partition=3]\n\
                                     cmdline=cmdline-b.txt\n[all]\n";

/// A folder with all inputs. Two have the same content, whatever `order` their files were made in.
pub(crate) struct Inputs {
    folder: TempDir,
    pub(crate) profile: &'static str,
    pub(crate) epoch: &'static str,
    pub(crate) version: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Backward,
}

impl Inputs {
    pub(crate) fn new() -> Self {
        Self::in_order(Order::Forward)
    }

    pub(crate) fn in_order(order: Order) -> Self {
        // In memory a folder lists its files in the order in which they were made; elsewhere by a hash of their names.
        let memory = Path::new("/dev/shm");
        let is_backward = order == Order::Backward && memory.is_dir();
        let folder = if is_backward { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let inputs = Self { folder, profile: "test", epoch: EPOCH, version: "1.2.3".to_owned() };
        let mut files = files();
        if order == Order::Backward {
            files.reverse();
        }
        for (path, mode, bytes) in files {
            inputs.write(&path, mode, &bytes);
        }
        for path in ["state", "mnt/myssd", "var", "tmp", "run", "proc", "sys", "dev", "boot"] {
            fs::create_dir_all(inputs.path("root").join(path)).unwrap();
        }
        symlink("lucid", inputs.path("root/usr/bin/lucid-init")).unwrap();
        symlink("usr/lib", inputs.path("root/lib")).unwrap();
        inputs.settle();
        inputs
    }

    /// What the umask of whoever runs this would change.
    fn settle(&self) {
        for entry in walk(&self.path("root")) {
            if entry.is_dir() && !entry.is_symlink() {
                fs::set_permissions(&entry, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, mode: u32, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// `lucid-image build` with these inputs, not started yet.
    pub(crate) fn command(&self, mut command: Command) -> Command {
        for name in ["root", "dtb", "out"] {
            let option = if name == "root" { "root-tree" } else { name };
            command.arg(format!("--{option}")).arg(self.path(name));
        }
        command.arg("--kernel").arg(self.path("Image")).arg("--config-txt").arg(self.path("config.txt"));
        command.arg("--overlays").arg(self.path("overlays"));
        command.args(["--profile", self.profile, "--source-date-epoch", self.epoch]);
        command.arg(format!("--version={}", self.version));
        command
    }

    /// Runs `lucid-image build`, with more arguments.
    pub(crate) fn build_with<'a>(&self, more: impl IntoIterator<Item = &'a str>) -> Output {
        let mut program = lucid_image();
        program.arg("build");
        self.command(program).args(more).output().unwrap()
    }

    /// Builds an image that must succeed.
    pub(crate) fn build(&self) -> PathBuf {
        succeed(self.build_with([]));
        self.path("out/lucid-pi5-1.2.3.img")
    }
}

pub(crate) fn lucid_image() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lucid-image"))
}

#[track_caller]
pub(crate) fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What it says of why it failed.
#[track_caller]
pub(crate) fn fail(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// What another tool says; it must succeed.
#[track_caller]
pub(crate) fn tool(name: &str, args: &[&str]) -> String {
    let beside = [name.to_owned(), format!("/usr/sbin/{name}")];
    let program = beside.iter().find(|path| Command::new(path).arg("--version").output().is_ok());
    let output = Command::new(program.unwrap_or_else(|| panic!("{name} is missing"))).args(args).output().unwrap();
    succeed(output)
}

/// A copy of an image, holes as holes.
pub(crate) fn copy(image: &Path) -> PathBuf {
    let to = image.with_extension("before");
    tool("cp", &["--sparse=always", image.to_str().unwrap(), to.to_str().unwrap()]);
    to
}

/// Where two files begin to differ, in the words of `cmp`; None if they are equal.
pub(crate) fn difference(one: &Path, other: &Path) -> Option<String> {
    let output = Command::new("cmp").args([one, other]).output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Everything below a folder, in any order, links not followed.
pub(crate) fn walk(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() && !found[at].is_symlink() {
            let entries: Vec<_> = fs::read_dir(&found[at]).unwrap().map(|entry| entry.unwrap().path()).collect();
            found.extend(entries);
        }
        at += 1;
    }
    found
}

fn files() -> Vec<(String, u32, Vec<u8>)> {
    let mut files = vec![
        ("root/usr/bin/lucid".to_owned(), 0o755, static_aarch64()),
        ("root/etc/machine-id".to_owned(), 0o444, vec![]),
        ("root/etc/hosts".to_owned(), 0o644, b"127.0.0.1 localhost\n".to_vec()),
        ("Image".to_owned(), 0o644, kernel()),
        ("config.txt".to_owned(), 0o644, CONFIG_TXT.into()),
        ("dtb/bcm2712-rpi-5-b.dtb".to_owned(), 0o644, device_tree()),
        ("dtb/bcm2712d0-rpi-5-b.dtb".to_owned(), 0o644, device_tree()),
        ("overlays/README".to_owned(), 0o644, b"overlays\n".to_vec()),
        ("overlays/b.dtbo".to_owned(), 0o644, device_tree()),
        ("overlays/a.dtbo".to_owned(), 0o644, device_tree()),
    ];
    for number in 0..200_u32 {
        // Text that compresses, noise that does not, and small files that go into one block.
        let bytes = match number % 3 {
            0 => format!("library {number}\n").repeat(3000).into_bytes(),
            1 => noise(number, 20_000),
            _ => noise(number, 90),
        };
        files.push((format!("root/usr/lib/part{}/file{number}", number % 7), 0o644, bytes));
    }
    files
}

/// Bytes that no compressor makes smaller, the same for the same seed (xorshift32).
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The header of a static program for aarch64, with one segment to load.
fn static_aarch64() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64 + 56, 0);
    for (at, number) in [(16, 2_u16), (18, 183), (20, 1), (52, 64), (54, 56), (56, 1), (58, 64)] {
        bytes[at..at + 2].copy_from_slice(&number.to_le_bytes());
    }
    bytes[32] = 64;
    bytes[64] = 1;
    bytes
}

fn kernel() -> Vec<u8> {
    let mut bytes = noise(1, 100_000);
    bytes[..2].copy_from_slice(b"MZ");
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

fn device_tree() -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..8].copy_from_slice(&[0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 64]);
    bytes
}
