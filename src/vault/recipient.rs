//! `recovery.pub`: the public half of the recovery key in force, in the state directory.
//!
//! It is there, and not on the data disk, so that a recovery key can be issued while no data disk is: each data disk of
//! this appliance follows it ([`crate::Vault::follow_state`]). Promises: replaced whole or not at all. Must never hold
//! the recovery key itself, which is kept nowhere.

use std::path::Path;

use age::x25519::{Identity, Recipient};

use crate::disk;
use crate::error::VaultError;
use crate::recovery::RecoveryKey;

const FILE: &str = "recovery.pub";

/// Makes a recovery key in place of a former one, without a data disk. It is kept nowhere: show it once.
///
/// The data disk goes on with the former one until [`crate::Vault::follow_state`]. Where a vault is open, use
/// [`crate::Vault::issue_recovery`], after which there is nothing left to follow.
///
/// # Errors
/// `File`; the former one then stays in force.
pub fn issue_recovery(state_dir: &Path) -> Result<RecoveryKey, VaultError> {
    let identity = Identity::generate();
    store(state_dir, &identity.to_public())?;
    Ok(RecoveryKey::of(&identity))
}

/// The recipient in force; `None` if no recovery key was issued yet.
pub(crate) fn load(state_dir: &Path) -> Result<Option<Recipient>, VaultError> {
    let path = state_dir.join(FILE);
    let Some(bytes) = disk::read(&path)? else { return Ok(None) };
    let recipient = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
    recipient.map(Some).ok_or(VaultError::BadRecipient { path })
}

/// Puts a recipient in force.
pub(crate) fn store(state_dir: &Path, recipient: &Recipient) -> Result<(), VaultError> {
    disk::replace(&state_dir.join(FILE), format!("{recipient}\n").as_bytes())
}

#[cfg(test)]
mod tests;
