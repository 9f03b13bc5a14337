//! Adapters between what one group offers and what another asks for.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use lucid_kit::Slot;
use lucid_ports::{Recovery, RecoveryError};
use lucid_sessions::Repository;
use lucid_vault::{VaultError, issue_recovery};
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

#[cfg(test)]
mod tests;
