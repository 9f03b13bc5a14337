//! Small files that are there whole or not at all, and keys that must not leave copies.
//!
//! Owns the sequence temporary file, write, fsync, rename, fsync of the directory: a reader sees the old content or the
//! new one, also after a power cut, and a file is on disk when the call returns. [`overwrite_in_place`] is the
//! opposite: it writes over the same blocks, so that the old content is not left in freed ones. Must never follow a
//! failed fsync by a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::RenameFlags;

use crate::error::StoreError;

/// The mode of files with secrets.
pub const MODE_SECRET: u32 = 0o600;

/// How the names of temporary files begin; what begins so may be swept at start.
pub(crate) const TEMP_PREFIX: &str = ".tmp-";

/// Replaces the file at `path`, or makes it, with exactly `bytes` and `mode`.
///
/// # Errors
/// `DiskFull` and `Io`; the former file is then untouched.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let temp = temp_beside(path);
    let renamed = write_new(&temp, bytes, mode)
        .and_then(|()| fs::rename(&temp, path).map_err(|error| StoreError::io("rename into place", path, error)));
    finish(path, &temp, renamed)
}

/// Makes the file at `path` with exactly `bytes` and `mode`, unless there is one.
///
/// # Errors
/// `Exists` if there is one, of whatever content; `DiskFull` and `Io`.
pub fn create_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    create_with(path, |temp| write_new(temp, bytes, mode))
}

/// As [`create_file`]; `write` makes the temporary file, and must have synced it when it returns.
pub(crate) fn create_with(path: &Path, write: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let temp = temp_beside(path);
    let renamed = write(&temp).and_then(|()| rename_to_free(&temp, path));
    finish(path, &temp, renamed)
}

/// Writes `bytes` over a file of the same length, in place, and syncs it: for destroying keys.
///
/// # Errors
/// `WrongLength` if the lengths differ, before anything is written; `NotFound` and `Io`.
pub fn overwrite_in_place(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let open = OpenOptions::new().write(true).open(path);
    let file = open.map_err(|error| StoreError::io("open", path, error))?;
    let metadata = file.metadata().map_err(|error| StoreError::io("read the size of", path, error))?;
    let (found_bytes, expected_bytes) = (metadata.len(), bytes.len() as u64);
    if found_bytes != expected_bytes {
        return Err(StoreError::WrongLength { path: path.to_path_buf(), found_bytes, expected_bytes });
    }
    file.write_all_at(bytes, 0).map_err(|error| StoreError::io("overwrite", path, error))?;
    file.sync_all().map_err(|error| StoreError::io("sync", path, error))
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// `NotFound` and `Io`.
pub fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(|error| StoreError::io("sync the directory", path, error))
}

/// The directory of a file, `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Renames, unless something has the new name.
pub(crate) fn rename_to_free(from: &Path, to: &Path) -> Result<(), StoreError> {
    let at = rustix::fs::CWD;
    match rustix::fs::renameat_with(at, from, at, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(StoreError::Exists { path: to.to_path_buf() })
        }
        result => result.map_err(|error| StoreError::io("rename into place", to, error)),
    }
}

/// A name in the same directory that no other call of this process gives.
fn temp_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!("{TEMP_PREFIX}{}-{number}", std::process::id()))
}

pub(crate) fn write_new(temp: &Path, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temp);
    let mut file = open.map_err(|error| StoreError::io("create", temp, error))?;
    file.write_all(bytes).map_err(|error| StoreError::io("write", temp, error))?;
    file.sync_all().map_err(|error| StoreError::io("sync", temp, error))
}

/// Syncs the directory after a rename; removes the temporary file after a failure.
fn finish(path: &Path, temp: &Path, renamed: Result<(), StoreError>) -> Result<(), StoreError> {
    match renamed {
        Ok(()) => sync_dir(parent(path)),
        Err(error) => {
            if let Err(leftover) = fs::remove_file(temp)
                && leftover.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %temp.display(), error = %leftover, "a temporary file could not be removed");
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
