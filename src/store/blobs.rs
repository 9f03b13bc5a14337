//! A directory of immutable files, for what is too large for a row.
//!
//! One sub-directory per id, one file per index: `ID/00000000000000000042.blob`. Promises that a blob is on disk, whole
//! and under its name, when `put` returns, and that no put ever changes one. The order with the store is the caller's:
//! put the blob, then commit the row that names it; remove the row, then the blob. Ids are checked strictly, because
//! they become paths. Must never follow an id out of its directory.
//!
//! A blob is written once and seldom read soon, so that what lies in a [`BlobBuffer`] goes past the page cache where
//! the filesystem allows it: that saves a copy and a page of memory per page, and what is worth caching stays cached.

mod buffer;
mod direct;

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use buffer::BlobBuffer;

use crate::error::StoreError;
use crate::file::{TEMP_PREFIX, create_with, parent, sync_dir, write_new};

/// Longest id in bytes: room for a UUID or a SHA-256 in hex.
pub const BLOB_ID_BYTES_MAX: usize = 64;

/// Blobs are ciphertext, but sizes and times are nobody's business either.
const MODE: u32 = 0o600;

const SUFFIX: &str = ".blob";

/// Digits of an index in a file name: all of u64, so that names sort as numbers do.
const INDEX_DIGITS: usize = 20;

/// A directory of blobs. Blocking: call from `spawn_blocking`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    dir: PathBuf,
    /// Held while an id's directory is made and synced: a second put must not find it before it is durable.
    making_dir: Arc<Mutex<()>>,
    /// Whether the filesystem refused to write past the page cache: it need not be asked for every blob.
    cached_only: Arc<AtomicBool>,
}

impl Blobs {
    /// Opens the directory, makes it where it is missing, and sweeps what interrupted puts left.
    ///
    /// # Errors
    /// `Io` and `DiskFull`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        make_dirs(dir)?;
        let blobs = Self { dir: dir.to_path_buf(), making_dir: Arc::default(), cached_only: Arc::default() };
        let swept = blobs.sweep()?;
        if swept > 0 {
            tracing::info!(dir = %dir.display(), swept, "left-overs of interrupted writes removed");
        }
        Ok(blobs)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stores a blob. Again with the same bytes is no error, so that a retry after a crash goes through. Fastest where
    /// `bytes` lie in a [`BlobBuffer`].
    ///
    /// # Errors
    /// `BadBlobId`; `Exists` if the blob is there with other bytes; `DiskFull`, `Io`.
    pub fn put(&self, id: &str, index: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(id, index)?;
        self.make_id_dir(parent(&path))?;
        match create_with(&path, |temp| self.write(temp, bytes)) {
            Err(StoreError::Exists { path }) => {
                let same = self.get(id, index)?.is_some_and(|found| found == bytes);
                if same { sync_dir(parent(&path)) } else { Err(StoreError::Exists { path }) }
            }
            result => result,
        }
    }

    /// The blob's bytes, `None` if it is not there.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`.
    pub fn get(&self, id: &str, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(id, index)?;
        absent_is_none(fs::read(&path)).map_err(|error| StoreError::io("read", &path, error))
    }

    /// The blob opened for reading, `None` if it is not there.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`.
    pub fn reader(&self, id: &str, index: u64) -> Result<Option<File>, StoreError> {
        let path = self.path(id, index)?;
        absent_is_none(File::open(&path)).map_err(|error| StoreError::io("open", &path, error))
    }

    /// The blob's size in bytes, `None` if it is not there.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`.
    pub fn size(&self, id: &str, index: u64) -> Result<Option<u64>, StoreError> {
        let path = self.path(id, index)?;
        let metadata = absent_is_none(fs::metadata(&path));
        Ok(metadata.map_err(|error| StoreError::io("read the size of", &path, error))?.map(|metadata| metadata.len()))
    }

    /// Removes a blob, durably; tells whether there was one.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`.
    pub fn remove(&self, id: &str, index: u64) -> Result<bool, StoreError> {
        let path = self.path(id, index)?;
        let removed = absent_is_none(fs::remove_file(&path)).map_err(|error| StoreError::io("remove", &path, error))?;
        if removed.is_some() {
            sync_dir(parent(&path))?;
        }
        Ok(removed.is_some())
    }

