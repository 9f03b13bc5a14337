//! autoboot.txt as one sector of the first partition: read, and overwritten in place.
//!
//! Promises: a commit writes that sector past the page cache (`O_DIRECT`, open(2)), which would write the whole page
//! around it, and returns once the medium itself gave it back. Must never write another byte.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lucid_layout::autoboot::{AUTOBOOT_BYTES, committed, render};
use lucid_layout::{Slot, files};
use rustix::fs::OFlags;

use crate::error::Error;
use crate::file;

/// A sector in memory that begins at a page, which every driver takes.
#[repr(align(4096))]
struct Sector([u8; AUTOBOOT_BYTES]);

/// Where autoboot.txt lies.
#[derive(Debug)]
pub(crate) struct Autoboot {
    device: PathBuf,
    /// From the partition's beginning, in bytes; a multiple of the sector.
    offset: u64,
    content: [u8; AUTOBOOT_BYTES],
}

impl Autoboot {
    /// Finds and reads it. What it says may be damaged; where it lies must not be.
    pub(crate) fn open(device: &Path) -> Result<Self, Error> {
        let file = File::open(device).map_err(Error::io("open", device))?;
        let place = lucid_fat::find(&file, files::AUTOBOOT_TXT).map_err(Error::Autoboot)?;
        // Clusters are whole sectors; so a file of one sector lies in one piece.
        let offset = match &*place.extents {
            [extent] if place.size == AUTOBOOT_BYTES as u64 && extent.offset.is_multiple_of(place.size) => {
                extent.offset
            }
            _ => return Err(file::damaged(device, "autoboot.txt is not one sector")),
        };
        let mut content = [0; AUTOBOOT_BYTES];
        file.read_exact_at(&mut content, offset).map_err(Error::io("read", device))?;
        Ok(Self { device: device.to_owned(), offset, content })
    }

    /// The slot that it commits; nothing if it is damaged.
    pub(crate) fn committed(&self) -> Option<Slot> {
        committed(&self.content).ok()
    }

    /// Commits `slot`: on the medium, and read back from it, once this returned.
    pub(crate) fn commit(&self, slot: Slot) -> Result<(), Error> {
        let sector = Sector(render(slot));
        let there = self.write(&sector).map_err(Error::io("commit a slot on", &self.device))?;
        if there.0 == sector.0 {
            Ok(())
        } else {
            Err(file::damaged(&self.device, "autoboot.txt reads otherwise than written"))
        }
    }

    /// Writes the sector. Gives what is there then.
    fn write(&self, sector: &Sector) -> io::Result<Sector> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&self.device)?;
        file.write_all_at(&sector.0, self.offset)?;
        file.sync_all()?;
        let mut there = Sector([0; AUTOBOOT_BYTES]);
        file.read_exact_at(&mut there.0, self.offset)?;
        Ok(there)
    }
}
