//! The key hierarchy: device secret, recovery key, master key, session data keys, shredding.
//!
//! ```text
//! state disk: device.key ──┐
//!                          ├─ seal ─ master key ─ seals ─ wrapping key ─ seals ─ data key of a recording
//! owner: recovery key ─────┘        keys/master.json      keys/wrapping-a, -b    the session's row
//!                                                └─ seals ─ copy of the identity, keys/identity.sealed
//! ```
//!
//! Promises: no key lies in clear on the data disk; keys are made on the first start only, and lost, foreign or damaged
//! ones are an error that says what to do; each change is safe at each point of a power cut. Must never log, print or
//! replace a key. All calls block for small files: call from `spawn_blocking` where the disk may be slow.

mod disk;
mod error;
mod identity;
mod master;
mod recipient;
mod recovery;
mod rotation;
mod sealed_identity;
mod secret;
mod session;
mod slots;
mod takeover;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use error::VaultError;
pub use identity::{Identity, OnOtherIdentity, RecoveredIdentity};
pub use recipient::issue_recovery;
pub use recovery::{RecoveryKey, RecoveryWriter, decrypt_with_recovery};
pub use rotation::Rotation;
pub use session::{SessionKey, WrappedKey};
pub use takeover::{Recovered, awaits_recovery};

use ed25519_dalek::SigningKey;

use crate::master::Master;
use crate::rotation::Ring;
use crate::secret::Secret;

/// Where the sealed master key lies, from `data/` on the data disk.
pub const MASTER_FILE: &str = "keys/master.json";

const DEVICE_KEY_FILE: &str = "device.key";
const KEYS_DIR: &str = "keys";

/// The keys of one appliance and its data disk. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

/// What the vault's clones and rotations share.
pub(crate) struct Inner {
    /// Where the identity and the recovery recipient in force are.
    state_dir: PathBuf,
    /// The key directory on the data disk.
    pub(crate) keys: PathBuf,
    pub(crate) master: Secret,
    document: Mutex<Master>,
    ring: Mutex<Ring>,
    identity: Identity,
}

impl Inner {
    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn document(&self) -> MutexGuard<'_, Master> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault {
    /// Opens the keys; makes all of them on the first start. Then [`Vault::settle`] and [`Vault::follow_state`] are due.
    ///
    /// Both directories must be there: a data disk that is not mounted must not get keys.
    ///
    /// # Errors
    /// `NeedsRecovery`, `Unrecoverable`, `KeysMissing`, `Corrupt`, `IdentityLost`, `Io`, `File`, `Random`.
    pub fn open(state_dir: &Path, data_dir: &Path) -> Result<Self, VaultError> {
        let identity = Identity::open(state_dir)?;
        let keys = data_dir.join(KEYS_DIR);
        let marker = data_dir.join("keys.id");
        let mut device = read_device_key(state_dir)?;
        if !disk::exists(&keys)? {
            if disk::exists(&marker)? {
                return Err(VaultError::KeysMissing { keys, marker });
            }
            device = Some(make_keys(state_dir, data_dir, &keys, device)?);
        }
        let document = Master::load(&keys)?;
        let master = document.open(&keys, device.as_ref())?;
        let slots = slots::load(&keys, &master)?;
        mark(&marker)?;
        let (document, ring) = (Mutex::new(document), Mutex::new(Ring { slots }));
        let state_dir = state_dir.to_path_buf();
        Ok(Self { inner: Arc::new(Inner { state_dir, keys, master, document, ring, identity }) })
    }

    /// Whether these keys go with the identity with which this program signs: it is read once, at the start, and a
    /// takeover may replace it since.
    ///
    /// # Errors
    /// `IdentityReplaced`.
    pub fn require(&self, identity: &Identity) -> Result<(), VaultError> {
        if self.inner.identity.is(identity) { Ok(()) } else { Err(VaultError::IdentityReplaced) }
    }

    /// Brings the data disk up to what the state directory says: the master key sealed to the recovery key in force, and
    /// a sealed copy of the identity. Where both are so already, nothing is written.
    ///
    /// Due whenever the disk may have missed something, so once after [`Vault::open`]; may be repeated at any time.
    ///
    /// # Errors
    /// `BadRecipient`, `Encrypt`, `File`, `Io`, `Random`: the keys then open as before, and it is to be repeated.
    pub fn follow_state(&self) -> Result<(), VaultError> {
        let mut document = self.inner.document();
        if let Some(recipient) = recipient::load(&self.inner.state_dir)?
            && document.recovery_recipient != Some(recipient.to_string())
        {
            *document = self.sealed_to(&document, &recipient)?;
            tracing::info!("the data disk follows the recovery key that was issued last");
        }
        sealed_identity::keep(&self.inner.keys, &self.inner.master, &self.inner.identity)
    }

