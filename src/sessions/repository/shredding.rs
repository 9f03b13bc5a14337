//! Deleting: the key first, then the bytes.

use std::sync::Arc;

use lucid_ports::{RecordingState, SessionId};
use lucid_store::{Reader, WriteTx};
use lucid_vault::Rotation;
use tracing::Instrument;

use super::{Repository, Result};
use crate::repository_error::RepositoryError;
use crate::rows::{BY_OWNER, CHUNKS, GENERATION, KEYS, META, OPEN, SESSIONS, UNFINISHED};

impl Repository {
    /// Deletes a recording by shredding: the wrapping key is replaced, the other sessions' keys are wrapped anew, and
    /// the old wrapping key is destroyed; then the chunk files are removed.
    ///
    /// On a task of its own: a caller that goes away in the middle must not leave the rotation half done.
    pub(crate) async fn shred(self: &Arc<Self>, id: SessionId) -> Result<()> {
        let this = self.clone();
        let shredding = async move { this.shred_to_the_end(id).await };
        tokio::spawn(shredding.in_current_span()).await.map_err(|_| RepositoryError::Panicked)?
    }

    async fn shred_to_the_end(self: &Arc<Self>, id: SessionId) -> Result<()> {
        // First the keys: behind them deletions queue, and who then holds the other is a backup.
        let _keys = self.keys.lock().await;
        let _stays = self.stays.try_write().map_err(|_| RepositoryError::BackupRunning)?;
        self.blocking(|this| this.ballast.release_if_full().map_err(RepositoryError::Ballast)).await?;
        self.settle_keys()?;
        let rotation = Arc::new(self.vault.begin_rotation()?);
        let during = rotation.clone();
        let forgotten = self.store.try_write(move |tx| forget(tx, id, &during)).await;
        if let Err(error) = forgotten {
            // What the store holds after a failed commit is known only after it is opened again: `settle` decides then.
            if self.store.failure().is_none() {
                rotation.abandon()?;
            }
            return Err(error);
        }
        self.blocking(move |this| {
            rotation.finish()?;
            this.blobs.remove_all(&id.to_string())?;
            Ok(())
        })
        .await
    }
}

/// Removes every row of a session and wraps the other sessions' keys anew, in one transaction.
pub(crate) fn forget(tx: &mut WriteTx<'_>, id: SessionId, rotation: &Rotation) -> Result<()> {
    let row = tx.get(&SESSIONS, &id.bytes())?.ok_or(RepositoryError::NotFound(id))?;
    if row.state == RecordingState::Recording {
        return Err(RepositoryError::WrongState { id, state: row.state });
    }
    tx.remove(&SESSIONS, &id.bytes())?;
    tx.remove(&KEYS, &id.bytes())?;
    tx.remove(&OPEN, &id.bytes())?;
    tx.remove(&UNFINISHED, &id.bytes())?;
    tx.remove(&BY_OWNER, &(row.owner.bytes(), id.bytes()))?;
    tx.remove_range(&CHUNKS, (id.bytes(), 0)..=(id.bytes(), u64::MAX))?;
    for (session, wrapped) in tx.range(&KEYS, .., usize::MAX)? {
        tx.put(&KEYS, &session, &rotation.rewrap(&wrapped)?)?;
    }
    Ok(tx.put(&META, GENERATION, &rotation.generation())?)
}
