//! Adapters between what one group offers and what another asks for.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use lucid_kit::Slot;
use lucid_ports::{Recovery, RecoveryError, TakenOver, Takeover, TakeoverError};
use lucid_sessions::Repository;
use lucid_vault::{Identity, OnOtherIdentity, RecoveredIdentity, Vault, VaultError, awaits_recovery, issue_recovery};
use zeroize::Zeroizing;

/// Issues recovery keys: with the vault that session-storage has open, and without a data disk, which then follows when
/// session-storage starts.
pub(super) struct VaultRecovery {
    state_dir: PathBuf,
    repository: Slot<Repository>,
    /// One at a time: the key given out last is the one in force.
    turn: Mutex<()>,
}

impl VaultRecovery {
    pub(super) fn new(state_dir: PathBuf, repository: Slot<Repository>) -> Self {
        Self { state_dir, repository, turn: Mutex::default() }
    }

    fn issued(&self) -> Result<Zeroizing<String>, VaultError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match self.repository.get() {
            Ok(repository) => repository.vault().issue_recovery()?,
            Err(_) => issue_recovery(&self.state_dir)?,
        };
        // Who opened the data disk in between may have read the former recipient. Who opens it later has not. The key
        // is in force already, so the owner must see it: session-storage tells of a disk that lags behind, and tries
        // again.
        if let Ok(repository) = self.repository.get()
            && let Err(error) = repository.vault().follow_state()
        {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the data disk does not follow the recovery key issued last yet");
        }
        Ok(key.into_text())
    }
}

impl Recovery for VaultRecovery {
    fn issue(&self) -> Result<Zeroizing<String>, RecoveryError> {
        self.issued().map_err(|error| RecoveryError(Box::new(error)))
    }
}

/// Takes over the data disk that session-storage could not open. Not while it is open: there is nothing to take over.
pub(super) struct VaultTakeover {
    pub(super) state_dir: PathBuf,
    /// `data/` on the data disk.
    pub(super) data_dir: PathBuf,
    /// What this program signs with until it ends.
    pub(super) identity: Identity,
    pub(super) repository: Slot<Repository>,
    /// One at a time: two would mix the files of one disk.
    pub(super) turn: Mutex<()>,
}

impl Takeover for VaultTakeover {
    fn is_due(&self) -> Result<bool, TakeoverError> {
        if self.repository.get().is_ok() {
            return Ok(false);
        }
        awaits_recovery(&self.state_dir, &self.data_dir).map_err(told)
    }

    fn take_over(&self, recovery_key: &str, give_up_identity: bool) -> Result<TakenOver, TakeoverError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_due()? {
            return Err(TakeoverError::NotDue);
        }
        let on_other = if give_up_identity { OnOtherIdentity::Replace } else { OnOtherIdentity::Refuse };
        let recovered = Vault::recover(&self.state_dir, &self.data_dir, recovery_key, on_other).map_err(told)?;
        Ok(TakenOver {
            continues_chain: recovered.identity != RecoveredIdentity::NotOnDisk,
            needs_restart: recovered.vault.require(&self.identity).is_err(),
        })
    }
}

/// In words for the dashboard.
fn told(error: VaultError) -> TakeoverError {
    match error {
        VaultError::OtherIdentity { .. } => TakeoverError::OtherIdentity,
        VaultError::BadRecoveryKey | VaultError::WrongRecoveryKey | VaultError::NoRecovery => {
            TakeoverError::WrongKey(error.to_string())
        }
        error => TakeoverError::Failed(Box::new(error)),
    }
}

#[cfg(test)]
mod tests;
