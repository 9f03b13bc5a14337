//! The record that QEMU's `blklogwrites` driver writes: the format of the kernel's dm-log-writes, version 1, with
//! sectors of 512 bytes (linux, drivers/md/dm-log-writes.c; qemu, block/blklogwrites.c).

use std::io::{self, Read, Seek, SeekFrom};

/// A sector of the record and of the recorded disk, in bytes.
pub const SECTOR_BYTES: usize = 512;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FORCED: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// Longest write in bytes: far above what a guest sends at once, and small enough to be held.
const WRITE_BYTES_MAX: u64 = 1 << 30;

/// One write, flush or discard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    sector: u64,
    sectors: u64,
    flags: u64,
    /// Where its data lies in the record.
    data: u64,
}

impl Record {
    /// Whether all that was written before it is on the disk.
    #[must_use]
    pub fn is_flush(&self) -> bool {
        self.flags & FLUSH != 0
    }

    /// Whether it is on the disk itself as soon as it is done (FUA).
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.flags & FORCED != 0
    }

    /// Where on the disk it begins, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.sector * SECTOR_BYTES as u64
    }

    /// How many bytes it writes or discards.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sectors * SECTOR_BYTES as u64
    }

    /// Whether it changes any of the disk's bytes from `start` to `end`.
    #[must_use]
    pub fn touches(&self, start: u64, end: u64) -> bool {
        self.bytes() > 0 && self.flags & MARK == 0 && self.position() < end && self.position() + self.bytes() > start
    }

    /// How long the file was once it was written.
    fn end(&self) -> u64 {
        self.data + if self.has_data() { self.bytes() } else { 0 }
    }

    fn has_data(&self) -> bool {
        self.flags & (DISCARD | MARK) == 0 && self.sectors > 0
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is something else, or of another version.
    #[error("this is no record of disk writes (version {VERSION}, sectors of {SECTOR_BYTES} bytes); record again")]
    Foreign,
    /// It ends or goes wrong in the middle.
    #[error("the record of disk writes is damaged at entry {entry}; record again")]
    Damaged {
        /// The number of the entry.
        entry: u64,
    },
    /// It cannot be read.
    #[error("cannot read the record of disk writes")]
    Read(#[from] io::Error),
}

/// A record of a disk's writes.
pub struct WriteLog<L> {
    log: L,
    records: Vec<Record>,
}

impl<L: Read + Seek> WriteLog<L> {
    /// Reads the list of writes; their data stays where it is.
    ///
    /// # Errors
    /// If it is no record, or not whole.
    pub fn open(mut log: L) -> Result<Self, LogError> {
        let end = log.seek(SeekFrom::End(0))?;
        let header = sector(&mut log, 0, end)?.ok_or(LogError::Foreign)?;
        let [magic, version, count] = [0, 8, 16].map(|at| number(&header, at));
        let sector_bytes = u64::from(u32::from_le_bytes([header[24], header[25], header[26], header[27]]));
        if magic != MAGIC || version != VERSION || sector_bytes != SECTOR_BYTES as u64 {
            return Err(LogError::Foreign);
        }
        let mut records = Vec::new();
        let mut position = SECTOR_BYTES as u64;
        for entry in 0..count {
            let bytes = sector(&mut log, position, end)?.ok_or(LogError::Damaged { entry })?;
            let record = read(&bytes, position + SECTOR_BYTES as u64).ok_or(LogError::Damaged { entry })?;
            position = record.end();
            if position > end {
                return Err(LogError::Damaged { entry });
            }
            records.push(record);
        }
        Ok(Self { log, records })
    }

    /// Every write, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// How many records were whole when the file with them was this long, in bytes.
    #[must_use]
    pub fn records_at(&self, length: u64) -> usize {
        self.records.partition_point(|record| record.end() <= length)
    }

    /// How many of the first `records` are surely on the disk: the others came after the last flush.
    #[must_use]
    pub fn flushed(&self, records: usize) -> usize {
        self.records[..records.min(self.records.len())].iter().rposition(Record::is_flush).unwrap_or(0)
    }

    /// How many of the first `records` a cut may lose.
    #[must_use]
    pub fn unflushed(&self, records: usize) -> usize {
        let after = &self.records[self.flushed(records)..records.min(self.records.len())];
        after.iter().filter(|record| record.bytes() > 0 && !record.is_forced() && !record.is_flush()).count()
    }

    /// What a write wrote: zeroes for a discard, nothing for a flush.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn data(&mut self, record: Record) -> io::Result<Vec<u8>> {
        if record.flags & MARK != 0 {
            return Ok(vec![]);
        }
        let mut data = vec![0; usize::try_from(record.bytes()).map_err(io::Error::other)?];
        if record.has_data() {
            self.log.seek(SeekFrom::Start(record.data))?;
            self.log.read_exact(&mut data)?;
        }
        Ok(data)
    }
}

fn sector<L: Read + Seek>(log: &mut L, position: u64, end: u64) -> io::Result<Option<[u8; SECTOR_BYTES]>> {
    if position.saturating_add(SECTOR_BYTES as u64) > end {
        return Ok(None);
    }
    let mut bytes = [0; SECTOR_BYTES];
    log.seek(SeekFrom::Start(position))?;
    log.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn number(bytes: &[u8; SECTOR_BYTES], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// An entry, unless its numbers cannot be.
fn read(bytes: &[u8; SECTOR_BYTES], data: u64) -> Option<Record> {
    let [sector, sectors, flags] = [0, 8, 16].map(|at| number(bytes, at));
    let is_sane = sectors <= WRITE_BYTES_MAX / SECTOR_BYTES as u64
        && sector.checked_add(sectors)? <= u64::MAX / SECTOR_BYTES as u64
        && flags < 32;
    is_sane.then_some(Record { sector, sectors, flags, data })
}
