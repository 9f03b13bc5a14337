//! autoboot.txt: what the EEPROM reads first (Raspberry Pi documentation, "autoboot.txt").
//!
//! Exactly one sector, so that committing a slot is one aligned write; both variants have the same length, and whatever
//! is no variant of ours is an error: it is repaired by writing one, not by guessing.

use crate::slot::Slot;

/// Its length in bytes: one sector, which is also the longest that the EEPROM reads.
pub const AUTOBOOT_BYTES: usize = 512;

/// The file is not one that this appliance writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("autoboot.txt is damaged or from elsewhere; commit a slot anew or flash the image again")]
pub struct UnknownAutoboot;

/// The file that boots `committed`, and the other slot once after a tryboot.
#[must_use]
pub fn render(committed: Slot) -> [u8; AUTOBOOT_BYTES] {
    let (committed, trial) = (committed.boot().number(), committed.other().boot().number());
    let text = format!("[all]\ntryboot_a_b=1\nboot_partition={committed}\n[tryboot]\nboot_partition={trial}\n");
    let mut bytes = [b'\n'; AUTOBOOT_BYTES];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// Which slot the file commits.
///
/// # Errors
/// If it is not, byte by byte, one of the two variants.
pub fn committed(bytes: &[u8]) -> Result<Slot, UnknownAutoboot> {
    Slot::ALL.into_iter().find(|slot| render(*slot) == bytes).ok_or(UnknownAutoboot)
}

#[cfg(test)]
mod tests;
