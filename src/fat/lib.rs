//! Where a file's bytes lie on a FAT32 volume (Microsoft, "FAT32 File System Specification", 1.03).
//!
//! Reads only, in the root directory only. This is what the kernel's `FIBMAP` would tell, without mounting a volume
//! that was last written by any PC, and without a kernel that knows FAT. Promises: whatever the bytes on the volume, an
//! answer after a bounded number of reads, and only places inside the volume's data area. Must never write.

mod directory;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The boot sector is at the volume's beginning, whatever the sector size.
const BOOT_SECTOR_BYTES: usize = 512;

/// Entries of a FAT32 table have 28 bits; the upper four are reserved.
const ENTRY_MASK: u32 = 0x0fff_ffff;

/// Longest directory in bytes: 65536 entries of 32 bytes, by the specification.
const DIRECTORY_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Why a file was not found.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The device does not answer.
    #[error("cannot read the FAT volume")]
    Read(#[from] io::Error),
    /// Damaged, or another file system.
    #[error("the FAT volume is damaged ({0})")]
    Damaged(&'static str),
    /// There is no such file, or it is empty.
    #[error("`{0}` is missing or empty on the FAT volume")]
    Missing(String),
    /// The file is larger than anything that belongs there.
    #[error("`{name}` on the FAT volume is longer than {bytes_max} bytes")]
    TooLong {
        /// The file.
        name: String,
        /// The most that is taken.
        bytes_max: u64,
    },
}

/// A stretch of bytes on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// From the volume's beginning, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
}

/// Something that is read at places, such as a block device.
pub trait ReadAt {
    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// What the device says, or that it ends before.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }
}

/// Where a file lies.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// Whole clusters, in the order of the file.
    pub extents: Vec<Extent>,
    /// The file's size in bytes, at most what the extents hold.
    pub size: u64,
}

/// Finds the file `name`, its case ignored, in the root directory of the volume on `device`.
///
/// # Errors
/// See [`FatError`].
pub fn find(device: &(impl ReadAt + ?Sized), name: &str) -> Result<Place, FatError> {
    let volume = Volume::open(device)?;
    let directory = volume.read_directory()?;
    let entry = directory::find(&directory, name).filter(|entry| entry.size > 0);
    let entry = entry.ok_or_else(|| FatError::Missing(name.to_owned()))?;
    let clusters = volume.chain(entry.cluster, u64::from(entry.size).div_ceil(volume.cluster_bytes))?;
    if clusters.len() as u64 * volume.cluster_bytes < u64::from(entry.size) {
        return Err(FatError::Damaged("a file's chain is shorter than the file"));
    }
    Ok(Place { extents: volume.extents(&clusters), size: u64::from(entry.size) })
}

/// Where the entry of the file `name`, its case ignored, begins in the root directory: an offset on the volume, in
/// bytes. The entry has 32 bytes; the first eleven are its short name, the last four its size, little-endian. Of a file
/// that also has a long name it is the short entry.
///
/// # Errors
/// As [`find`].
pub fn entry(device: &(impl ReadAt + ?Sized), name: &str) -> Result<u64, FatError> {
    let volume = Volume::open(device)?;
    let found = directory::find(&volume.read_directory()?, name);
    let at = found.ok_or_else(|| FatError::Missing(name.to_owned()))?.at as u64;
    let clusters = volume.chain(volume.root_cluster, at / volume.cluster_bytes + 1)?;
    let last = clusters.last().ok_or(FatError::Damaged("the root directory has no cluster"))?;
    Ok(volume.extents(&[*last])[0].offset + at % volume.cluster_bytes)
}

/// The file `name`, its case ignored, of the root directory.
///
/// # Errors
/// As [`find`], and [`FatError::TooLong`] above `bytes_max`.
pub fn read(device: &(impl ReadAt + ?Sized), name: &str, bytes_max: u64) -> Result<Vec<u8>, FatError> {
    let place = find(device, name)?;
    if place.size > bytes_max {
        return Err(FatError::TooLong { name: name.to_owned(), bytes_max });
    }
    let mut content = Vec::new();
    let mut left = place.size;
    for extent in &place.extents {
        let length = extent.length.min(left);
        left -= length;
        let begin = content.len();
        // At most `bytes_max` in all, which the caller keeps in memory.
        content.resize(begin + length as usize, 0);
        device.read_exact_at(&mut content[begin..], extent.offset)?;
    }
    Ok(content)
}

