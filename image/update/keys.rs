//! Key files: made once, readable by their owner alone, and never overwritten.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lucid_bundle::limits::KEY_FILE_BYTES_MAX;
use lucid_bundle::{KeyError, PublicKey, Role, SecretKey};
use zeroize::Zeroizing;

use super::{error::of, files};
use crate::error::Error;

/// Mode of a key file, and what of a mode must not be set.
const MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// Makes a key and its file `out`, and returns the public one.
///
/// # Errors
/// If the name is not one, the system has no randomness, or the file is there already or can't be written.
pub fn keygen(role: Role, name: &str, out: &Path) -> Result<PublicKey, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|source| Error::Random { source })?;
    let key = SecretKey::from_seed(role, name, &seed).map_err(of(out))?;
    files::create(out, MODE, key.to_text().as_bytes())?;
    Ok(key.public())
}

/// Reads a key file.
///
/// # Errors
/// If others may read it, too, or it is none.
pub fn read_key(path: &Path) -> Result<SecretKey, Error> {
    let metadata = path.metadata().map_err(Error::file("look at", path))?;
    if metadata.is_file() && metadata.permissions().mode() & OTHERS != 0 {
        return Err(Error::Exposed { path: path.to_owned() });
    }
    let bytes = Zeroizing::new(files::read(path, KEY_FILE_BYTES_MAX)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| of(path)(KeyError::NotAKeyFile))?;
    SecretKey::parse(text).map_err(of(path))
}
