//! Reading and writing the small files of an update: never more than its kind has, never half a file, never over
//! another.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::Error;

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    if bytes.len() > bytes_max {
        return Err(Error::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

/// Makes a file of `mode` that must not be there yet.
pub(crate) fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists { path: path.to_owned() },
        _ => Error::file("create", path)(error),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // What was made by us and is not whole must not keep its name; why it is not whole is what counts.
        let removed = std::fs::remove_file(path);
        Error::file(if removed.is_ok() { "write" } else { "write whole, nor remove," }, path)(error)
    })
}

/// Replaces a file that is there by `bytes`: before or after, never in between.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut new = beside(path)?;
    new.write_all(bytes).map_err(Error::file("write", path))?;
    keep(new, path)
}

/// A new file beside `path`, which vanishes unless it is kept.
pub(crate) fn beside(path: &Path) -> Result<tempfile::NamedTempFile, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = tempfile::Builder::new().prefix(".lucid-image-").permissions(public()).tempfile_in(folder);
    new.map_err(Error::file("make a file beside", path))
}

/// Gives a file made [`beside`] `path` its name.
pub(crate) fn keep(new: tempfile::NamedTempFile, path: &Path) -> Result<(), Error> {
    new.as_file().sync_all().map_err(Error::file("write", path))?;
    new.persist(path).map_err(|error| Error::file("write", path)(error.error)).map(drop)
}

/// What everybody may read.
fn public() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}
