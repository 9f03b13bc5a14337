//! Adapters between what one group offers and what another asks for.

use std::sync::Arc;

use lucid_kit::Slot;
use lucid_ports::{Recovery, RecoveryError};
use lucid_sessions::Repository;
use zeroize::Zeroizing;

/// Issues recovery keys from the vault that session-storage has open.
pub(super) struct VaultRecovery(pub(super) Slot<Repository>);

impl Recovery for VaultRecovery {
    fn issue(&self) -> Result<Zeroizing<String>, RecoveryError> {
        let repository: Arc<Repository> = self.0.get().map_err(|error| RecoveryError(Box::new(error)))?;
        let key = repository.vault().issue_recovery().map_err(|error| RecoveryError(Box::new(error)))?;
        Ok(key.into_text())
    }
}
