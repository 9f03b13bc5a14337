//! Entries of a FAT directory: the long name before the short entry that it belongs to.
//!
//! Pure. Must never trust a long name whose checksum is not that of the short entry after it: a system that knows no
//! long names leaves such ones behind.

use super::{u16_at, u32_at};

/// Bytes of an entry.
const ENTRY_BYTES: usize = 32;

/// First byte: no entry from here on.
const END: u8 = 0;
/// First byte: deleted.
const DELETED: u8 = 0xe5;

/// Attributes that make an entry part of a long name.
const LONG_NAME: u8 = 0x0f;
/// Attributes of a directory, or of the volume's label.
const NO_FILE: u8 = 0x18;

/// Mark of the part that comes first, and is the last of the name.
const LAST_PART: u8 = 0x40;
/// Parts of the longest name: 255 letters, 13 in each.
const PARTS_MAX: u8 = 20;

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cluster: u32,
    pub(super) size: u32,
    /// Where its short entry begins in the directory, in bytes.
    pub(super) at: usize,
}

/// The long name that is being put together, from its end to its beginning.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    /// The part that must come next; 0 when the name is complete.
    next: u8,
    checksum: u8,
}

/// The file `name` in a directory, its case ignored.
pub(super) fn find(directory: &[u8], name: &str) -> Option<Entry> {
    let mut long = LongName::default();
    let entries = directory.chunks_exact(ENTRY_BYTES).take_while(|entry| entry[0] != END);
    for (number, entry) in entries.enumerate() {
        if entry[0] != DELETED && entry[11] & 0x3f == LONG_NAME {
            long = long.with(entry);
            continue;
        }
        let is_file = entry[0] != DELETED && entry[11] & NO_FILE == 0;
        if is_file && name_of(&long, entry).eq_ignore_ascii_case(name) {
            let cluster = u32::from(u16_at(entry, 26)) | u32::from(u16_at(entry, 20)) << 16;
            return Some(Entry { cluster, size: u32_at(entry, 28), at: number * ENTRY_BYTES });
        }
        long = LongName::default();
    }
    None
}

impl LongName {
    /// The name with one more part; a part out of order begins anew.
    fn with(mut self, entry: &[u8]) -> Self {
        let (part, checksum) = (entry[0] & !LAST_PART, entry[13]);
        if entry[0] & LAST_PART != 0 {
            self = Self { units: Vec::new(), next: part, checksum };
        }
        if part == 0 || part > PARTS_MAX || part != self.next || checksum != self.checksum {
            return Self::default();
        }
        let places = (1..11).chain(14..26).chain(28..32).step_by(2);
        let units: Vec<u16> = places.map(|at| u16_at(entry, at)).take_while(|unit| *unit != 0).collect();
        self.units.splice(0..0, units);
        self.next -= 1;
        self
    }

    fn belongs_to(&self, short: &[u8]) -> bool {
        let sum = short[..11].iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        !self.units.is_empty() && self.next == 0 && self.checksum == sum
    }
}

fn name_of(long: &LongName, short: &[u8]) -> String {
    if long.belongs_to(short) {
        return String::from_utf16_lossy(&long.units);
    }
    let part = |range: std::ops::Range<usize>| String::from_utf8_lossy(&short[range]).trim_end().to_owned();
    let (name, extension) = (part(0..8), part(8..11));
    if extension.is_empty() { name } else { format!("{name}.{extension}") }
}
