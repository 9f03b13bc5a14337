//! Small files: read with a bound, replaced whole or not at all.
//!
//! Promises: after [`replace`] returned, the content is on the disk; if the power is cut before, the former file is
//! there. A file that holds a secret is never readable by others, not even while it is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;

/// Who owns a file, and who may read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
}

/// A file's text; `None` if there is no such file.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Option<Zeroizing<String>>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::TooLong { path: path.to_owned(), bytes_max });
    }
    let text = str::from_utf8(&bytes).map_err(|_| damaged(path, "it is not UTF-8"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// The error for a file that holds something else.
pub(crate) fn damaged(path: &Path, problem: &str) -> Error {
    Error::Damaged { path: path.to_owned(), problem: problem.to_owned() }
}

/// Puts `content` in place of a file: written aside, synced, renamed, directory synced.
pub(crate) fn replace(path: &Path, content: &[u8], access: Access) -> Result<(), Error> {
    let aside = path.with_added_extension("new");
    write_aside(&aside, content, access).map_err(Error::io("write", &aside))?;
    fs::rename(&aside, path).map_err(Error::io("replace", path))?;
    sync_directory_of(path)
}

fn write_aside(aside: &Path, content: &[u8], access: Access) -> io::Result<()> {
    // What a cut left there may have another owner or mode.
    remove_if_there(aside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    chown(aside, Some(access.uid), Some(access.uid))?;
    file.set_permissions(fs::Permissions::from_mode(access.mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Removes a file for good.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    remove_if_there(path).map_err(Error::io("remove", path))?;
    sync_directory_of(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_directory_of(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    match synced {
        // Nothing was removed from a directory that is not there.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(Error::io("sync", directory)),
    }
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
