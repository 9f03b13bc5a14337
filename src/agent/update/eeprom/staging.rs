//! The carried release on a slot's boot partition: inert, or under the names that the firmware looks for.
//!
//! Promises: the firmware finds both files or nothing it can use, at whatever step the power is cut: the image is whole
//! and read back before it gets its name, and the digest, without which the image counts for nothing, gets its name
//! last. Writes only to files that are there already, and to their two entries in the directory. Must never open the
//! slot that runs for writing.

use std::io;

use lucid_device::Reading;
use lucid_error::chain;
use lucid_fat::{FatError, Place};
use lucid_layout::disk::SECTOR_BYTES;
use lucid_layout::eeprom::{FACTS_BYTES_MAX, IMAGE_BYTES, digest_file};
use lucid_layout::{Digest, EepromRelease, Slot, files};
use sha2::{Digest as _, Sha256};

use crate::update::slots::{Aligned, Device, Slots, SlotsError};

/// A name in a directory and the file's size, where the entry has them (Microsoft, "FAT32 File System Specification").
const NAME_BYTES: usize = 11;
const SIZE_AT: usize = 28;
const ENTRY_BYTES: usize = 32;

/// Why a release of the EEPROM can't be made ready, or put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    #[error(transparent)]
    Slots(#[from] SlotsError),
    #[error("what the running slot carries can't be read ({0}); install the release again, or flash the box")]
    Source(FatError),
    #[error("the EEPROM's image in the running slot is not the one that was announced; flash the box again")]
    NotAnnounced,
    #[error(
        "the other slot has no place for it ({0}); send the release that runs once more, so that both slots hold it"
    )]
    NoPlace(FatError),
    #[error(
        "the other slot has another size of image; send the release that runs once more, so that both slots hold it"
    )]
    OtherSize,
    #[error("the other slot can't be {attempted} ({source}); try again, and flash another card or disk if it stays so")]
    Io { attempted: &'static str, source: io::Error },
    #[error("the other slot does not read as it was written; flash another card or disk")]
    Differs,
}

/// What a slot carries.
pub(crate) fn carried(slots: &Slots, slot: Slot) -> Reading<EepromRelease> {
    let device = match slots.read(slot.boot()) {
        Ok(device) => device,
        Err(error) => return Reading::failed(error.to_string()),
    };
    match lucid_fat::read(&*device, files::EEPROM_FACTS, FACTS_BYTES_MAX) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(release) => Reading::Present(release),
            Err(error) => Reading::failed(format!("`{}` makes no sense: {error}", files::EEPROM_FACTS)),
        },
        Err(FatError::Missing(_)) => Reading::absent("this release carries none"),
        Err(error) => Reading::failed(chain(&error)),
    }
}

/// Lets the firmware find `release`, which the running slot carries, in the other one; as of `time_s`, in seconds since
/// 1970.
pub(crate) fn arm(slots: &Slots, release: &EepromRelease, time_s: u64) -> Result<(), StagingError> {
    let running = slots.running()?;
    let image = lucid_fat::read(&*slots.read(running.boot())?, files::EEPROM_IMAGE, IMAGE_BYTES);
    let image = image.map_err(StagingError::Source)?;
    if image.len() as u64 != IMAGE_BYTES || sha256(&image) != release.sha256 {
        return Err(StagingError::NotAnnounced);
    }
    disarm(slots)?;
    let device = slots.write(running.other())?.boot;
    let device = &*device;
    let digest = digest_file(&release.sha256, time_s);
    write(device, files::EEPROM_IMAGE, &image)?;
    write(device, files::EEPROM_DIGEST, digest.as_bytes())?;
    let written = lucid_fat::read(device, files::EEPROM_IMAGE, IMAGE_BYTES).map_err(StagingError::NoPlace)?;
    if sha256(&written) != release.sha256 {
        return Err(StagingError::Differs);
    }
    rename(device, files::EEPROM_IMAGE, files::EEPROM_ARMED_IMAGE, None)?;
    rename(device, files::EEPROM_DIGEST, files::EEPROM_ARMED_DIGEST, Some(digest.len()))
}

/// Takes from the firmware what it could find in the slot that does not run. Nothing is done where there is nothing.
pub(crate) fn disarm(slots: &Slots) -> Result<(), StagingError> {
    let idle = slots.running()?.other();
    let names = [(files::EEPROM_ARMED_DIGEST, files::EEPROM_DIGEST), (files::EEPROM_ARMED_IMAGE, files::EEPROM_IMAGE)];
    let device = slots.read(idle.boot())?;
    // What can't be read as a volume, such as half a release, can't be booted either.
    let is_there = |name| lucid_fat::entry(&*device, name).is_ok();
    let there: Vec<_> = names.into_iter().filter(|(name, _)| is_there(*name)).collect();
    if there.is_empty() {
        return Ok(());
    }
    tracing::warn!(slot = %idle.letter(), "an update of the EEPROM is taken back");
    let device = slots.write(idle)?.boot;
    there.into_iter().try_for_each(|(name, inert)| rename(&*device, name, inert, None))
}

/// Overwrites the bytes of the file `name`, from its first cluster on; its size stays.
fn write(device: &dyn Device, name: &str, bytes: &[u8]) -> Result<(), StagingError> {
    let Place { extents, .. } = lucid_fat::find(device, name).map_err(StagingError::NoPlace)?;
    if extents.iter().map(|extent| extent.length).sum::<u64>() < bytes.len() as u64 {
        return Err(StagingError::OtherSize);
    }
    let mut left = bytes;
    for extent in extents {
        let length = usize::try_from(extent.length).unwrap_or(usize::MAX).min(left.len());
        let (now, later) = left.split_at(length);
        let mut sectors = Aligned::zeroed(now.len().next_multiple_of(SECTOR_BYTES as usize));
        sectors[..now.len()].copy_from_slice(now);
        device.write_at(extent.offset, &sectors).map_err(io("written"))?;
        left = later;
    }
    device.flush().map_err(io("written"))
}

/// Gives the file `from` another name, and another size: one sector, which is written whole or not at all.
fn rename(device: &dyn Device, from: &str, to: &str, size: Option<usize>) -> Result<(), StagingError> {
    let at = lucid_fat::entry(device, from).map_err(StagingError::NoPlace)?;
    let begin = at / SECTOR_BYTES * SECTOR_BYTES;
    let mut sector = Aligned::zeroed(SECTOR_BYTES as usize);
    device.read_exact_at(&mut sector, begin).map_err(io("read"))?;
    // Entries do not cross sectors: 32 divides 512.
    let entry = &mut sector[(at - begin) as usize..][..ENTRY_BYTES];
    entry[..NAME_BYTES].copy_from_slice(&short_name(to));
    if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
        entry[SIZE_AT..].copy_from_slice(&size.to_le_bytes());
    }
    device.write_at(begin, &sector).map_err(io("written"))?;
    device.flush().map_err(io("written"))
}

/// A name of eight letters and three at most, as a directory has it: padded by blanks, without the dot.
fn short_name(name: &str) -> [u8; NAME_BYTES] {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let letters = base.bytes().chain(std::iter::repeat(b' ')).take(8).chain(extension.bytes());
    let mut short = [b' '; NAME_BYTES];
    short.iter_mut().zip(letters).for_each(|(place, letter)| *place = letter);
    short
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn io(attempted: &'static str) -> impl Fn(io::Error) -> StagingError {
    move |source| StagingError::Io { attempted, source }
}
