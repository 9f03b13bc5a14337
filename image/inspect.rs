//! What an image says of itself.

use std::fmt;
use std::path::Path;

use lucid_layout::cmdline::{self, Verity};
use lucid_layout::provisioning::is_consumed;
use lucid_layout::{EepromRelease, Partition, Provisioning, Release, Slot, autoboot, files};
use zeroize::Zeroizing;

use crate::disk::{self, Extent};
use crate::error::Error;
use crate::{eeprom, fat};

/// What an image or device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Partition, begin and length in bytes.
    pub partitions: Vec<(Partition, u64, u64)>,
    /// The slot that boots; None if autoboot.txt is damaged.
    pub committed: Option<Slot>,
    /// Both slots.
    pub slots: Vec<(Slot, SlotContent)>,
    /// What became of the provisioning file.
    pub provisioning: ProvisioningState,
}

/// What a boot partition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotContent {
    /// Its release.
    pub release: Release,
    /// The root that its command line names.
    pub verity: Verity,
    /// The EEPROM's release that it carries.
    pub eeprom: Option<EepromRelease>,
}

/// What became of the provisioning file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisioningState {
    /// It asks for nothing.
    Untouched,
    /// It holds settings for the first boot.
    Provisioned,
    /// The first boot is over.
    Consumed,
    /// It will not be applied: why.
    Invalid(String),
}

/// Looks into an image or device.
///
/// # Errors
/// If its partitions or boot files are not those of this appliance.
pub fn inspect(path: &Path) -> Result<Inspection, Error> {
    let table = disk::read_table(path)?;
    let start = |partition: Partition| table[&partition].start_bytes;
    let autoboot = fat::read(path, start(Partition::Autoboot), files::AUTOBOOT_TXT)?;
    let slot = |slot: Slot| Ok((slot, slot_content(path, slot, start(slot.boot()))?));
    Ok(Inspection {
        partitions: table
            .iter()
            .map(|(partition, Extent { start_bytes, bytes })| (*partition, *start_bytes, *bytes))
            .collect(),
        committed: autoboot::committed(&autoboot).ok(),
        slots: Slot::ALL.into_iter().map(slot).collect::<Result<_, Error>>()?,
        provisioning: provisioning(path, start(Partition::Autoboot))?,
    })
}

/// What the boot partition that begins at `start_bytes` says of a slot.
pub(crate) fn slot_content(path: &Path, slot: Slot, start_bytes: u64) -> Result<SlotContent, Error> {
    let letter = slot.letter();
    let json = fat::read(path, start_bytes, files::RELEASE)?;
    let release = serde_json::from_slice(&json)
        .map_err(|error| Error::no_image(path, format!("slot {letter}, {}: {error}", files::RELEASE)))?;
    let line = fat::read(path, start_bytes, slot.cmdline_file())?;
    let (named, verity) = cmdline::parse(&String::from_utf8_lossy(&line))
        .map_err(|error| Error::no_image(path, format!("slot {letter}: {error}")))?;
    if named != slot {
        return Err(Error::no_image(path, format!("{} is slot {}'s", slot.cmdline_file(), named.letter())));
    }
    Ok(SlotContent { release, verity, eeprom: eeprom::facts(path, start_bytes)? })
}

fn provisioning(path: &Path, start_bytes: u64) -> Result<ProvisioningState, Error> {
    let bytes = Zeroizing::new(fat::read(path, start_bytes, files::PROVISIONING)?);
    if is_consumed(&bytes) {
        return Ok(ProvisioningState::Consumed);
    }
    Ok(match Provisioning::parse(&bytes) {
        Ok(provisioning) if provisioning.is_empty() => ProvisioningState::Untouched,
        Ok(_) => ProvisioningState::Provisioned,
        Err(error) => ProvisioningState::Invalid(error.to_string()),
    })
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (partition, start, bytes) in &self.partitions {
            let (number, name, mib) = (partition.number(), partition.name(), bytes >> 20);
            writeln!(f, "partition {number}  {name:<9} {mib:>5} MiB at {:>5} MiB", start >> 20)?;
        }
        match self.committed {
            Some(slot) => writeln!(f, "autoboot.txt commits slot {}", slot.letter())?,
            None => writeln!(f, "autoboot.txt is damaged")?,
        }
        for (slot, SlotContent { release, verity, eeprom }) in &self.slots {
            writeln!(f, "slot {}       version {}", slot.letter(), release.version)?;
            writeln!(f, "             build {}", release.build_id)?;
            writeln!(f, "             root hash {} over {} blocks", verity.root_hash, verity.data_blocks)?;
            if let Some(release) = eeprom {
                writeln!(f, "             {}", eeprom::line(release))?;
            }
        }
        match &self.provisioning {
            ProvisioningState::Untouched => writeln!(f, "lucid.toml is untouched"),
            ProvisioningState::Provisioned => writeln!(f, "lucid.toml holds settings for the first boot"),
            ProvisioningState::Consumed => writeln!(f, "lucid.toml was consumed by a first boot"),
            ProvisioningState::Invalid(problem) => writeln!(f, "lucid.toml will not be applied: {problem}"),
        }
    }
}