/// What the boot sector says.
struct Volume<'a, D: ?Sized> {
    device: &'a D,
    /// Where the first table begins, in bytes.
    table_offset: u64,
    /// Where cluster 2 begins, in bytes.
    data_offset: u64,
    cluster_bytes: u64,
    /// Clusters are numbered from 2 to this number, excluded.
    cluster_end: u32,
    root_cluster: u32,
}

impl<'a, D: ReadAt + ?Sized> Volume<'a, D> {
    fn open(device: &'a D) -> Result<Self, FatError> {
        let mut sector = [0; BOOT_SECTOR_BYTES];
        device.read_exact_at(&mut sector, 0)?;
        let byte = |at: usize| u64::from(sector[at]);
        let word = |at: usize| u64::from(u16_at(&sector, at));
        let long = |at: usize| u64::from(u32_at(&sector, at));
        if word(510) != 0xaa55 || word(17) != 0 || word(22) != 0 {
            return Err(FatError::Damaged("no FAT32 boot sector"));
        }
        let (sector_bytes, cluster_sectors) = (word(11), byte(13));
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) || !cluster_sectors.is_power_of_two() {
            return Err(FatError::Damaged("impossible sector or cluster size"));
        }
        let (reserved, tables, table_sectors) = (word(14), byte(16), long(36));
        let before = reserved + tables * table_sectors;
        let data_sectors = long(32).checked_sub(before).ok_or(FatError::Damaged("no room for data"))?;
        // The table names no more clusters than it has entries, whatever the volume's size.
        let clusters = (data_sectors / cluster_sectors).min((table_sectors * sector_bytes / 4).saturating_sub(2));
        Ok(Self {
            device,
            table_offset: reserved * sector_bytes,
            data_offset: before * sector_bytes,
            cluster_bytes: cluster_sectors * sector_bytes,
            cluster_end: u32::try_from(clusters + 2).unwrap_or(ENTRY_MASK).min(ENTRY_MASK),
            root_cluster: u32_at(&sector, 44),
        })
    }

    /// At most `limit` clusters, from `first` on.
    fn chain(&self, first: u32, limit: u64) -> Result<Vec<u32>, FatError> {
        let mut clusters = Vec::new();
        let mut next = first;
        while (clusters.len() as u64) < limit && next < ENTRY_MASK & !7 {
            if !(2..self.cluster_end).contains(&next) {
                return Err(FatError::Damaged("a chain leaves the volume"));
            }
            if clusters.len() as u64 > u64::from(self.cluster_end) {
                return Err(FatError::Damaged("a chain runs in a circle"));
            }
            clusters.push(next);
            next = self.table_entry(next)?;
        }
        Ok(clusters)
    }

    fn table_entry(&self, cluster: u32) -> io::Result<u32> {
        let mut entry = [0; 4];
        self.device.read_exact_at(&mut entry, self.table_offset + 4 * u64::from(cluster))?;
        Ok(u32::from_le_bytes(entry) & ENTRY_MASK)
    }

    fn read_directory(&self) -> Result<Vec<u8>, FatError> {
        let clusters = self.chain(self.root_cluster, DIRECTORY_BYTES_MAX / self.cluster_bytes)?;
        let mut content = Vec::new();
        for extent in self.extents(&clusters) {
            let begin = content.len();
            // At most `DIRECTORY_BYTES_MAX`, which fits.
            content.resize(begin + extent.length as usize, 0);
            self.device.read_exact_at(&mut content[begin..], extent.offset)?;
        }
        Ok(content)
    }

    /// Where clusters lie, neighbours joined.
    fn extents(&self, clusters: &[u32]) -> Vec<Extent> {
        let mut extents: Vec<Extent> = Vec::new();
        for cluster in clusters {
            let offset = self.data_offset + u64::from(cluster - 2) * self.cluster_bytes;
            match extents.last_mut() {
                Some(last) if last.offset + last.length == offset => last.length += self.cluster_bytes,
                _ => extents.push(Extent { offset, length: self.cluster_bytes }),
            }
        }
        extents
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

#[cfg(test)]
mod tests;
