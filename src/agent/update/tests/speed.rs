//! How fast an update is written, beside plain writing in the same run, and that what is written is what was sent. As a
//! test it is small; to measure, build it on a quiet machine with `LUCID_BENCH_DIR`, a folder on the disk to be
//! measured.

use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use lucid_layout::{Partition, Slot};

use super::bundles::{Content, bundle, content};
use super::rig::{MIB, Rig, updates_on};
use super::world::World;
use crate::update::slots::{Access, Aligned, BlockDevice, Device, Disk, SlotsError};

const MEASURES: bool = option_env!("LUCID_BENCH_DIR").is_some();
const ROOT: usize = if MEASURES { 448 * MIB } else { 12 * MIB };
const BOOT: usize = if MEASURES { 64 * MIB } else { 4 * MIB };

/// Slot B as files, past the cache; the rest in memory.
struct OnFiles {
    world: World,
    dir: PathBuf,
}

impl OnFiles {
    fn device(&self, partition: Partition, access: Access) -> BlockDevice {
        let bytes = if partition == Partition::RootB { ROOT } else { BOOT } as u64;
        BlockDevice::open(&self.dir.join(partition.name()), bytes, access).unwrap()
    }
}

impl Disk for OnFiles {
    fn mounted(&self) -> Result<Slot, SlotsError> {
        self.world.mounted()
    }

    fn open(&self, partition: Partition, access: Access) -> Result<Box<dyn Device>, SlotsError> {
        match partition {
            Partition::BootB | Partition::RootB => Ok(Box::new(self.device(partition, access))),
            _ => self.world.open(partition, access),
        }
    }

    fn twin(&self) -> Result<Option<String>, SlotsError> {
        Ok(None)
    }
}

/// MB/s of `bytes` since `begin`.
fn speed(bytes: usize, begin: Instant) -> f64 {
    bytes as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

/// As `dd bs=4M oflag=direct conv=fsync`.
fn raw(disk: &OnFiles, plain: &[u8]) -> f64 {
    let (device, begin) = (disk.device(Partition::RootB, Access::Write), Instant::now());
    for (number, piece) in plain.chunks(4 * MIB).enumerate() {
        device.write_at((number * 4 * MIB) as u64, &Aligned::copied(piece)).unwrap();
    }
    device.flush().unwrap();
    speed(plain.len(), begin)
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A bundle whose root is like a file system that is compressed itself: three of four bytes do not compress.
fn like_a_release() -> Content {
    let mut content = content(20, "2.0.0", 4, ROOT, BOOT);
    for page in content.root.chunks_mut(4096) {
        fastrand::fill(&mut page[..3072]);
    }
    content
}

#[test]
fn update_bench() {
    let dir = option_env!("LUCID_BENCH_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let content = like_a_release();
    let (bundle, rig) = (bundle(&content), Rig::new());
    for (partition, bytes) in [(Partition::BootB, BOOT), (Partition::RootB, ROOT)] {
        File::create(dir.path().join(partition.name())).unwrap().set_len(bytes as u64).unwrap();
    }
    let disk = OnFiles { world: rig.world.clone(), dir: dir.path().to_owned() };
    // Blocks of the files are there before anything is measured.
    raw(&disk, &content.root);
    let before = raw(&disk, &content.root);
    let booted = rig.updates.booted.clone();
    let disk = OnFiles { world: rig.world.clone(), dir: dir.path().to_owned() };
    let updates = updates_on(Box::new(disk), dir.path(), &rig.world, &rig.around, booted);
    updates.start();
    // The peak so far is the builder's: it begins anew (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (peak, begin) = (peak_kib(), Instant::now());
    let wish = crate::update::Wish { offset: 0, bundle: None, automatic: false };
    let mut bytes = Timer { bytes: &bundle.bytes, ended: None };
    updates.begin(&wish).unwrap().run(&mut bytes).unwrap();
    let written = (ROOT + BOOT) as f64 / 1e6 / (bytes.ended.unwrap() - begin).as_secs_f64();
    let (whole, grown) = (speed(ROOT + BOOT, begin), peak_kib().saturating_sub(peak));
    let after = raw(&OnFiles { world: rig.world.clone(), dir: dir.path().to_owned() }, &content.root);
    println!(
        "raw before {before:.0} MB/s, after {after:.0} MB/s; installed {written:.0} MB/s, read back included {whole:.0}"
    );
    let slot = std::fs::read(dir.path().join(Partition::RootB.name())).unwrap();
    assert!(slot.starts_with(&content.root), "what was sent is what is there");
    println!("memory grew by {grown} KiB at its peak; the bundle has {} bytes", bundle.bytes.len());
}

/// Tells when the last byte was taken, and with it all but the last flush was done.
struct Timer<'a> {
    bytes: &'a [u8],
    ended: Option<Instant>,
}

impl std::io::Read for Timer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.bytes.is_empty() {
            self.ended = Some(Instant::now());
        }
        self.bytes.read(buffer)
    }
}