    /// Makes a recovery key in place of a former one, and seals the master key to it. It is kept nowhere: show it once.
    ///
    /// The data disk is first, and what the state directory says is in force: cut in between, the former one stays so.
    ///
    /// # Errors
    /// `Encrypt`, `File`; the former one then stays in force.
    pub fn issue_recovery(&self) -> Result<RecoveryKey, VaultError> {
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public();
        let mut document = self.inner.document();
        let next = self.sealed_to(&document, &recipient)?;
        if let Err(error) = recipient::store(&self.inner.state_dir, &recipient) {
            // Should this fail too, the next `follow_state` after an opening seals to the former one again.
            if let Err(leftover) = document.save(&self.inner.keys) {
                tracing::warn!(error = %leftover, "the data disk is ahead of the recovery key in force");
            }
            return Err(error);
        }
        *document = next;
        Ok(RecoveryKey::of(&identity))
    }

    /// The document with the master key sealed to `recipient`, on disk.
    fn sealed_to(&self, document: &Master, recipient: &age::x25519::Recipient) -> Result<Master, VaultError> {
        let mut next = document.clone();
        next.seal_to_recovery(&self.inner.master, recipient)?;
        next.save(&self.inner.keys)?;
        Ok(next)
    }

    /// The public half of the recovery key that opens the data disk (`age1…`), if it has one.
    #[must_use]
    pub fn recovery_recipient(&self) -> Option<String> {
        self.inner.document().recovery_recipient.clone()
    }

    /// What [`MASTER_FILE`] holds and the recipient that opens it, of one moment: what a backup takes in place of the
    /// file, which may be for another recipient than the backup when it is read. There is no key in clear in it.
    #[must_use]
    pub fn sealed_master(&self) -> (Vec<u8>, Option<String>) {
        let document = self.inner.document();
        (document.content(), document.recovery_recipient.clone())
    }

    /// A new data key, in clear for the cipher and wrapped for the row.
    ///
    /// The transaction that stores the wrapped key must compare its generation with the one that the store recorded
    /// last: after a rotation in between it would never open again.
    ///
    /// # Errors
    /// `RotationPending` during a rotation, `Random`.
    pub fn new_session_key(&self) -> Result<(SessionKey, WrappedKey), VaultError> {
        let key = SessionKey::random()?;
        let wrapped = WrappedKey::seal(&key, self.inner.ring().current()?)?;
        Ok((key, wrapped))
    }

    /// The data key of a recording.
    ///
    /// # Errors
    /// `Destroyed` if it was shredded, `BadWrappedKey`.
    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<SessionKey, VaultError> {
        wrapped.open(self.inner.ring().of(wrapped.generation)?)
    }

    /// The generation in force.
    ///
    /// # Errors
    /// `RotationPending` during a rotation.
    pub fn generation(&self) -> Result<u64, VaultError> {
        Ok(self.inner.ring().current()?.generation)
    }

    /// Begins shredding; see [`Rotation`] for the steps.
    ///
    /// # Errors
    /// `RotationPending` if one is under way or was interrupted, `File`, `Random`.
    pub fn begin_rotation(&self) -> Result<Rotation, VaultError> {
        Rotation::begin(self.inner.clone())
    }

    /// The appliance's signing key for one purpose.
    #[must_use]
    pub fn signing_key(&self, purpose: &str) -> SigningKey {
        self.inner.identity.signing_key(purpose)
    }

    /// Encrypts what is written to the recovery key, as an age file.
    ///
    /// # Errors
    /// `NoRecovery` if none was issued yet, `Encrypt`.
    pub fn encrypt_to_recovery<W: Write>(&self, writer: W) -> Result<RecoveryWriter<W>, VaultError> {
        let recipient = self.recovery_recipient().ok_or(VaultError::NoRecovery)?;
        RecoveryWriter::new(&recipient, writer)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Vault").field("keys", &self.inner.keys).finish_non_exhaustive()
    }
}

fn read_device_key(state_dir: &Path) -> Result<Option<Secret>, VaultError> {
    let path = state_dir.join(DEVICE_KEY_FILE);
    let Some(bytes) = disk::read(&path)? else { return Ok(None) };
    Secret::from_slice(&bytes).map(Some).ok_or_else(|| disk::corrupt(&path, "it has not 32 bytes"))
}

fn make_device_key(state_dir: &Path) -> Result<Secret, VaultError> {
    let device = Secret::random()?;
    disk::create(&state_dir.join(DEVICE_KEY_FILE), device.bytes())?;
    Ok(device)
}

/// Makes the key directory of a new data disk beside its name and renames it into place: it is complete or not there.
fn make_keys(state_dir: &Path, data_dir: &Path, keys: &Path, device: Option<Secret>) -> Result<Secret, VaultError> {
    let device = match device {
        Some(device) => device,
        None => make_device_key(state_dir)?,
    };
    let fresh = data_dir.join("keys.new");
    disk::fresh_dir(&fresh)?;
    let master = Secret::random()?;
    slots::make(&fresh, &master)?;
    Master::seal(&master, &device)?.save(&fresh)?;
    disk::publish_dir(&fresh, keys, data_dir)?;
    Ok(device)
}

/// Leaves the marker that tells lost keys from a new disk.
fn mark(marker: &Path) -> Result<(), VaultError> {
    if disk::exists(marker)? {
        return Ok(());
    }
    disk::create(
        marker,
        b"Keys were made beside this file. Delete this file only to give up the recordings on this disk.\n",
    )
}

#[cfg(test)]
mod tests;
