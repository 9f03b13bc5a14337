//! The whole disk: partition table, and what lies in the partitions.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::{GptConfig, GptDisk};
use lucid_layout::disk::{DISK_GUID, SECTOR_BYTES};
use lucid_layout::{Partition, Profile};
use uuid::Uuid;

use crate::error::Error;

/// What is copied at once, in bytes; runs of zeros of this length become holes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where a partition lies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start_bytes: u64,
    pub(crate) bytes: u64,
}

/// Makes the disk `path` with `contents` in its partitions.
pub(crate) fn write(path: &Path, profile: &Profile, contents: &[(Partition, PathBuf)]) -> Result<(), Error> {
    let options = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let mut disk = options.map_err(Error::file("create", path))?;
    disk.set_len(profile.disk_bytes()).map_err(Error::file("extend", path))?;
    write_table(&mut disk, path, profile)?;
    for (partition, content) in contents {
        let mut source = File::open(content).map_err(Error::file("open", content))?;
        copy(&mut source, &mut disk, profile.start_bytes(*partition)).map_err(Error::file("write", path))?;
    }
    Ok(())
}

fn write_table(disk: &mut File, path: &Path, profile: &Profile) -> Result<(), Error> {
    let bad = |source| Error::Table { path: path.to_owned(), source };
    let sectors = profile.disk_bytes() / SECTOR_BYTES;
    let mbr = ProtectiveMBR::with_lb_size(u32::try_from(sectors - 1).unwrap_or(u32::MAX));
    mbr.overwrite_lba0(disk).map_err(|error| Error::file("write", path)(io::Error::other(error)))?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(&mut *disk, Some(guid(DISK_GUID))).map_err(bad)?;
    let partitions = Partition::IN_IMAGE.into_iter().map(|partition| (partition.number(), entry(partition, profile)));
    table.update_partitions(partitions.collect()).map_err(bad)?;
    table.write().map_err(bad)?;
    Ok(())
}

fn entry(partition: Partition, profile: &Profile) -> gpt::partition::Partition {
    let first_lba = profile.start_bytes(partition) / SECTOR_BYTES;
    let sectors = profile.bytes(partition).unwrap_or_default() / SECTOR_BYTES;
    gpt::partition::Partition {
        part_type_guid: gpt::partition_types::Type {
            guid: guid(partition.type_guid()),
            os: gpt::partition_types::OperatingSystem::None,
        },
        part_guid: guid(partition.guid()),
        first_lba,
        last_lba: first_lba + sectors - 1,
        flags: 0,
        name: partition.name().to_owned(),
    }
}

fn guid(text: &str) -> Uuid {
    text.parse().expect("the layout's GUIDs are GUIDs, as its tests say")
}

/// Copies all of `source` to `at` of `disk`, leaving out zeros: there is nothing there yet.
fn copy(source: &mut File, disk: &mut File, at: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut place = at;
    loop {
        let length = read_chunk(source, &mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        if chunk[..length].iter().any(|byte| *byte != 0) {
            disk.seek(SeekFrom::Start(place))?;
            disk.write_all(&chunk[..length])?;
        }
        place += length as u64;
    }
}

/// Fills `chunk`, or as much of it as there is.
pub(crate) fn read_chunk(source: &mut impl io::Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < chunk.len() {
        match source.read(&mut chunk[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Where the partitions of an image or device lie, if they are those of this appliance, of whatever size.
pub(crate) fn read_table(path: &Path) -> Result<BTreeMap<Partition, Extent>, Error> {
    let bad = |source| Error::Table { path: path.to_owned(), source };
    let config = GptConfig::new().writable(false).logical_block_size(LogicalBlockSize::Lb512);
    let table = config.open(path).map_err(bad)?;
    let mut extents = BTreeMap::new();
    for partition in Partition::IN_IMAGE {
        extents.insert(partition, extent(&table, partition).map_err(|what| Error::no_image(path, what))?);
    }
    Ok(extents)
}

fn extent(table: &GptDisk<File>, partition: Partition) -> Result<Extent, String> {
    let (number, name) = (partition.number(), partition.name());
    let entry = table.partitions().get(&number).ok_or_else(|| format!("partition {number} (`{name}`) is missing"))?;
    let is_ours = entry.part_guid == guid(partition.guid())
        && entry.part_type_guid.guid == guid(partition.type_guid())
        && entry.name == name
        && entry.last_lba >= entry.first_lba;
    if !is_ours {
        return Err(format!("partition {number} is not Lucid's `{name}`"));
    }
    let sectors = entry.last_lba - entry.first_lba + 1;
    let bytes =
        |sectors: u64| sectors.checked_mul(SECTOR_BYTES).ok_or_else(|| format!("partition {number} has no end"));
    Ok(Extent { start_bytes: bytes(entry.first_lba)?, bytes: bytes(sectors)? })
}

/// Reads `length` bytes from `start_bytes` on.
pub(crate) fn read_at(path: &Path, start_bytes: u64, length: usize) -> Result<Vec<u8>, Error> {
    let mut disk = File::open(path).map_err(Error::file("open", path))?;
    disk.seek(SeekFrom::Start(start_bytes)).map_err(Error::file("read", path))?;
    let mut bytes = vec![0; length];
    disk.read_exact(&mut bytes).map_err(Error::file("read", path))?;
    Ok(bytes)
}

/// Copies a partition's bytes to a file of its own, zeros as holes.
pub(crate) fn extract(path: &Path, extent: Extent, to: &Path) -> Result<(), Error> {
    let mut disk = File::open(path).map_err(Error::file("open", path))?;
    disk.seek(SeekFrom::Start(extent.start_bytes)).map_err(Error::file("read", path))?;
    let mut part = disk.take(extent.bytes);
    let mut copy = File::create(to).map_err(Error::file("create", to))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = read_chunk(&mut part, &mut chunk).map_err(Error::file("read", path))?;
        let is_zero = chunk[..length].iter().all(|byte| *byte == 0);
        match length {
            0 => break,
            _ if is_zero => copy.seek(SeekFrom::Current(length as i64)).map(drop),
            _ => copy.write_all(&chunk[..length]),
        }
        .map_err(Error::file("write", to))?;
    }
    copy.set_len(extent.bytes).map_err(Error::file("extend", to))
}
