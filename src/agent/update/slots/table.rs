//! The GUIDs of a partition table (GPT; UEFI 2.10, section 5.3), to tell our own disk, and another one like it.
//!
//! Reads only the first table, and takes it without its checksum: whatever is there is only compared. Must never be
//! what a partition's place is taken from: that is the kernel's word.

use std::io::{self, ErrorKind};

use lucid_fat::ReadAt;
use lucid_layout::disk::SECTOR_BYTES;
use uuid::Uuid;

/// Entries that are looked at: as many as tables have by the standard's minimum.
const ENTRIES_MAX: u32 = 128;
/// Bytes of an entry that are used by all versions.
const ENTRY_BYTES: u32 = 128;

/// The partitions' GUIDs, the first partition's first, nil for a free entry; nothing if there is no such table.
pub(super) fn partition_guids(disk: &impl ReadAt) -> io::Result<Vec<Uuid>> {
    let mut header = [0; SECTOR_BYTES as usize];
    match disk.read_exact_at(&mut header, SECTOR_BYTES) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Vec::new()),
        read => read?,
    }
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (place, count, bytes) = (u64::from(number(72)) | u64::from(number(76)) << 32, number(80), number(84));
    if &header[..8] != b"EFI PART" || bytes != ENTRY_BYTES {
        return Ok(Vec::new());
    }
    let mut entries = vec![0; (count.min(ENTRIES_MAX) * ENTRY_BYTES) as usize];
    let offset = place.checked_mul(SECTOR_BYTES).ok_or(ErrorKind::InvalidData)?;
    disk.read_exact_at(&mut entries, offset)?;
    let guid = |entry: &[u8]| Uuid::from_slice_le(&entry[16..32]).unwrap_or_default();
    Ok(entries.chunks_exact(ENTRY_BYTES as usize).map(guid).collect())
}
