//! Puts the owner's settings into an image or onto a disk, before its first boot.
//!
//! Overwrites the file's bytes where they lie: neither the FAT nor the folder changes, so that nothing can come between
//! the halves of a change.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use lucid_layout::disk::SECTOR_BYTES;
use lucid_layout::provisioning::{AREA_BYTES, FILE_BYTES_MAX, is_consumed, padded};
use lucid_layout::{Partition, Provisioning, files};
use zeroize::Zeroizing;

use crate::disk::{self, Extent};
use crate::error::Error;
use crate::{fat, tls};

/// Writes the settings in `file` to `disk`, an image or a device, and reads them back.
///
/// # Errors
/// If the settings are not valid, or the disk is no image of Lucid, or was booted before. Nothing is written then.
pub fn provision(disk: &Path, file: &[u8]) -> Result<(), Error> {
    tls::authority(&Provisioning::parse(file)?)?;
    let bytes = Zeroizing::new(padded(file)?);
    let start_bytes = find(disk)?;
    let read = Zeroizing::new(disk::read_at(disk, start_bytes, AREA_BYTES)?);
    if is_consumed(&read) {
        return Err(Error::Consumed { path: disk.to_owned() });
    }
    overwrite(disk, start_bytes, &bytes)?;
    let read = Zeroizing::new(disk::read_at(disk, start_bytes, AREA_BYTES)?);
    if *read != *bytes {
        return Err(Error::no_image(disk, "what was written can't be read back"));
    }
    Ok(())
}

/// Where the file's bytes begin on the disk.
fn find(disk: &Path) -> Result<u64, Error> {
    let partition = disk::read_table(disk)?[&Partition::Autoboot];
    let moved = || Error::no_image(disk, "lucid.toml is not the file that the image came with");
    let file = Zeroizing::new(fat::read(disk, partition.start_bytes, files::PROVISIONING)?);
    let clusters = fat::clusters(disk, partition.start_bytes, files::PROVISIONING)?.ok_or_else(moved)?;
    let start_bytes = cluster_bytes(disk, partition, clusters.0)?.ok_or_else(moved)?;
    // Two ways to the same bytes: by the tool that knows FAT, and by our arithmetic.
    let bytes = Zeroizing::new(disk::read_at(disk, start_bytes, AREA_BYTES)?);
    if file.len() == AREA_BYTES && *file == *bytes { Ok(start_bytes) } else { Err(moved()) }
}

/// Where a cluster begins on the disk (Microsoft FAT specification, section 3.3); None if it lies outside.
fn cluster_bytes(disk: &Path, partition: Extent, cluster: u64) -> Result<Option<u64>, Error> {
    let boot = disk::read_at(disk, partition.start_bytes, SECTOR_BYTES as usize)?;
    let number = |at: usize, length: usize| {
        boot[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let (sector_bytes, cluster_sectors) = (number(11, 2), number(13, 1));
    let (reserved, tables, table_sectors) = (number(14, 2), number(16, 1), number(36, 4));
    let sector = reserved + tables * table_sectors + cluster.saturating_sub(2).saturating_mul(cluster_sectors);
    let offset = sector.saturating_mul(sector_bytes);
    let fits = sector_bytes == SECTOR_BYTES && offset.saturating_add(AREA_BYTES as u64) <= partition.bytes;
    Ok(fits.then_some(partition.start_bytes + offset))
}

fn overwrite(disk: &Path, start_bytes: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut file = OpenOptions::new().read(true).write(true).open(disk).map_err(Error::file("open", disk))?;
    file.seek(SeekFrom::Start(start_bytes)).map_err(Error::file("write", disk))?;
    file.write_all(bytes).map_err(Error::file("write", disk))?;
    file.sync_all().map_err(Error::file("write", disk))?;
    // What is read back then comes from the disk, and not from what was kept of this.
    let advice = rustix::fs::Advice::DontNeed;
    rustix::fs::fadvise(&file, 0, None, advice).map_err(|error| Error::file("read", disk)(error.into()))
}

/// Reads a provisioning file: at most one byte more than is taken, so that what is too long is noticed and no more.
///
/// # Errors
/// If it can't be read.
pub fn read_provisioning(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
    let file = File::open(path).map_err(Error::file("open", path))?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    Ok(bytes)
}
