//! Block devices by the kernel's tree (kernel documents `sysfs-block`, `sysfs-class-block`): read from files only, so
//! that a list costs nothing and wakes no drive.
//!
//! Must never open a device.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lucid_agent_protocol::DiskId;
use lucid_device::Mount;

use crate::Managed;

/// The kernel counts in these, whatever the drive's own sectors are.
const SECTOR_BYTES: u64 = 512;
/// Where the running system is mounted. What lies on these disks is never formatted as a whole.
const SYSTEM_MOUNTS: [&str; 5] = ["/", "/usr", "/boot", "/boot/firmware", "/state"];
/// Devices upon devices: verity on a partition on a disk is three.
const DEPTH_MAX: u32 = 8;

/// A disk as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Such as `nvme0n1`.
    pub(crate) name: String,
    /// Its folder, links resolved.
    pub(crate) dir: PathBuf,
    /// `major:minor`.
    pub(crate) device: String,
    /// Size in bytes.
    pub(crate) size_bytes: u64,
    /// Grows with every disk that is attached, and with every change of a medium: a name that is used again, or another
    /// card in the same reader, shows here.
    pub(crate) sequence: Option<u64>,
    /// It can't be written.
    pub(crate) read_only: bool,
    /// Another device lies on it.
    pub(crate) held: bool,
    pub(crate) partitions: Vec<Partition>,
}

/// A partition as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) device: String,
    pub(crate) size_bytes: u64,
    /// Its name in the table.
    pub(crate) label: Option<String>,
    pub(crate) held: bool,
}

impl Block {
    /// By what it is named if it has no serial number.
    pub(crate) fn id(&self) -> DiskId {
        self.name.parse().expect("the kernel's names of disks are short and printable")
    }
}

/// The device file of a name.
pub(crate) fn path(name: &str) -> PathBuf {
    // The kernel writes a slash in a name as an exclamation mark.
    Path::new("/dev").join(name.replace('!', "/"))
}

/// Every disk with a medium in it, in the order of their names.
pub(crate) fn list(sys: &Path, managed: &Managed) -> io::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for entry in fs::read_dir(sys.join("block"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A disk that vanishes while it is read is none.
        let block = sys.join("block").join(&name).canonicalize().ok().and_then(|dir| block(name, dir));
        blocks.extend(block.filter(|block| is_managed(block, managed)));
    }
    blocks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(blocks)
}

/// The names of the disks on which the running system lies.
pub(crate) fn system(sys: &Path, mounts: &[Mount]) -> Vec<String> {
    let is_system = |mount: &&Mount| SYSTEM_MOUNTS.iter().any(|point| mount.mount_point == Path::new(point));
    let mut disks = Vec::new();
    for mount in mounts.iter().filter(is_system) {
        if let Ok(dir) = sys.join("dev/block").join(&mount.device).canonicalize() {
            disks_below(&dir, DEPTH_MAX, &mut disks);
        }
    }
    disks.sort();
    disks.dedup();
    disks
}

/// Whether the device is still there.
pub(crate) fn is_there(sys: &Path, device: &str) -> bool {
    sys.join("dev/block").join(device).exists()
}

/// Whether the device with this number can't be written.
pub(crate) fn is_read_only(sys: &Path, device: &str) -> bool {
    number(&sys.join("dev/block").join(device), "ro") == Some(1)
}

/// See [`Block::sequence`].
pub(crate) fn sequence(sys: &Path, disk: &str) -> Option<u64> {
    number(&sys.join("block").join(disk), "diskseq")
}

fn is_managed(block: &Block, managed: &Managed) -> bool {
    match managed {
        // What has no driver of its own is made of other disks, of files or of memory.
        Managed::Hardware => block.dir.join("device").exists(),
        Managed::Only(names) => names.contains(&block.name),
    }
}

fn block(name: String, dir: PathBuf) -> Option<Block> {
    let size_bytes = number(&dir, "size")?.saturating_mul(SECTOR_BYTES);
    // No medium, or one path of several to the same drive.
    if size_bytes == 0 || number(&dir, "hidden") == Some(1) {
        return None;
    }
    Some(Block {
        device: text(&dir, "dev")?,
        size_bytes,
        sequence: number(&dir, "diskseq"),
        read_only: number(&dir, "ro") == Some(1),
        held: is_held(&dir),
        partitions: partitions(&dir),
        name,
        dir,
    })
}

fn partitions(dir: &Path) -> Vec<Partition> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut partitions: Vec<_> = entries.filter_map(|entry| partition(&entry.path())).collect();
    partitions.sort_by_key(|partition| partition.number);
    partitions
}

fn partition(dir: &Path) -> Option<Partition> {
    let label = text(dir, "uevent").and_then(|uevent| {
        let line = uevent.lines().find_map(|line| line.strip_prefix("PARTNAME="));
        line.map(str::to_owned)
    });
    Some(Partition {
        number: number(dir, "partition")?.try_into().ok()?,
        name: dir.file_name()?.to_str()?.to_owned(),
        device: text(dir, "dev")?,
        size_bytes: number(dir, "size")?.saturating_mul(SECTOR_BYTES),
        label,
        held: is_held(dir),
    })
}

fn is_held(dir: &Path) -> bool {
    fs::read_dir(dir.join("holders")).is_ok_and(|mut holders| holders.next().is_some())
}

/// Adds the disks that the device in `dir` is made of.
fn disks_below(dir: &Path, depth: u32, disks: &mut Vec<String>) {
    let slaves = fs::read_dir(dir.join("slaves")).into_iter().flatten().flatten();
    let slaves: Vec<_> = slaves.filter_map(|slave| slave.path().canonicalize().ok()).collect();
    if depth > 0 && !slaves.is_empty() {
        slaves.iter().for_each(|slave| disks_below(slave, depth - 1, disks));
        return;
    }
    // A partition is a folder inside its disk's.
    let disk = if dir.join("partition").exists() { dir.parent() } else { Some(dir) };
    disks.extend(disk.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()));
}

fn text(dir: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(dir.join(file)).ok()?.trim().to_owned())
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    text(dir, file)?.parse().ok()
}

#[cfg(test)]
mod tests;
