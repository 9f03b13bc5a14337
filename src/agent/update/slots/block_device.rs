//! A partition as a block device, read and written past the page cache (`O_DIRECT`, open(2)).
//!
//! So an update neither pushes out of memory what the box works with, nor reads back from memory what the medium may
//! not hold. Promises: memory and places that the kernel takes, whatever the caller's are. Must never buffer.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use lucid_fat::ReadAt;
use lucid_layout::disk::SECTOR_BYTES;
use rustix::fs::OFlags;

use super::{Access, Device};

/// Memory begins at multiples of this: a page, which every driver can take.
const MEMORY_ALIGNMENT: usize = 4096;

/// Bytes that begin at a page.
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    begin: usize,
    length: usize,
}

/// A partition.
pub(crate) struct BlockDevice {
    file: File,
    bytes: u64,
}

impl Aligned {
    /// So many zeros.
    pub(crate) fn zeroed(length: usize) -> Self {
        let bytes = vec![0; length + MEMORY_ALIGNMENT];
        let begin = bytes.as_ptr().align_offset(MEMORY_ALIGNMENT);
        Self { begin, length, bytes }
    }

    /// A copy.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.begin..self.begin + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..self.begin + self.length]
    }
}

impl BlockDevice {
    /// Opens the partition of `bytes` bytes at `path`.
    pub(crate) fn open(path: &Path, bytes: u64, access: Access) -> io::Result<Self> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        let write = access == Access::Write;
        Ok(Self { file: OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)?, bytes })
    }
}

impl ReadAt for BlockDevice {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let length = bytes.len() as u64;
        if fits(bytes, offset) {
            return FileExt::read_exact_at(&self.file, bytes, offset);
        }
        let begin = offset / SECTOR_BYTES * SECTOR_BYTES;
        let end = offset.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?.next_multiple_of(SECTOR_BYTES);
        let around = usize::try_from(end - begin).map_err(io::Error::other)?;
        let mut whole = Aligned::zeroed(around);
        FileExt::read_exact_at(&self.file, &mut whole, begin)?;
        // Less than a sector.
        let before = (offset - begin) as usize;
        bytes.copy_from_slice(&whole[before..before + bytes.len()]);
        Ok(())
    }
}

impl Device for BlockDevice {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.bytes);
        if end.is_none() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the partition ends before"));
        }
        match fits(bytes, offset) {
            true => self.file.write_all_at(bytes, offset),
            false => self.file.write_all_at(&Aligned::copied(bytes), offset),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Whether the kernel takes it as it is.
fn fits(bytes: &[u8], offset: u64) -> bool {
    let is_aligned = bytes.as_ptr().addr().is_multiple_of(MEMORY_ALIGNMENT);
    is_aligned && offset.is_multiple_of(SECTOR_BYTES) && (bytes.len() as u64).is_multiple_of(SECTOR_BYTES)
}
