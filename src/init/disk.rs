//! The boot disk: the one that the root file system in force lies on, and its partitions.
//!
//! Asked of sysfs from the mounted root downwards, so that of two Lucid disks with equal partition ids it is the one
//! that really was booted. Must never guess by a label or by the order of disks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lucid_layout::{Partition, Slot};

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// sysfs gives one page at most.
const SYSFS_BYTES_MAX: u64 = 4096;

/// Device-mapper devices on each other: one in use, more only in a circle, which the kernel does not make.
const MAPPERS_MAX: usize = 4;

/// The boot disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BootDisk {
    /// As the kernel calls it, for example `mmcblk0`.
    pub(crate) name: String,
    /// Number of the partition that the root file system lies on.
    pub(crate) root_partition: u32,
    partitions: BTreeMap<u32, Known>,
}

/// A partition as sysfs shows it.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    device: PathBuf,
    name: String,
}

impl BootDisk {
    /// The disk on which the block device `(major, minor)` lies, be it a partition or mapped onto one.
    pub(crate) fn find(root: &Root, (major, minor): (u32, u32)) -> Result<Self, Error> {
        let device = resolve(&root.at(format!("/sys/dev/block/{major}:{minor}")))?;
        let partition = below_mappers(device)?;
        let disk = partition.parent().unwrap_or(Path::new("/"));
        let root_partition = number(&partition)?.ok_or_else(|| Error::NoPartition(name_of(&partition)))?;
        Ok(Self { name: name_of(disk), root_partition, partitions: partitions(root, disk)? })
    }

    /// The device of a partition of the layout.
    pub(crate) fn device(&self, partition: Partition) -> Result<&Path, Error> {
        let (number, name) = (partition.number(), partition.name());
        let known = self.partitions.get(&number).filter(|known| known.name == name);
        known.map(|known| &*known.device).ok_or(Error::Partition { number, name })
    }

    /// Whether the root file system is the one of `slot`.
    pub(crate) fn confirm(&self, slot: Slot) -> Result<(), Error> {
        if slot.root().number() == self.root_partition {
            return Ok(());
        }
        Err(Error::SlotMismatch { slot: slot.letter(), partition: self.root_partition })
    }
}

/// Follows device-mapper devices to what they lie on. Verity's data and tree are on one device.
fn below_mappers(mut device: PathBuf) -> Result<PathBuf, Error> {
    for _ in 0..MAPPERS_MAX {
        let slaves = device.join("slaves");
        let Some(slave) = entries(&slaves)?.into_iter().min() else { return Ok(device) };
        device = resolve(&slave)?;
    }
    Err(Error::NoPartition(name_of(&device)))
}

fn partitions(root: &Root, disk: &Path) -> Result<BTreeMap<u32, Known>, Error> {
    let mut partitions = BTreeMap::new();
    for directory in entries(disk)? {
        let Some(number) = number(&directory)? else { continue };
        let event = file::read(&directory.join("uevent"), SYSFS_BYTES_MAX)?.unwrap_or_default();
        let field = |key: &str| event.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let device = root.at("/dev").join(field("DEVNAME").unwrap_or(&name_of(&directory)));
        let name = field("PARTNAME").unwrap_or_default().to_owned();
        partitions.insert(number, Known { device, name });
    }
    Ok(partitions)
}

/// A partition's number; `None` for what is no partition.
fn number(directory: &Path) -> Result<Option<u32>, Error> {
    let path = directory.join("partition");
    if !path.is_file() {
        return Ok(None);
    }
    let text = file::read(&path, SYSFS_BYTES_MAX)?.unwrap_or_default();
    text.trim().parse().map(Some).map_err(|_| file::damaged(&path, "it is no number"))
}

/// Everything in a directory; nothing if it is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let list = || -> io::Result<Vec<_>> { fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect() };
    list().map_err(Error::io("list", directory))
}

fn resolve(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(Error::io("find the device", path))
}

fn name_of(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
pub(crate) mod tests;
