//! Taking a data disk over with its recovery key, on new hardware.
//!
//! Order: everything is read and checked, then the identity, the device secret and the recovery recipient are put into
//! the state directory, and last the master key is sealed to the device secret. Promises: a refusal writes nothing; cut
//! at any point, it can be repeated with the same recovery key. Must never lose an identity that was there before.

use std::path::Path;

use crate::disk;
use crate::error::VaultError;
use crate::identity::{self, OnOtherIdentity, RecoveredIdentity};
use crate::master::Master;
use crate::{KEYS_DIR, Vault, make_device_key, read_device_key, recipient, recovery, sealed_identity, slots};

/// What a recovery came to.
#[derive(Debug)]
pub struct Recovered {
    /// The open keys.
    pub vault: Vault,
    /// What became of the identity.
    pub identity: RecoveredIdentity,
}

/// Whether the data disk has keys that open here with its recovery key only. Blocks for small files.
///
/// # Errors
/// `Corrupt`, `Io`: it is then not known.
pub fn awaits_recovery(state_dir: &Path, data_dir: &Path) -> Result<bool, VaultError> {
    let keys = data_dir.join(KEYS_DIR);
    if !disk::exists(&keys)? {
        return Ok(false);
    }
    let device = read_device_key(state_dir)?;
    Ok(matches!(Master::load(&keys)?.open(&keys, device.as_ref()), Err(VaultError::NeedsRecovery { .. })))
}

impl Vault {
    /// Takes over a data disk with its recovery key: seals the master key to this appliance's device secret, and puts
    /// the identity that signed its chain into a state directory that has none. The recovery key that was given is the
    /// one in force from then on, also where this appliance had issued another.
    ///
    /// # Errors
    /// `BadRecoveryKey`, `WrongRecoveryKey`, `NoRecovery`, `OtherIdentity` if told to refuse, and those of
    /// [`Vault::open`]. The data disk is then as it was, and opens with the recovery key.
    pub fn recover(
        state_dir: &Path,
        data_dir: &Path,
        recovery_key: &str,
        on_other: OnOtherIdentity,
    ) -> Result<Recovered, VaultError> {
        let keys = data_dir.join(KEYS_DIR);
        let mut document = Master::load(&keys)?;
        let master = document.open_with_recovery(&keys, recovery_key)?;
        slots::load(&keys, &master)?;
        let device = read_device_key(state_dir)?;
        let identity = match sealed_identity::load(&keys, &master)? {
            Some(seed) => identity::put(state_dir, &seed, on_other)?,
            None => RecoveredIdentity::NotOnDisk,
        };
        let device = match device {
            Some(device) => device,
            None => make_device_key(state_dir)?,
        };
        recipient::store(state_dir, &recovery::parse(recovery_key)?.to_public())?;
        document.seal_to_device(&master, &device)?;
        document.save(&keys)?;
        tracing::info!("the data disk was taken over with its recovery key");
        Ok(Recovered { vault: Self::open(state_dir, data_dir)?, identity })
    }
}

#[cfg(test)]
mod tests;
