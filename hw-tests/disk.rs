//! A disk image as the EEPROM reads it: GPT, and FAT file systems on it. Must never write.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::eeprom::BootFiles;

/// A logical sector of the disks that the bench plays, in bytes.
const SECTOR_BYTES: u64 = 512;

/// Largest file that is read from a boot partition, in bytes; the EEPROM reads at most half of it at once.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why an image cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It is not there, or may not be read.
    #[error("cannot open `{}`; check that the image was built", .path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Neither of the two partition tables is whole.
    #[error("`{}` has no whole GPT; build the image again", .path.display())]
    Table {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: gpt::GptError,
    },
}

/// An image's partitions.
pub struct DiskImage {
    path: PathBuf,
    /// Number, first byte, bytes.
    partitions: Vec<(u32, u64, u64)>,
}

impl DiskImage {
    /// Reads the partition table.
    ///
    /// # Errors
    /// If there is no image, or no table.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let file = File::open(path).map_err(|source| DiskError::Open { path: path.to_owned(), source })?;
        let disk = gpt::GptConfig::new()
            .writable(false)
            .open_from_device(file)
            .map_err(|source| DiskError::Table { path: path.to_owned(), source })?;
        let used = disk.partitions().iter().filter(|(_, partition)| partition.is_used());
        let place = |(number, partition): (&u32, &gpt::partition::Partition)| {
            let sectors = partition.last_lba.saturating_sub(partition.first_lba).saturating_add(1);
            (*number, partition.first_lba.saturating_mul(SECTOR_BYTES), sectors.saturating_mul(SECTOR_BYTES))
        };
        Ok(Self { path: path.to_owned(), partitions: used.map(place).collect() })
    }

    /// First byte and number of bytes of a partition.
    #[must_use]
    pub fn place(&self, number: u32) -> Option<(u64, u64)> {
        self.partitions.iter().find(|(known, ..)| *known == number).map(|(_, start, bytes)| (*start, *bytes))
    }

    fn fat(&self, number: u32) -> Result<fatfs::FileSystem<Window>, String> {
        let (start, bytes) = self.place(number).ok_or(format!("there is no partition {number}"))?;
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let window = Window { file, start, bytes, position: 0 };
        fatfs::FileSystem::new(window, fatfs::FsOptions::new()).map_err(|error| format!("no FAT file system: {error}"))
    }
}

impl BootFiles for DiskImage {
    fn is_fat(&mut self, number: u32) -> bool {
        self.fat(number).is_ok()
    }

    fn read(&mut self, number: u32, path: &str) -> Result<Vec<u8>, String> {
        let system = self.fat(number)?;
        let failed = |error: io::Error| format!("cannot read {path}: {error}");
        let file = system.root_dir().open_file(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX { Err(format!("{path} is too large")) } else { Ok(bytes) }
    }
}

/// A partition as a device that begins at zero and cannot be written.
struct Window {
    file: File,
    start: u64,
    bytes: u64,
    position: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        self.file.seek(SeekFrom::Start(self.start + self.position))?;
        let read = self.file.read(&mut buffer[..wanted])?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl Write for Window {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
