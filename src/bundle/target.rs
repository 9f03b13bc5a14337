//! Whether a release fits an appliance. The appliance knows its values; each check is one question, so that one who
//! does not know an answer leaves out that question and says so.

use crate::UnixSeconds;
use crate::manifest::{Kind, Manifest};
use crate::refused::Refused;

/// What a release of this project is for, by `compatible` of bundles and channels.
pub const COMPATIBLE: &str = "lucid-pi5";

/// The same question of bundles and channels.
pub(crate) fn is_for(found: &str, wanted: &str) -> Result<(), Refused> {
    if found == wanted {
        return Ok(());
    }
    Err(Refused::WrongCompatible { found: found.to_owned(), wanted: wanted.to_owned() })
}

impl Manifest {
    /// Is it for this hardware?
    ///
    /// # Errors
    /// [`Refused::WrongCompatible`]
    pub fn check_compatible(&self, compatible: &str) -> Result<(), Refused> {
        is_for(&self.compatible, compatible)
    }

    /// May it still be installed?
    ///
    /// # Errors
    /// [`Refused::BelowFloor`]
    pub const fn check_epoch(&self, floor: u64) -> Result<(), Refused> {
        if self.epoch >= floor { Ok(()) } else { Err(Refused::BelowFloor { epoch: self.epoch, floor }) }
    }

    /// Can the EEPROM of that build date boot it?
    ///
    /// # Errors
    /// [`Refused::EepromTooOld`]
    pub const fn check_eeprom(&self, date: UnixSeconds) -> Result<(), Refused> {
        if date >= self.eeprom_min { Ok(()) } else { Err(Refused::EepromTooOld { date, min: self.eeprom_min }) }
    }

    /// Does it read data that was written in `generation`?
    ///
    /// # Errors
    /// [`Refused::DataUnreadable`]
    pub const fn check_data(&self, generation: u32) -> Result<(), Refused> {
        if self.data.reads(generation) { Ok(()) } else { Err(Refused::DataUnreadable { generation }) }
    }

    /// Does the payload fit into a partition of `room` bytes?
    ///
    /// # Errors
    /// [`Refused::NoRoom`]
    pub fn check_room(&self, kind: Kind, room: u64) -> Result<(), Refused> {
        let bytes = self.payload(kind).bytes;
        if bytes <= room { Ok(()) } else { Err(Refused::NoRoom { kind, bytes, room }) }
    }
}
