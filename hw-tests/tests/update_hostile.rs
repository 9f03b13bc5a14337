//! Whoever means no good, and what went wrong before: one who has taken the supervisor over, bundles that must not be
//! installed, a state that was lost, an old EEPROM. Nothing of it may change what the box runs, and afterwards it goes
//! on.

mod attack;
mod forged;
mod lost;
mod refused;
mod speech;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use lucid_hw_tests::disk::DiskImage;
use lucid_layout::Partition;

/// Read at a time, in bytes.
const READ_BYTES: u64 = 1024 * 1024;

/// What the firmware and the running slot's kernel read, and nothing of ours writes but a commit: autoboot.txt, slot A.
pub(crate) const RUNNING: [Partition; 3] = [Partition::Autoboot, Partition::BootA, Partition::RootA];

/// The other slot.
const OTHER: [Partition; 2] = [Partition::BootB, Partition::RootB];

/// BLAKE3 of each of these partitions of a disk.
pub(crate) fn digests(disk: &Path, partitions: &[Partition]) -> Vec<(Partition, String)> {
    let table = DiskImage::open(disk).unwrap();
    partitions.iter().map(|partition| (*partition, digest(disk, table.place(partition.number()).unwrap()))).collect()
}

fn digest(disk: &Path, (start, bytes): (u64, u64)) -> String {
    let mut file = File::open(disk).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    let (mut hasher, mut left) = (blake3::Hasher::new(), bytes);
    let mut buffer = vec![0; usize::try_from(READ_BYTES).unwrap()];
    while left > 0 {
        let now = &mut buffer[..usize::try_from(left.min(READ_BYTES)).unwrap()];
        file.read_exact(now).unwrap();
        hasher.update(now);
        left -= now.len() as u64;
    }
    hasher.finalize().to_hex().to_string()
}
