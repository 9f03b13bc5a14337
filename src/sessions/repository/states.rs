//! What happens to a recording: it begins, chunks are counted, it ends, is sealed and anchored.

use lucid_ports::{AccountId, Identity, Recording, RecordingState, SessionId};
use lucid_proof::{hash::Hash, time::Timestamp};
use lucid_store::{Reader, WriteTx};

use super::{Repository, Result};
use crate::repository_error::RepositoryError;
use crate::rows::{BY_OWNER, CHUNKS, ChunkRow, GENERATION, KEYS, META, OPEN, SESSIONS, SessionRow, UNFINISHED};

/// Recordings that may take bytes at a time: each is looked at every second, and stays until its client or a day ends
/// it.
pub(super) const OPEN_MAX: usize = 256;
/// Of them, one account's: nobody keeps the others from recording.
pub(super) const OPEN_PER_ACCOUNT_MAX: usize = 64;

/// A durable chunk to be counted.
pub(crate) struct NewChunk {
    pub(crate) index: u64,
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) leaf: Hash,
}

impl Repository {
    /// Begins a recording of `owner`.
    pub(crate) async fn create(&self, owner: &Identity, label: &str, now: Timestamp) -> Result<SessionId> {
        let id = SessionId::generate();
        let row = SessionRow::new(owner, label, now.unix_ms, now.trust);
        let owner = owner.account;
        let _keys = self.keys.lock().await;
        // A deletion may have failed between its steps: it must not stand in the way of recordings until a restart.
        self.settle_keys()?;
        let (_, wrapped) = self.vault.new_session_key()?;
        self.store
            .try_write(move |tx| {
                require_room(tx, owner)?;
                tx.put(&SESSIONS, &id.bytes(), &row)?;
                tx.put(&KEYS, &id.bytes(), &wrapped)?;
                tx.put(&BY_OWNER, &(owner.bytes(), id.bytes()), &())?;
                tx.put(&META, GENERATION, &wrapped.generation)?;
                tx.put(&OPEN, &id.bytes(), &owner)?;
                Ok::<_, RepositoryError>(())
            })
            .await?;
        Ok(id)
    }

    /// Counts a durable chunk; after this its bytes are acknowledged.
    pub(crate) async fn count_chunk(&self, id: SessionId, chunk: NewChunk, now: Timestamp) -> Result<Recording> {
        self.store
            .try_write(move |tx| {
                let mut row = tx.get(&SESSIONS, &id.bytes())?.ok_or(RepositoryError::NotFound(id))?;
                require(id, &row, RecordingState::Recording)?;
                if row.chunks != chunk.index {
                    return Err(RepositoryError::OutOfOrder { id, index: chunk.index, expected: row.chunks });
                }
                let entry = ChunkRow {
                    offset: row.durable_bytes,
                    bytes: chunk.bytes,
                    stored_bytes: chunk.stored_bytes,
                    leaf: chunk.leaf,
                };
                row.chunks += 1;
                row.durable_bytes += chunk.bytes;
                row.stored_bytes += chunk.stored_bytes;
                row.last_ms = row.last_ms.max(now.unix_ms);
                row.time_trust = row.time_trust.min(now.trust as u8);
                tx.put(&CHUNKS, &(id.bytes(), chunk.index), &entry)?;
                tx.put(&SESSIONS, &id.bytes(), &row)?;
                Ok(row.recording(id))
            })
            .await
    }

    /// No more bytes come. Doing it twice is once.
    pub(crate) async fn end(&self, id: SessionId, now: Timestamp) -> Result<Recording> {
        self.store
            .try_write(move |tx| {
                let mut row = tx.get(&SESSIONS, &id.bytes())?.ok_or(RepositoryError::NotFound(id))?;
                if row.state == RecordingState::Recording {
                    row.state = RecordingState::Sealing;
                    row.ended_ms = Some(now.unix_ms.max(row.last_ms));
                    row.time_trust = row.time_trust.min(now.trust as u8);
                    tx.put(&SESSIONS, &id.bytes(), &row)?;
                    tx.remove(&OPEN, &id.bytes())?;
                    tx.put(&UNFINISHED, &id.bytes(), &())?;
                }
                Ok(row.recording(id))
            })
            .await
    }

    /// The manifest is signed.
    pub(crate) async fn sealed(&self, id: SessionId, root: Hash, manifest: String) -> Result<Recording> {
        self.update(id, move |row| {
            // Signing is deterministic: who comes second has made the same manifest.
            if row.state != RecordingState::Anchoring {
                require(id, row, RecordingState::Sealing)?;
                row.state = RecordingState::Anchoring;
                row.root = Some(root);
                row.manifest = Some(manifest.clone());
            }
            Ok(())
        })
        .await
    }

    /// The anchor is in the block at `height`.
    pub(crate) async fn anchored(&self, id: SessionId, height: u64) -> Result<Recording> {
        self.store
            .try_write(move |tx| {
                let mut row = tx.get(&SESSIONS, &id.bytes())?.ok_or(RepositoryError::NotFound(id))?;
                if row.state != RecordingState::Anchored {
                    require(id, &row, RecordingState::Anchoring)?;
                }
                row.state = RecordingState::Anchored;
                row.block_height = Some(height);
                tx.put(&SESSIONS, &id.bytes(), &row)?;
                tx.remove(&UNFINISHED, &id.bytes())?;
                Ok(row.recording(id))
            })
            .await
    }

    async fn update(
        &self,
        id: SessionId,
        change: impl Fn(&mut SessionRow) -> Result<()> + Send + 'static,
    ) -> Result<Recording> {
        self.store
            .try_write(move |tx| {
                let mut row = tx.get(&SESSIONS, &id.bytes())?.ok_or(RepositoryError::NotFound(id))?;
                change(&mut row)?;
                tx.put(&SESSIONS, &id.bytes(), &row)?;
                Ok(row.recording(id))
            })
            .await
    }
}

/// Refuses one more open recording where there are as many as allowed.
fn require_room(tx: &WriteTx<'_>, owner: AccountId) -> Result<()> {
    let open = tx.range(&OPEN, .., OPEN_MAX)?;
    let own = open.iter().filter(|(_, other)| *other == owner).count();
    if open.len() >= OPEN_MAX || own >= OPEN_PER_ACCOUNT_MAX { Err(RepositoryError::TooManyOpen) } else { Ok(()) }
}

fn require(id: SessionId, row: &SessionRow, state: RecordingState) -> Result<()> {
    if row.state == state { Ok(()) } else { Err(RepositoryError::WrongState { id, state: row.state }) }
}
