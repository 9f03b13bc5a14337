//! The appliance's signing identity: an ed25519 seed (RFC 8032) on the state disk.
//!
//! It outlives the data disk, and needs none. Promises: made once; a lost or damaged identity is an error and never
//! silently a new one, because everything signed with the old one would then look forged; one that is replaced on the
//! owner's word is kept aside. Purposes get keys of their own, so that a signature for one can't be shown as one for
//! another.

use std::path::{Path, PathBuf};

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

/// What [`crate::Vault::recover`] does where the state directory has another identity than the data disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOtherIdentity {
    /// Refuse: the owner decides.
    Refuse,
    /// Put the data disk's identity in its place, and keep the state directory's aside.
    Replace,
    /// Leave the state directory's in force: a backup brings both, and its state directory is the one that signed.
    Keep,
}

/// What a recovery did with the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecoveredIdentity {
    /// The data disk has no copy of an identity: the state directory's own signs, and the former chain can't go on.
    NotOnDisk,
    /// Both are the same.
    Same,
    /// The data disk's was put into a state directory that had none.
    Restored,
    /// The data disk's was put in place of another.
    Replaced {
        /// Where the other lies now; `None` if only its marker was there.
        former: Option<PathBuf>,
    },
    /// The state directory's was left in force.
    Kept,
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

    /// Whether both are one and the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        // Of the public names, which may be compared as text.
        name(&self.seed) == name(&other.seed)
    }

    pub(crate) fn seed(&self) -> &Secret {
        &self.seed
    }
}

/// Puts the identity of a recovered data disk into the state directory.
pub(crate) fn put(state_dir: &Path, seed: &Secret, on_other: OnOtherIdentity) -> Result<RecoveredIdentity, VaultError> {
    let (key, marker) = (state_dir.join(KEY_FILE), state_dir.join(MARKER_FILE));
    let (found, mark) = (disk::read(&key)?, disk::read(&marker)?);
    let found = found.as_ref().map(|bytes| bytes.as_slice());
    let is_same = found.is_none_or(|bytes| Secret::from_slice(bytes).as_ref() == Some(seed))
        && mark.is_none_or(|bytes| bytes.as_slice() == name(seed).as_bytes());
    match (is_same, found, on_other) {
        (true, Some(_), _) => Ok(RecoveredIdentity::Same),
        (true, None, _) => disk::create(&key, seed.bytes()).map(|()| RecoveredIdentity::Restored),
        (false, _, OnOtherIdentity::Refuse) => Err(VaultError::OtherIdentity { key }),
        (false, _, OnOtherIdentity::Keep) => Ok(RecoveredIdentity::Kept),
        (false, _, OnOtherIdentity::Replace) => {
            let former = found.map(|bytes| disk::set_aside(&key, bytes)).transpose()?;
            // Without a marker either key is taken for what it is, so that a cut leaves one of the two in force.
            disk::remove(&marker)?;
            disk::replace(&key, seed.bytes())?;
            Ok(RecoveredIdentity::Replaced { former })
        }
    }
}

fn made(key: &Path) -> Result<Secret, VaultError> {
    let seed = Secret::random()?;
    disk::create(key, seed.bytes())?;
    Ok(seed)
}

/// The seed's public name, as the marker holds it.
fn name(seed: &Secret) -> String {
    HEXLOWER.encode(seed.derive(MARKER_CONTEXT).bytes()) + "\n"
}

/// The marker holds the seed's public name, so that a swapped or rotten seed is noticed.
fn check_marker(marker: &Path, key: &Path, seed: &Secret) -> Result<(), VaultError> {
    let name = name(seed);
    match disk::read(marker)? {
        None => disk::create(marker, name.as_bytes()),
        Some(found) if found.as_slice() == name.as_bytes() => Ok(()),
        Some(_) => Err(disk::corrupt(key, format!("it is not the identity named in `{}`", marker.display()))),
    }
}

#[cfg(test)]
mod tests;
