//! Small files: read with a bound, replaced whole or not at all.
//!
//! Promises: after [`replace`] returned, the content is on the disk; if the power is cut before, the former file is
//! there. A file that holds a secret is never readable by others, not even while it is being written.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, chown, fchown};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;

/// Until a file has its owner, nobody else reads it.
const MODE_SECRET: u32 = 0o600;

/// Who owns a file, and who may read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
}

/// A file's text; `None` if there is no such file.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Option<Zeroizing<String>>, Error> {
    let bytes = match lucid_file::read(path, bytes_max) {
        Err(error) if error.kind() == ErrorKind::FileTooLarge => {
            return Err(Error::TooLong { path: path.to_owned(), bytes_max });
        }
        read => read.map_err(Error::io("read", path))?,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let text = str::from_utf8(&bytes).map_err(|_| damaged(path, "it is not UTF-8"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// The error for a file that holds something else.
pub(crate) fn damaged(path: &Path, problem: &str) -> Error {
    Error::Damaged { path: path.to_owned(), problem: problem.to_owned() }
}

/// Puts `content` in place of a file, for good.
pub(crate) fn replace(path: &Path, content: &[u8], access: Access) -> Result<(), Error> {
    let replaced = lucid_file::replace(path, content, MODE_SECRET, |file| {
        fchown(file, Some(access.uid), Some(access.uid))?;
        file.set_permissions(fs::Permissions::from_mode(access.mode))
    });
    replaced.map_err(Error::io("replace", path))
}

/// Removes a file for good.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    lucid_file::remove(path).map_err(Error::io("remove", path))
}

/// A directory with exactly this owner and mode, its parents included if they are not there.
pub(crate) fn make_directory(path: &Path, access: Access) -> Result<(), Error> {
    let make = || {
        fs::create_dir_all(path)?;
        chown(path, Some(access.uid), Some(access.uid))?;
        fs::set_permissions(path, fs::Permissions::from_mode(access.mode))
    };
    make().map_err(Error::io("make the directory", path))
}

/// Writes a file that need not outlive a power cut, below `/run`, with the directories above it.
pub(crate) fn write_volatile(path: &Path, content: &str) -> Result<(), Error> {
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(path, content)
    };
    write().map_err(Error::io("write", path))
}
