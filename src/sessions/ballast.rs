//! Room that is given up so that a recording can be deleted from a disk without any.
//!
//! The chain goes on where recording stops, and eats the last room in days; a deletion writes before it frees. So a
//! file of zeros lies in wait, which nothing but a deletion, or opening the store on a full disk, may use. It is made
//! anew once there is room to spare. It is less than what recording leaves: giving it up lets no recording go on.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use lucid_device::disk::free_space;
use lucid_store::sync_dir;

use crate::repository::ROOM_BYTES_MIN;

/// What a rotation of the keys of 10 000 recordings writes, twice over.
const BALLAST_BYTES: u64 = 8 * 1024 * 1024;
/// With less room the ballast is given up.
const FREE_BYTES_MIN: u64 = 2 * 1024 * 1024;
/// Written at a time.
const BLOCK_BYTES: usize = 1024 * 1024;

/// The file.
#[derive(Debug)]
pub(crate) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// The one of a data directory, whether it is there or not.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join("ballast") }
    }

    /// Gives it up if there is hardly any room. Blocking.
    ///
    /// # Errors
    /// What the filesystem says.
    pub(crate) fn release_if_full(&self) -> io::Result<()> {
        if self.free_bytes()? < FREE_BYTES_MIN { self.release() } else { Ok(()) }
    }

    /// Gives it up. Blocking.
    ///
    /// # Errors
    /// What the filesystem says; that it is gone already is no error.
    pub(crate) fn release(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!("the data disk is full: gave up the room that is kept for deletions"),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        self.path.parent().map_or(Ok(()), |dir| sync_dir(dir).map_err(io::Error::other))
    }

    /// Makes it if it is not there whole and there is room to spare. Blocking.
    ///
    /// # Errors
    /// What the filesystem says; then there is none.
    pub(crate) fn lay(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() == BALLAST_BYTES)
            || self.free_bytes()? < ROOM_BYTES_MIN + 2 * BALLAST_BYTES
        {
            return Ok(());
        }
        self.write().inspect_err(|_| {
            // Half of it is of no use, and the disk may be full. What the first error says is what counts.
            let _ = fs::remove_file(&self.path);
        })
    }

    fn write(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        let zeros = vec![0; BLOCK_BYTES];
        for _ in 0..BALLAST_BYTES / BLOCK_BYTES as u64 {
            file.write_all(&zeros)?;
        }
        file.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let dir = self.path.parent().unwrap_or(Path::new("/"));
        Ok(free_space(dir).map_err(io::Error::other)?.free_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_once_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::of(dir.path());
        ballast.release().unwrap();
        ballast.lay().unwrap();
        let made = fs::metadata(&ballast.path).unwrap();
        assert_eq!(made.len(), BALLAST_BYTES);
        ballast.lay().unwrap();
        assert_eq!(fs::metadata(&ballast.path).unwrap().modified().unwrap(), made.modified().unwrap());
        ballast.release_if_full().unwrap();
        assert!(ballast.path.exists(), "there is room");
        ballast.release().unwrap();
        assert!(!ballast.path.exists());
        // One that a cut left half written is made whole.
        fs::write(&ballast.path, "half").unwrap();
        ballast.lay().unwrap();
        assert_eq!(fs::metadata(&ballast.path).unwrap().len(), BALLAST_BYTES);
    }
}
