//! The partitions of the two slots, and which of them may be written.
//!
//! Promises: a partition is opened for writing only if it is the idle slot's, or the first one for the sector of
//! autoboot.txt, and that is found out anew each time, from the root file system that is mounted. Must never write
//! itself, nor guess a partition by its place.

mod block_device;
mod boot_disk;
mod table;

use std::io;

use lucid_device::Reading;
use lucid_error::chain;
use lucid_fat::{FatError, ReadAt};
use lucid_layout::{Partition, Release, Slot, files};

pub(crate) use block_device::Aligned;
#[cfg(test)]
pub(crate) use block_device::BlockDevice;
pub(crate) use boot_disk::BootDisk;

/// Longest [`Release`] in bytes.
const RELEASE_BYTES_MAX: u64 = 4096;

/// Why a partition can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotsError {
    #[error("{0}; restart the box, and flash it again if that does not help")]
    Unknown(String),
    #[error("`{}` can't be {attempted} ({source}); if it happens again, flash another card or disk", partition.name())]
    Device { partition: Partition, attempted: &'static str, source: io::Error },
    #[error(
        "whether another disk has partitions of the same ids is not known, as of `{disks}` not all have answered: \
         unplug the one that hangs, and try again"
    )]
    Unanswered { disks: String },
    #[error("slot {} runs and can't be written; ask for the status", .0.letter())]
    Running(Slot),
}

/// A partition that is open. Reads and writes go past the kernel's caches.
pub(crate) trait Device: ReadAt + Send {
    /// Its size.
    fn bytes(&self) -> u64;
    /// Writes; place and length are multiples of 512. What was written may be lost until [`Device::flush`] returned.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Waits until everything that was written is on the medium.
    fn flush(&self) -> io::Result<()>;
}

/// What a partition is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The disk that the box was booted from.
pub(crate) trait Disk: Send + Sync {
    /// The slot whose root file system is mounted.
    fn mounted(&self) -> Result<Slot, SlotsError>;
    /// Opens a partition.
    fn open(&self, partition: Partition, access: Access) -> Result<Box<dyn Device>, SlotsError>;
    /// Another disk with partitions of the same ids, which could be booted or mounted in place of this one. Waits for
    /// seconds at most; [`SlotsError::Unanswered`] where that is not enough.
    fn twin(&self) -> Result<Option<String>, SlotsError>;
}

/// A slot that does not run, open for writing.
pub(crate) struct Idle {
    pub(crate) boot: Box<dyn Device>,
    pub(crate) root: Box<dyn Device>,
}

/// The two slots.
pub(crate) struct Slots {
    disk: Box<dyn Disk>,
}

impl Slots {
    /// Those on `disk`.
    pub(crate) fn new(disk: Box<dyn Disk>) -> Self {
        Self { disk }
    }

    /// The slot that runs, by the root file system that is mounted.
    pub(crate) fn running(&self) -> Result<Slot, SlotsError> {
        self.disk.mounted()
    }

    /// Another disk that looks the same.
    pub(crate) fn twin(&self) -> Result<Option<String>, SlotsError> {
        self.disk.twin()
    }

    /// A partition, to be read.
    pub(crate) fn read(&self, partition: Partition) -> Result<Box<dyn Device>, SlotsError> {
        self.disk.open(partition, Access::Read)
    }

    /// A slot's boot and root partitions, to be written.
    pub(crate) fn write(&self, slot: Slot) -> Result<Idle, SlotsError> {
        if self.disk.mounted()? == slot {
            return Err(SlotsError::Running(slot));
        }
        Ok(Idle {
            boot: self.disk.open(slot.boot(), Access::Write)?,
            root: self.disk.open(slot.root(), Access::Write)?,
        })
    }

    /// The first partition, to be written in one sector.
    pub(super) fn write_autoboot(&self) -> Result<Box<dyn Device>, SlotsError> {
        self.disk.open(Partition::Autoboot, Access::Write)
    }

    /// What a slot's boot partition says of itself.
    pub(crate) fn release(&self, slot: Slot) -> Reading<Release> {
        let device = match self.read(slot.boot()) {
            Ok(device) => device,
            Err(error) => return Reading::failed(error.to_string()),
        };
        match lucid_fat::read(&*device, files::RELEASE, RELEASE_BYTES_MAX) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(release) => Reading::Present(release),
                Err(error) => Reading::failed(format!("`{}` makes no sense: {error}", files::RELEASE)),
            },
            Err(error @ FatError::Read(_)) => Reading::failed(chain(&error)),
            Err(error) => Reading::absent(format!("slot {} holds no release: {error}", slot.letter())),
        }
    }
}

#[cfg(test)]
mod tests;
