//! autoboot.txt, by which the EEPROM chooses the slot: read, and overwritten in its one sector.
//!
//! Promises: the FAT volume around it stays byte by byte what it was; a commit returns once the medium gives the new
//! sector back. Must never write anything but one of the two variants of `lucid_layout`.

use lucid_fat::FatError;
use lucid_layout::autoboot::{self, AUTOBOOT_BYTES, UnknownAutoboot};
use lucid_layout::{Partition, Slot, files};

use super::slots::{Aligned, Device, Slots, SlotsError};

/// Why the slot is not known, or not committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AutobootError {
    #[error(transparent)]
    Slots(#[from] SlotsError),
    #[error("autoboot.txt can't be found ({0}); flash the box again")]
    Find(FatError),
    #[error("autoboot.txt is not one sector on the first partition; flash the box again")]
    Shape,
    #[error(transparent)]
    Unknown(#[from] UnknownAutoboot),
    #[error("autoboot.txt can't be {attempted} ({source}); try again, and flash another card or disk if it stays so")]
    Io { attempted: &'static str, source: std::io::Error },
    #[error("autoboot.txt does not read as it was written; flash another card or disk")]
    Differs,
}

/// The slot that autoboot.txt commits.
pub(crate) fn committed(slots: &Slots) -> Result<Slot, AutobootError> {
    let device = slots.read(Partition::Autoboot)?;
    let sector = read(&*device)?;
    Ok(autoboot::committed(&sector)?)
}

/// Makes `slot` the one that boots.
pub(crate) fn commit(slots: &Slots, slot: Slot) -> Result<(), AutobootError> {
    let io = |attempted| move |source| AutobootError::Io { attempted, source };
    let device = slots.write_autoboot()?;
    let offset = place(&*device)?;
    let sector = autoboot::render(slot);
    device.write_at(offset, &Aligned::copied(&sector)).map_err(io("written"))?;
    device.flush().map_err(io("written"))?;
    drop(device);
    // Found anew: nothing of what this process knew of it is taken for granted.
    if read(&*slots.read(Partition::Autoboot)?)? == sector { Ok(()) } else { Err(AutobootError::Differs) }
}

fn read(device: &dyn Device) -> Result<[u8; AUTOBOOT_BYTES], AutobootError> {
    let mut sector = [0; AUTOBOOT_BYTES];
    let offset = place(device)?;
    let read = device.read_exact_at(&mut sector, offset);
    read.map_err(|source| AutobootError::Io { attempted: "read", source })?;
    Ok(sector)
}

/// Where its one sector is.
fn place(device: &dyn Device) -> Result<u64, AutobootError> {
    let place = lucid_fat::find(device, files::AUTOBOOT_TXT).map_err(AutobootError::Find)?;
    match &*place.extents {
        [extent] if place.size == AUTOBOOT_BYTES as u64 && extent.offset.is_multiple_of(place.size) => {
            Ok(extent.offset)
        }
        _ => Err(AutobootError::Shape),
    }
}
