//! A FAT volume for tests, made and read by dosfstools and mtools: not by our own code. Shared by the crates that read
//! one.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A volume as the image builder makes it, changed with mtools as a PC would.
pub(crate) struct Volume {
    pub(crate) dir: TempDir,
    pub(crate) image: PathBuf,
}

impl Volume {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("volume");
        File::create(&image).unwrap().set_len(64 * 1024 * 1024).unwrap();
        let volume = Self { dir, image };
        volume.tool("mkfs.fat", &["-F", "32", "-s", "1", "-n", "LUCID-BOOT", "--invariant"], &[]);
        volume
    }

    pub(crate) fn with(name: &str, content: &[u8]) -> Self {
        let volume = Self::new();
        volume.put(name, content);
        volume
    }

    /// Runs a program on the image: options, the image, then names on it.
    pub(crate) fn tool(&self, program: &str, options: &[&str], names: &[&str]) {
        let ran = Command::new(program).args(options).arg(&self.image).args(names).output();
        let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; install dosfstools and mtools"));
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let source = self.dir.path().join("source");
        fs::write(&source, content).unwrap();
        let (source, target) = (source.to_str().unwrap(), format!("::{name}"));
        self.tool("mcopy", &["-o", "-i"], &[source, &target]);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.tool("mdel", &["-i"], &[&format!("::{name}")]);
    }

    /// The file by mtools' reading, which is not ours.
    pub(crate) fn get(&self, name: &str) -> Vec<u8> {
        let read = Command::new("mtype").arg("-i").arg(&self.image).arg(format!("::{name}")).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        read.stdout
    }

    /// Puts a file into the holes that deleted ones left, so that no two of its first clusters are neighbours.
    pub(crate) fn put_fragmented(&self, name: &str, content: &[u8]) {
        let holes: Vec<String> = (0..40).map(|index| format!("hole{index}")).collect();
        holes.iter().for_each(|hole| self.put(hole, &[b'x'; 512]));
        holes.iter().step_by(2).for_each(|hole| self.remove(hole));
        // The hint at the next free cluster would lead behind the holes.
        let sector = self.read(512, 512);
        assert_eq!(&sector[..4], b"RRaA", "the information sector");
        self.write(512 + 492, &2_u32.to_le_bytes());
        self.put(name, content);
    }

    pub(crate) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.open().read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        fs::OpenOptions::new().write(true).open(&self.image).unwrap().write_all_at(bytes, offset).unwrap();
    }

    pub(crate) fn open(&self) -> File {
        File::open(&self.image).unwrap()
    }
}
