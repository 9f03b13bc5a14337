//! `keys/master.json`: the master key, sealed twice.
//!
//! Once under the device secret, which lies on another disk, and once under the recovery key, which lies with the
//! owner. Promises: the file is replaced whole or not at all; a key that was opened is checked against a value in the
//! file before it is used. Must never hold the master key in clear.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::VaultError;
use crate::recovery;
use crate::secret::Secret;

/// Its name in the key directory.
const FILE: &str = "master.json";

/// The only version so far.
const VERSION: u32 = 1;

const DEVICE_CONTEXT: &str = "lucid vault v1: device secret seals the master key";
const DEVICE_ID_CONTEXT: &str = "lucid vault v1: public name of a device secret";
const CHECK_CONTEXT: &str = "lucid vault v1: check value of the master key";
const DEVICE_AAD: &[u8] = b"lucid vault v1 master key";

/// Bytes of a derived value that are shown: enough to tell keys apart.
const PUBLIC_BYTES: usize = 16;

/// The file's content.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Master {
    version: u32,
    /// Tells another device secret from a damaged file.
    device_key_id: String,
    /// XChaCha20-Poly1305, nonce first, in base64.
    wrapped_by_device: String,
    /// An age file in base64.
    wrapped_by_recovery: Option<String>,
    /// The age recipient of the recovery key issued last.
    pub(crate) recovery_recipient: Option<String>,
    /// Derived from the master key.
    check: String,
}

impl Master {
    /// Seals a new master key; there is no recovery key yet.
    pub(crate) fn seal(master: &Secret, device: &Secret) -> Result<Self, VaultError> {
        let mut sealed = Self {
            version: VERSION,
            device_key_id: String::new(),
            wrapped_by_device: String::new(),
            wrapped_by_recovery: None,
            recovery_recipient: None,
            check: public(master, CHECK_CONTEXT),
        };
        sealed.seal_to_device(master, device)?;
        Ok(sealed)
    }

    /// Seals the master key to another device secret.
    pub(crate) fn seal_to_device(&mut self, master: &Secret, device: &Secret) -> Result<(), VaultError> {
        self.wrapped_by_device = BASE64.encode(&device.derive(DEVICE_CONTEXT).seal(master, DEVICE_AAD)?);
        self.device_key_id = public(device, DEVICE_ID_CONTEXT);
        Ok(())
    }

    /// Seals the master key to a recovery key, in place of a former one.
    pub(crate) fn seal_to_recovery(
        &mut self,
        master: &Secret,
        recipient: &age::x25519::Recipient,
    ) -> Result<(), VaultError> {
        let sealed = age::encrypt(recipient, master.bytes()).map_err(VaultError::Encrypt)?;
        self.wrapped_by_recovery = Some(BASE64.encode(&sealed));
        self.recovery_recipient = Some(recipient.to_string());
        Ok(())
    }

    /// The master key, opened with the device secret.
    pub(crate) fn open(&self, keys: &Path, device: Option<&Secret>) -> Result<Secret, VaultError> {
        let device = device.filter(|device| public(device, DEVICE_ID_CONTEXT) == self.device_key_id);
        let Some(device) = device else { return Err(self.other_device(keys)) };
        let path = path_in(keys);
        let sealed = decode(&path, &self.wrapped_by_device)?;
        let opened = device.derive(DEVICE_CONTEXT).open(&sealed, DEVICE_AAD);
        self.checked(&path, opened.ok_or_else(|| disk::corrupt(&path, "its device part does not open"))?)
    }

    /// The master key, opened with the recovery key.
    pub(crate) fn open_with_recovery(&self, keys: &Path, recovery_key: &str) -> Result<Secret, VaultError> {
        let identity = recovery::parse(recovery_key)?;
        let Some(sealed) = &self.wrapped_by_recovery else { return Err(VaultError::NoRecovery) };
        if self.recovery_recipient != Some(identity.to_public().to_string()) {
            return Err(VaultError::WrongRecoveryKey);
        }
        let path = path_in(keys);
        let opened = age::decrypt(&identity, &decode(&path, sealed)?).map(zeroize::Zeroizing::new);
        let opened =
            opened.map_err(|error| disk::corrupt(&path, format!("its recovery part does not open: {error}")))?;
        let master = Secret::from_slice(&opened);
        self.checked(&path, master.ok_or_else(|| disk::corrupt(&path, "its recovery part has a wrong length"))?)
    }

    /// Reads the file.
    pub(crate) fn load(keys: &Path) -> Result<Self, VaultError> {
        let path = path_in(keys);
        let bytes = disk::read(&path)?.ok_or_else(|| disk::corrupt(&path, "it is missing"))?;
        let master: Self = serde_json::from_slice(&bytes).map_err(|error| disk::corrupt(&path, error.to_string()))?;
        if master.version != VERSION {
            return Err(disk::corrupt(&path, format!("version {} is not known to this release", master.version)));
        }
        Ok(master)
    }

    /// Writes the file, in place of a former one.
    pub(crate) fn save(&self, keys: &Path) -> Result<(), VaultError> {
        disk::replace(&path_in(keys), &self.content())
    }

    /// The file's bytes.
    pub(crate) fn content(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a struct of strings is always JSON");
        json.push(b'\n');
        json
    }

    fn checked(&self, path: &Path, master: Secret) -> Result<Secret, VaultError> {
        if public(&master, CHECK_CONTEXT) == self.check {
            return Ok(master);
        }
        Err(disk::corrupt(path, "the key in it does not fit its check value"))
    }

    fn other_device(&self, keys: &Path) -> VaultError {
        let path = keys.to_path_buf();
        match self.wrapped_by_recovery {
            Some(_) => VaultError::NeedsRecovery { path },
            None => VaultError::Unrecoverable { path },
        }
    }
}

/// Where the file is.
pub(crate) fn path_in(keys: &Path) -> PathBuf {
    keys.join(FILE)
}

/// A value that tells two keys apart and says nothing else about them. Public, so it may be compared as text.
fn public(secret: &Secret, context: &str) -> String {
    HEXLOWER.encode(&secret.derive(context).bytes()[..PUBLIC_BYTES])
}

fn decode(path: &Path, text: &str) -> Result<Vec<u8>, VaultError> {
    BASE64.decode(text.as_bytes()).map_err(|error| disk::corrupt(path, error.to_string()))
}
