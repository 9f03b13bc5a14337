//! How the EEPROM updates itself from the partition that it boots (Raspberry Pi documentation, `ENABLE_SELF_UPDATE` and
//! `bootloader_update`; rpi-eeprom-digest; rpi-eeprom's release notes, 2023-09-13 and 2024-09-05, and what its issues
//! 542 and 597 show of time and write protection).
//!
//! Not played: a power cut while it writes.

use super::image::{IMAGE_BYTES, Release, sha256};
use super::lines::{Situation, settings};
use super::{BootFiles, Config, Eeprom, NoBoot};

/// The image, and the file with its digest.
const IMAGE: &str = "pieeprom.upd";
const DIGEST: &str = "pieeprom.sig";

/// 2024-09-05: from here on a write-protected EEPROM is left as it is and the boot goes on.
const PROTECTED_GOES_ON_S: u32 = 1_725_494_400;
/// 2025-01-27: knows the setting `PARTITION_WALK`.
const WALK_S: u32 = 1_737_936_000;
/// 2025-03-10: knows `[boot_partition=N]` in config.txt.
const BOOT_PARTITION_FILTER_S: u32 = 1_741_564_800;
/// 2025-08-13: walks unless a setting says otherwise.
const WALK_DEFAULT_S: u32 = 1_755_043_200;

/// The value of one of an EEPROM's settings on the board `serial`.
fn setting(text: &str, name: &str, serial: u64) -> Option<String> {
    let situation = Situation { tryboot: false, boot_partition: None, board: Some(serial) };
    settings(text.as_bytes(), &situation).into_iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// What a file with a digest says: the digest, and the time if it names one.
fn read_digest(bytes: &[u8]) -> Option<(String, Option<u32>)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digest = text.lines().next()?.trim();
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let time = match text.lines().find_map(|line| line.strip_prefix("ts:")) {
        Some(time) => Some(time.trim().parse().ok()?),
        None => None,
    };
    (digest.len() == 64 && digest.bytes().all(is_digit)).then(|| (digest.to_owned(), time))
}

impl Eeprom {
    /// A board's EEPROM with the release of an image in it, by what it knows at its date.
    pub(super) fn of_release(release: Release, serial: u64) -> Self {
        let Release { build_timestamp, version, settings } = release;
        let walk = setting(&settings, "PARTITION_WALK", serial).map(|value| value != "0");
        Self {
            build_timestamp,
            version: version.into(),
            partition_walk: build_timestamp >= WALK_S && walk.unwrap_or(build_timestamp >= WALK_DEFAULT_S),
            boot_partition_filter: build_timestamp >= BOOT_PARTITION_FILTER_S,
            settings: settings.into(),
            update_timestamp: 0,
            image: None,
            write_protected: false,
        }
    }

    /// What the EEPROM becomes on its way to booting `partition`; None if it stays what it is. Says in `log` why.
    pub(super) fn update(
        &self,
        files: &mut dyn BootFiles,
        (partition, config): (u32, &Config),
        serial: u64,
        log: &mut Vec<String>,
    ) -> Result<Option<Self>, NoBoot> {
        // Without it there is nothing to say.
        let Ok(digest) = files.read(partition, DIGEST) else { return Ok(None) };
        let (image, time) = match self.fit(files, partition, config, serial, &digest) {
            Ok(fit) => fit,
            Err(why) => {
                log.push(format!("no update of the EEPROM from partition {partition}: {why}"));
                return Ok(None);
            }
        };
        if self.write_protected && self.build_timestamp >= PROTECTED_GOES_ON_S {
            log.push("no update of the EEPROM: it is write-protected".to_owned());
            return Ok(None);
        }
        if self.write_protected {
            let what = "it is write-protected and tries to update itself".to_owned();
            return Err(NoBoot::Forever { what });
        }
        let release = Release::read(&image).map_err(|problem| NoBoot::Ruined { problem })?;
        log.push(format!("the EEPROM updates itself from partition {partition} to {}, and resets", release.version));
        let new = Self::of_release(release, serial);
        // A file without a time leaves none.
        Ok(Some(Self { update_timestamp: time.unwrap_or(0), image: Some(sha256(&image)), ..new }))
    }

    /// The image that may be installed, and its time; or why none may.
    fn fit(
        &self,
        files: &mut dyn BootFiles,
        partition: u32,
        config: &Config,
        serial: u64,
        digest: &[u8],
    ) -> Result<(Vec<u8>, Option<u32>), String> {
        if !config.bootloader_update {
            return Err("config.txt has bootloader_update=0".to_owned());
        }
        if setting(&self.settings, "ENABLE_SELF_UPDATE", serial).is_some_and(|value| value == "0") {
            return Err("the EEPROM's settings have ENABLE_SELF_UPDATE=0".to_owned());
        }
        let (digest, time) = read_digest(digest).ok_or(format!("{DIGEST} is no digest"))?;
        let former = self.update_timestamp;
        if let Some(time) = time.filter(|time| *time <= former) {
            return Err(format!("its time {time} is not after {former}"));
        }
        let image = files.read(partition, IMAGE)?;
        if image.len() != IMAGE_BYTES {
            return Err(format!("{IMAGE} has {} bytes", image.len()));
        }
        if sha256(&image) != digest {
            return Err(format!("{IMAGE} has another digest than {DIGEST} says"));
        }
        if self.image.as_ref() == Some(&digest) {
            return Err("the EEPROM holds this image already".to_owned());
        }
        Ok((image, time))
    }
}

#[cfg(test)]
mod tests;
