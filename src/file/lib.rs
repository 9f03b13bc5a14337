//! Small files: replaced whole or not at all, and read with a bound.
//!
//! Promises: after [`replace`] and [`remove`] returned, what they did is on the disk; a power cut before leaves the former
//! file. A file is never readable by more than it will be, not even while it is written. Blocking. Files of a store and
//! its keys are `lucid-store`'s, which can also refuse to replace one and is cut short in tests.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// The bytes of a file, wiped when dropped; `None` if there is none.
///
/// # Errors
/// What the filesystem says, or [`ErrorKind::FileTooLarge`] above `bytes_max`.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
}

/// Puts `bytes` in place of a file: written aside (`NAME.new`), synced, renamed, directory synced. `mode` is as open(2)
/// takes it; `prepare` sees the empty file before anything is in it, for an owner or a mode of its own.
///
/// # Errors
/// What the filesystem says; the former file is then still there.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let aside = path.with_added_extension("new");
    // What a cut left there may have another owner or mode.
    remove_if_there(&aside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    prepare(&file)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    sync_directory_of(path)
}

/// Removes a file for good. That there is none is no error.
///
/// # Errors
/// What the filesystem says.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    match sync_directory_of(path) {
        // Nothing was removed from a directory that is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        synced => synced,
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
