//! `keys/identity.sealed`: a copy of the signing identity on the data disk, sealed by the master key.
//!
//! With it [`crate::Vault::recover`] makes new hardware sign as the former appliance, so that its chain goes on.
//! Layout: 8 bytes magic, then the seed sealed under a key derived from the master key. Promises: never in clear;
//! replaced whole or not at all, and a former content that is not this identity is kept aside.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::VaultError;
use crate::identity::Identity;
use crate::secret::Secret;

const FILE: &str = "identity.sealed";
const MAGIC: &[u8; 8] = b"LUCIDID1";
const CONTEXT: &str = "lucid vault v1: master key seals the identity seed";

/// Writes the copy if it is missing or of another identity.
pub(crate) fn keep(keys: &Path, master: &Secret, identity: &Identity) -> Result<(), VaultError> {
    let path = path_in(keys);
    match disk::read(&path)? {
        Some(found) if decode(&found, master).as_ref() == Some(identity.seed()) => return Ok(()),
        Some(found) => {
            let aside = disk::set_aside(&path, &found)?;
            tracing::warn!(path = %aside.display(), "the data disk held another identity: it is kept aside, sealed");
        }
        None => {}
    }
    let sealed = master.derive(CONTEXT).seal(identity.seed(), MAGIC)?;
    disk::replace(&path, &[MAGIC.as_slice(), &sealed].concat())
}

/// The seed in the copy; `None` if there is no copy.
pub(crate) fn load(keys: &Path, master: &Secret) -> Result<Option<Secret>, VaultError> {
    let path = path_in(keys);
    let Some(bytes) = disk::read(&path)? else { return Ok(None) };
    let seed = decode(&bytes, master);
    seed.map(Some).ok_or_else(|| {
        disk::corrupt(&path, "it does not open; once it is moved away, the data opens without the former identity")
    })
}

fn path_in(keys: &Path) -> PathBuf {
    keys.join(FILE)
}

fn decode(bytes: &[u8], master: &Secret) -> Option<Secret> {
    master.derive(CONTEXT).open(bytes.strip_prefix(MAGIC)?, MAGIC)
}

#[cfg(test)]
mod tests;
