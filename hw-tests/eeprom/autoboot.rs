//! autoboot.txt: which partition boots (Raspberry Pi documentation, "autoboot.txt").

use super::lines::{Situation, settings};

/// The longest file that the EEPROM takes, in bytes.
pub const AUTOBOOT_BYTES_MAX: usize = 512;

/// What autoboot.txt says to this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Autoboot {
    /// The partition to boot, if it names one.
    pub(super) boot_partition: Option<u32>,
    /// Whether a trial boots another partition instead of other files.
    pub(super) tryboot_a_b: bool,
}

/// Reads the file; `None` if it is too long, which is the same as no file. The last of several equal settings counts.
pub(super) fn read(bytes: &[u8], tryboot: bool) -> Option<Autoboot> {
    if bytes.len() > AUTOBOOT_BYTES_MAX {
        return None;
    }
    let mut autoboot = Autoboot { boot_partition: None, tryboot_a_b: false };
    for (key, value) in settings(bytes, &Situation { tryboot, boot_partition: None, board: None }) {
        match key.as_str() {
            "boot_partition" => autoboot.boot_partition = value.parse().ok(),
            "tryboot_a_b" => autoboot.tryboot_a_b = value == "1",
            _ => {}
        }
    }
    Some(autoboot)
}
