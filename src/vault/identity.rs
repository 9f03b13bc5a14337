//! The appliance's signing identity: an ed25519 seed (RFC 8032) on the state disk.
//!
//! It outlives the data disk, and needs none. Promises: made once; a lost or damaged identity is an error and never
//! silently a new one, because everything signed with the old one would then look forged. Purposes get keys of their
//! own, so that a signature for one can't be shown as one for another.

use std::path::Path;

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;

use crate::disk;
use crate::error::VaultError;
use crate::secret::Secret;

const KEY_FILE: &str = "identity.key";
const MARKER_FILE: &str = "identity.id";
const SIGNING_CONTEXT: &str = "lucid vault v1: identity seed to signing keys";
const MARKER_CONTEXT: &str = "lucid vault v1: public name of an identity seed";

/// The identity of one appliance. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    seed: Secret,
}

impl Identity {
    /// Reads the identity from the state directory; makes it if neither it nor its marker is there.
    ///
    /// # Errors
    /// `IdentityLost`, `Corrupt`, `Io`, `File`, `Random`.
    pub fn open(state_dir: &Path) -> Result<Self, VaultError> {
        let (key, marker) = (state_dir.join(KEY_FILE), state_dir.join(MARKER_FILE));
        let seed = match (disk::read(&key)?, disk::exists(&marker)?) {
            (None, true) => return Err(VaultError::IdentityLost { key, marker }),
            (None, false) => made(&key)?,
            (Some(bytes), _) => Secret::from_slice(&bytes).ok_or_else(|| disk::corrupt(&key, "it has not 32 bytes"))?,
        };
        check_marker(&marker, &key, &seed)?;
        Ok(Self { seed })
    }

    /// The signing key for one purpose; the same name gives the same key for as long as the identity lives.
    #[must_use]
    pub fn signing_key(&self, purpose: &str) -> SigningKey {
        let derived =
            blake3::Hasher::new_keyed(self.seed.derive(SIGNING_CONTEXT).bytes()).update(purpose.as_bytes()).finalize();
        SigningKey::from_bytes(derived.as_bytes())
    }
}

fn made(key: &Path) -> Result<Secret, VaultError> {
    let seed = Secret::random()?;
    disk::create(key, seed.bytes())?;
    Ok(seed)
}

/// The marker holds the seed's public name, so that a swapped or rotten seed is noticed.
fn check_marker(marker: &Path, key: &Path, seed: &Secret) -> Result<(), VaultError> {
    let name = HEXLOWER.encode(seed.derive(MARKER_CONTEXT).bytes()) + "\n";
    match disk::read(marker)? {
        None => disk::create(marker, name.as_bytes()),
        Some(found) if found.as_slice() == name.as_bytes() => Ok(()),
        Some(_) => Err(disk::corrupt(key, format!("it is not the identity named in `{}`", marker.display()))),
    }
}

#[cfg(test)]
mod tests;
