//! The only place that touches key files.
//!
//! Each function is one step of which a power cut may leave the state before or the state after it. The steps are
//! `lucid-store`'s atomic files; here is what reading needs, and the points where tests cut the power.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use lucid_store::{MODE_SECRET, create_file, overwrite_in_place, sync_dir, write_file};
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Largest key file in bytes: `master.json` has about 700; more is not ours.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Key directories are for the service alone.
const MODE_DIR: u32 = 0o700;

/// The file's bytes; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(|source| io_error("open", path, source))?,
    };
    // Room for all, so that growing leaves no unwiped copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * 4096));
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|source| io_error("read", path, source))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(corrupt(path, format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

/// Whether something is at `path`.
pub(crate) fn exists(path: &Path) -> Result<bool, VaultError> {
    path.try_exists().map_err(|source| io_error("look for", path, source))
}

/// Makes a file that must not be there yet.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    cut::point()?;
    Ok(create_file(path, bytes, MODE_SECRET)?)
}

/// Replaces a file, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    cut::point()?;
    Ok(write_file(path, bytes, MODE_SECRET)?)
}

/// Removes a file, durably. There need not be one.
pub(crate) fn remove(path: &Path) -> Result<(), VaultError> {
    cut::point()?;
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("remove", path, error)),
        Ok(()) => Ok(sync_dir(path.parent().expect("all paths here are made by joining a name to a directory"))?),
    }
}

/// Writes `bytes`, which a file had until now, beside it, and says where. The name is made of the content: again, it is
/// the same file.
pub(crate) fn set_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf, VaultError> {
    let id = blake3::derive_key("lucid vault v1: name of a file that is set aside", bytes);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".former-{}", HEXLOWER.encode(&id[..8])));
    let aside = PathBuf::from(name);
    replace(&aside, bytes)?;
    Ok(aside)
}

/// Writes over a file's own blocks.
pub(crate) fn overwrite(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    cut::torn(path, bytes)?;
    Ok(overwrite_in_place(path, bytes)?)
}

/// Makes an empty directory in place of a left-over one.
pub(crate) fn fresh_dir(path: &Path) -> Result<(), VaultError> {
    cut::point()?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", path, error)),
        _ => {}
    }
    let made = fs::DirBuilder::new().mode(MODE_DIR).create(path);
    made.map_err(|source| io_error("make the directory", path, source))
}

/// Renames a complete directory into place, durably.
pub(crate) fn publish_dir(from: &Path, to: &Path, parent: &Path) -> Result<(), VaultError> {
    cut::point()?;
    sync_dir(from)?;
    fs::rename(from, to).map_err(|source| io_error("rename into place", to, source))?;
    Ok(sync_dir(parent)?)
}

pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> VaultError {
    VaultError::Corrupt { path: path.to_path_buf(), detail: detail.into() }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> VaultError {
    VaultError::Io { action, path: PathBuf::from(path), source }
}

/// Nothing outside of tests.
#[cfg(not(test))]
mod cut {
    use std::path::Path;

    use crate::error::VaultError;

    #[expect(clippy::unnecessary_wraps, reason = "the tests' twin of this function fails")]
    pub(super) fn point() -> Result<(), VaultError> {
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "the tests' twin of this function fails")]
    pub(super) fn torn(_path: &Path, _bytes: &[u8]) -> Result<(), VaultError> {
        Ok(())
    }
}

/// Cuts the power before the n-th step of this thread.
#[cfg(test)]
pub(crate) mod cut {
    use std::cell::Cell;
    use std::path::Path;

    use super::io_error;
    use crate::error::VaultError;

    thread_local! {
        static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
        static TORN_BYTES: Cell<usize> = const { Cell::new(0) };
    }

    /// From now on `steps` steps succeed and all later ones fail; the failing overwrite writes `torn_bytes` first.
    pub(crate) fn after(steps: u32, torn_bytes: usize) {
        STEPS_LEFT.set(Some(steps));
        TORN_BYTES.set(torn_bytes);
    }

    /// Power is back.
    pub(crate) fn never() {
        STEPS_LEFT.set(None);
    }

    pub(super) fn point() -> Result<(), VaultError> {
        match STEPS_LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io_error("keep the power on for", Path::new("test"), std::io::Error::other("cut"))),
            Some(steps) => {
                STEPS_LEFT.set(Some(steps - 1));
                Ok(())
            }
        }
    }

    pub(super) fn torn(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
        point().inspect_err(|_| {
            let mut content = std::fs::read(path).expect("the slot is there");
            let torn_bytes = TORN_BYTES.replace(0).min(bytes.len());
            content[..torn_bytes].copy_from_slice(&bytes[..torn_bytes]);
            lucid_store::overwrite_in_place(path, &content).expect("the slot keeps its length");
        })
    }
}