    /// Removes all blobs of an id, durably; tells whether there were any.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`; what could be removed until then is gone, and calling again goes on.
    pub fn remove_all(&self, id: &str) -> Result<bool, StoreError> {
        let dir = self.id_dir(id)?;
        let removed =
            absent_is_none(fs::remove_dir_all(&dir)).map_err(|error| StoreError::io("remove", &dir, error))?;
        if removed.is_some() {
            sync_dir(&self.dir)?;
        }
        Ok(removed.is_some())
    }

    /// All ids, sorted.
    ///
    /// # Errors
    /// `Io`.
    pub fn ids(&self) -> Result<Vec<String>, StoreError> {
        let mut ids = Vec::new();
        for entry in entries(&self.dir)? {
            let name = entry.file_name();
            ids.extend(name.to_str().filter(|name| is_id(name)).map(str::to_owned));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The indexes of an id's blobs, sorted; none if the id is unknown.
    ///
    /// # Errors
    /// `BadBlobId`, `Io`.
    pub fn list(&self, id: &str) -> Result<Vec<u64>, StoreError> {
        let mut indexes = Vec::new();
        for entry in entries(&self.id_dir(id)?)? {
            indexes.extend(index_of(&entry.file_name()));
        }
        indexes.sort_unstable();
        Ok(indexes)
    }

    /// Removes temporary files that a crash left; gives their number.
    fn sweep(&self) -> Result<u64, StoreError> {
        let mut swept = 0;
        for id in self.ids()? {
            for entry in entries(&self.dir.join(&id))? {
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMP_PREFIX)) {
                    let path = entry.path();
                    fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, error))?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    /// Writes and syncs the file `temp`, past the page cache where that can be done.
    fn write(&self, temp: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if self.cached_only.load(Ordering::Relaxed) || !direct::is_aligned(bytes) {
            return write_new(temp, bytes, MODE);
        }
        match direct::write_new(temp, bytes, MODE) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                tracing::info!(dir = %self.dir.display(), "this filesystem writes through the page cache only");
                self.cached_only.store(true, Ordering::Relaxed);
                write_new(temp, bytes, MODE)
            }
            written => written.map_err(|error| StoreError::io("write", temp, error)),
        }
    }

    fn make_id_dir(&self, dir: &Path) -> Result<(), StoreError> {
        let _held = self.making_dir.lock().unwrap_or_else(PoisonError::into_inner);
        make_dir(dir)
    }

    fn id_dir(&self, id: &str) -> Result<PathBuf, StoreError> {
        if !is_id(id) {
            let id = id.chars().take(BLOB_ID_BYTES_MAX).collect();
            return Err(StoreError::BadBlobId { id, max_bytes: BLOB_ID_BYTES_MAX });
        }
        Ok(self.dir.join(id))
    }

    fn path(&self, id: &str, index: u64) -> Result<PathBuf, StoreError> {
        Ok(self.id_dir(id)?.join(format!("{index:0INDEX_DIGITS$}{SUFFIX}")))
    }
}

fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    id.len() <= BLOB_ID_BYTES_MAX && !id.is_empty() && !id.starts_with('-') && id.bytes().all(allowed)
}

fn index_of(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    let plain = digits.len() == INDEX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The entries of a directory; none if it is not there.
fn entries(dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let read = || fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>();
    let found = absent_is_none(read()).map_err(|error| StoreError::io("list", dir, error))?;
    Ok(found.unwrap_or_default())
}

/// Makes a directory, and those above it that are missing, durable together with their names.
fn make_dirs(dir: &Path) -> Result<(), StoreError> {
    if !dir.exists() && parent(dir) != dir {
        make_dirs(parent(dir))?;
    }
    make_dir(dir)
}

/// Makes a directory durable together with its name in its parent, which must be there: one that vanished, with its
/// disk say, must not come back as an empty one on another disk.
fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent(dir)).inspect_err(|_| forget_dir(dir)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(StoreError::io("make the directory", dir, error)),
    }
}

/// Takes back a directory whose name could not be synced, so that the next call makes and syncs it again.
fn forget_dir(dir: &Path) {
    if let Err(error) = fs::remove_dir(dir) {
        tracing::warn!(dir = %dir.display(), %error, "a directory that may not be durable could not be removed");
    }
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
