//! The EEPROM's release that an image carries, and `eeprom.json`, which tells of it.
//!
//! The firmware of a Pi 5 updates itself: it looks for [`crate::files::EEPROM_ARMED_IMAGE`] and
//! [`crate::files::EEPROM_ARMED_DIGEST`] on the partition that it boots, and takes the image if the digest is that of
//! the image and its time is after that of the last update (Raspberry Pi, "Bootloader configuration",
//! `ENABLE_SELF_UPDATE`; release notes of rpi-eeprom, 2020-10-28, and of the first release for the Pi 5). So an image
//! carries both under names that mean nothing to the firmware, until the owner consents.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// 2025-10-08, in seconds since 1970: an EEPROM that was built before does not boot both slots as this layout needs it,
/// or loses the one-shot flag of a trial.
pub const BUILD_MIN_S: u64 = 1_759_881_600;

/// Bytes of an EEPROM image of a Pi 5.
pub const IMAGE_BYTES: u64 = 2 * 1024 * 1024;

/// Longest text of settings that an image may carry, in bytes: it goes into a status report.
pub const SETTINGS_BYTES_MAX: usize = 1024;

/// Longest `eeprom.json` in bytes.
pub const FACTS_BYTES_MAX: u64 = 4096;

/// An EEPROM release that an image carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EepromRelease {
    /// When it was built, in seconds since 1970; what the firmware then tells as `build-timestamp`.
    pub build_s: u64,
    /// What the firmware then tells as its version: a hash of its sources.
    pub version: String,
    /// SHA-256 of the image.
    pub sha256: Digest,
    /// The settings in it, as `rpi-eeprom-config` shows them: they take the place of those on the board. At most
    /// [`SETTINGS_BYTES_MAX`].
    pub settings: String,
}

/// The text of the file with an image's digest, as `rpi-eeprom-digest` writes it.
#[must_use]
pub fn digest_file(sha256: &Digest, time_s: u64) -> String {
    format!("{sha256}\nts: {time_s}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_file_is_as_the_firmware_reads_it() {
        let text = digest_file(&Digest([0xab; 32]), 1_765_152_000);
        assert_eq!(text, format!("{}\nts: 1765152000\n", "ab".repeat(32)));
    }
}
