//! autoboot.txt as one sector of the first partition: read, and overwritten in place.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lucid_layout::autoboot::{AUTOBOOT_BYTES, committed, render};
use lucid_layout::{Slot, files};

use crate::error::Error;
use crate::file;

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
            [extent] if place.size == AUTOBOOT_BYTES as u64 => extent.offset,
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

    /// Commits `slot`: on the disk, and read back, once this returned.
    pub(crate) fn commit(&self, slot: Slot) -> Result<(), Error> {
        let sector = render(slot);
        let write = || {
            let file = OpenOptions::new().read(true).write(true).open(&self.device)?;
            file.write_all_at(&sector, self.offset)?;
            file.sync_all()?;
            let mut there = [0; AUTOBOOT_BYTES];
            file.read_exact_at(&mut there, self.offset).map(|()| there)
        };
        let there = write().map_err(Error::io("commit a slot on", &self.device))?;
        if there == sector {
            Ok(())
        } else {
            Err(file::damaged(&self.device, "autoboot.txt reads otherwise than written"))
        }
    }
}
