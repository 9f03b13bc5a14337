//! The files of the `tls` folder: read with a bound, written so that a power cut leaves the old or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::CertificateError;

/// Largest file read: ours are under 2 KiB.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Mode of what everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// Mode of a key.
pub(super) const SECRET: u32 = 0o600;

/// The text of `path`, wiped when dropped; none where there is no such file. Text that is not UTF-8 is read as what it
/// is not: damaged, which the caller finds out.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, CertificateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("open", path, source)),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|source| file_error("read", path, source))?;
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
}

/// The text of a key file, none where there is no such file. A mode that lets others read it is put right, and said.
pub(super) fn read_key(path: &Path) -> Result<Option<Zeroizing<String>>, CertificateError> {
    let text = read(path)?;
    if text.is_some() {
        let mode = fs::metadata(path).map_err(|source| file_error("look at", path, source))?.mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), mode = format_args!("{:o}", mode & 0o777), "others could read a key");
            let private = Permissions::from_mode(SECRET);
            fs::set_permissions(path, private).map_err(|source| file_error("protect", path, source))?;
        }
    }
    Ok(text)
}

/// Makes the folder, closed to others, where it is not there.
pub(super) fn make_dir(dir: &Path) -> Result<(), CertificateError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome.map_err(|source| file_error("make", dir, source)),
    }
}

/// Writes `path` whole: a new file beside it, to the disk, then renamed over it.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let new = path.with_extension("new");
    let outcome = write_new(&new, text, mode).and_then(|()| fs::rename(&new, path)).and_then(|()| sync_dir(path));
    outcome.map_err(|source| file_error("write", path, source))
}

/// The file is made anew, so that it never has the mode of one that was left there.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts a rename onto the disk.
fn sync_dir(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn file_error(action: &'static str, path: &Path, source: io::Error) -> CertificateError {
    CertificateError::File { action, path: path.to_owned(), source }
}
