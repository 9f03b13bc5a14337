//! Where recordings lie: rows in one redb file, chunks in one directory, keys wrapped by the vault.
//!
//! The order that makes a cut harmless: a chunk file is durable before the row that counts it, and a row is gone before
//! its chunk files are removed. What a cut leaves over is a file without a row, and those are swept when the upload or
//! the service starts again.

use std::{ops::Bound, path::Path, sync::Arc};

use lucid_device::disk::free_space;
use lucid_ports::{Recording, RecordingState, SessionId};
use lucid_proof::{
    hash::Hash,
    time::{TimeTrust, Timestamp},
};
use lucid_store::{Blobs, Options, Reader, Store, WriteTx};
use lucid_vault::{Rotation, SessionKey, Vault, VaultError, WrappedKey};
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::attachments::Attachments;
use crate::repository_error::RepositoryError;
use crate::rows::{BY_OWNER, CHUNKS, ChunkRow, GENERATION, KEYS, META, OPEN, SCHEMA, SESSIONS, SessionRow, UNFINISHED};

/// Chunk rows read at once: bounds the memory of a long session.
const ROWS_MAX: usize = 4096;
/// Recordings that may take bytes at a time: each is looked at every second, and stays until its client or a day ends it.
const OPEN_MAX: usize = 256;
/// Of them, one account's: nobody keeps the others from recording.
const OPEN_PER_ACCOUNT_MAX: usize = 64;
/// Recordings handed towards their block at once; the rest come with the next tick.
const UNFINISHED_MAX: usize = 64;
/// Room that no chunk may take: deletions, rows and blocks go on where recording stops.
const ROOM_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Sessions listed at once.
pub(crate) const LIST_MAX: usize = 1000;

type Result<T, E = RepositoryError> = std::result::Result<T, E>;

/// A durable chunk to be counted.
pub(crate) struct NewChunk {
    pub(crate) index: u64,
    pub(crate) bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) leaf: Hash,
}

/// All recordings. Lent by session-storage while it runs.
pub struct Repository {
    store: Store,
    blobs: Blobs,
    vault: Vault,
    /// Held while keys are made or re-wrapped: a key wrapped with a generation that is being destroyed would be lost.
    keys: Mutex<()>,
    /// Held for reading by backups, for writing by deletions.
    stays: Arc<RwLock<()>>,
    attachments: Attachments,
    closing: CancellationToken,
}

impl Repository {
    /// Opens what lies in `data_dir`, finishes an interrupted deletion and sweeps chunks that no row counts. Blocking.
    ///
    /// # Errors
    /// The store's and the vault's; nothing is changed where it can't be read.
    pub fn open(data_dir: &Path, vault: Vault) -> Result<Self> {
        let store = Store::open(&data_dir.join("session-storage.redb"), &SCHEMA, Options::default())?;
        let blobs = Blobs::open(&data_dir.join("chunks"))?;
        let (keys, stays, attachments, closing) = Default::default();
        let repository = Self { store, blobs, vault, keys, stays, attachments, closing };
        repository.settle_keys()?;
        repository.sweep()?;
        Ok(repository)
    }

    /// The vault that wraps the sessions' keys.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The store, for backups.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The chunk files, for backups and exports.
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// While the guard lives, nothing is deleted and no key is destroyed.
    pub async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        self.stays.clone().read_owned().await
    }

    /// Who uploads to which recording.
    pub(crate) fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// Finishes or drops a rotation that was cut short, as the store says.
    fn settle_keys(&self) -> Result<()> {
        Ok(self.vault.settle(self.store.read(|tx| tx.get(&META, GENERATION))?)?)
    }

    /// Chunk files without a session are what a cut between the two halves of a deletion leaves; files that no row of
    /// their session counts are what a cut leaves of an upload.
    fn sweep(&self) -> Result<()> {
        for name in self.blobs.ids()? {
            let Ok(id) = name.parse::<SessionId>() else { continue };
            match self.store.read(|tx| tx.get(&SESSIONS, &id.bytes()))? {
                Some(row) if row.state == RecordingState::Recording => self.remove_from(id, row.chunks)?,
                Some(_) => {}
                None => {
                    tracing::info!(session = name, "removing chunks that an interrupted deletion left");
                    self.blobs.remove_all(&name)?;
                }
            }
        }
        Ok(())
    }

    fn remove_from(&self, id: SessionId, from: u64) -> Result<()> {
        for index in self.blobs.list(&id.to_string())? {
            if index >= from {
                self.blobs.remove(&id.to_string(), index)?;
            }
        }
        Ok(())
    }

    /// Begins a recording.
    pub(crate) async fn create(&self, owner: &str, label: &str, now: Timestamp) -> Result<SessionId> {
        let id = SessionId::generate();
        let row = SessionRow::new(owner, label, now.unix_ms, now.trust);
        let owner = owner.to_owned();
        let _keys = self.keys.lock().await;
        // A deletion may have failed between its steps: it must not stand in the way of recordings until a restart.
        self.settle_keys()?;
        let (_, wrapped) = self.vault.new_session_key()?;
        self.store
            .try_write(move |tx| {
                require_room(tx, &owner)?;
                tx.put(&SESSIONS, &id.bytes(), &row)?;
                tx.put(&KEYS, &id.bytes(), &wrapped)?;
                tx.put(&BY_OWNER, &(owner.clone(), id.bytes()), &())?;
                tx.put(&META, GENERATION, &wrapped.generation)?;
                tx.put(&OPEN, &id.bytes(), &owner)?;
                Ok::<_, RepositoryError>(())
            })
            .await?;
        Ok(id)
    }

    /// The session's data key.
    pub(crate) fn key(&self, id: SessionId) -> Result<SessionKey> {
        match self.vault.unwrap(&self.wrapped_key(id)?) {
            // A deletion has wrapped the key anew since it was read.
            Err(VaultError::Destroyed { .. }) => Ok(self.vault.unwrap(&self.wrapped_key(id)?)?),
            key => Ok(key?),
        }
    }

    fn wrapped_key(&self, id: SessionId) -> Result<WrappedKey> {
        self.store.read(|tx| tx.get(&KEYS, &id.bytes()))?.ok_or(RepositoryError::NotFound(id))
    }

    /// Cancelled when session-storage lets go of the store: who holds it must let go, too, or it can't be opened again.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Removes chunk files from `from` on: an upload that ended in the middle may have left some that no row counts.
    pub(crate) async fn discard_uncounted(self: &Arc<Self>, id: SessionId, from: u64) -> Result<()> {
        self.blocking(move |this| this.remove_from(id, from)).await
    }

    /// Makes the bytes of one chunk durable. No row counts them yet.
    pub(crate) async fn put_chunk(self: &Arc<Self>, id: SessionId, index: u64, sealed: Vec<u8>) -> Result<()> {
        self.blocking(move |this| {
            // storage-watch looks every few seconds, and a fast upload fills a disk in less.
            let space = free_space(this.blobs.dir()).map_err(RepositoryError::Space)?;
            if space.free_bytes < ROOM_BYTES_MIN + sealed.len() as u64 {
                return Err(RepositoryError::NoRoom);
            }
            Ok(this.blobs.put(&id.to_string(), index, &sealed)?)
        })
        .await
    }

    /// The bytes of one chunk as they lie on disk.
    pub(crate) async fn get_chunk(self: &Arc<Self>, id: SessionId, index: u64) -> Result<Vec<u8>> {
        self.blocking(move |this| {
            this.blobs.get(&id.to_string(), index)?.ok_or(RepositoryError::ChunkMissing { id, index })
        })
        .await
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

    /// One recording.
    pub fn get(&self, id: SessionId) -> Result<Recording> {
        Ok(self.row(id)?.recording(id))
    }

    pub(crate) fn row(&self, id: SessionId) -> Result<SessionRow> {
        self.store.read(|tx| tx.get(&SESSIONS, &id.bytes()))?.ok_or(RepositoryError::NotFound(id))
    }

    /// At most `limit` recordings older than `before`, newest first; those of `owner`, or all.
    pub fn list(&self, owner: Option<&str>, before: Option<SessionId>, limit: usize) -> Result<Vec<Recording>> {
        let limit = limit.min(LIST_MAX);
        let end = before.map_or([0xff; 16], |id| id.bytes());
        self.store.read(|tx| match owner {
            None => {
                let rows = tx.range_rev(&SESSIONS, ..end, limit)?;
                Ok(rows.into_iter().map(|(id, row)| row.recording(SessionId::from_bytes(id))).collect())
            }
            Some(owner) => {
                let range = (owner.to_owned(), [0; 16])..(owner.to_owned(), end);
                let keys = tx.range_rev(&BY_OWNER, range, limit)?;
                let row =
                    |id: [u8; 16]| Ok(tx.get(&SESSIONS, &id)?.map(|row| row.recording(SessionId::from_bytes(id))));
                keys.into_iter().filter_map(|((_, id), ())| row(id).transpose()).collect()
            }
        })
    }

    /// Recordings that take bytes.
    pub(crate) fn open_recordings(&self) -> Result<Vec<SessionId>> {
        let rows = self.store.read(|tx| tx.range(&OPEN, .., OPEN_MAX))?;
        Ok(rows.into_iter().map(|(id, _)| SessionId::from_bytes(id)).collect())
    }

    /// The next recordings behind `after` that are complete and not anchored yet, oldest first; empty behind the last.
    pub(crate) fn unfinished(&self, after: Option<SessionId>) -> Result<Vec<SessionId>> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.bytes()));
        let rows = self.store.read(|tx| tx.range(&UNFINISHED, (from, Bound::Unbounded), UNFINISHED_MAX))?;
        Ok(rows.into_iter().map(|(id, ())| SessionId::from_bytes(id)).collect())
    }

    /// How many recordings are complete and not anchored yet.
    pub(crate) fn unfinished_count(&self) -> Result<u64> {
        Ok(self.store.read(|tx| tx.len(&UNFINISHED))?)
    }

    /// How many recordings there are.
    pub fn count(&self) -> Result<u64> {
        Ok(self.store.read(|tx| tx.len(&SESSIONS))?)
    }

    /// The leaf hashes of a session's chunks, in order, handed to `take` one by one.
    pub(crate) fn leaves(&self, id: SessionId, mut take: impl FnMut(&Hash)) -> Result<u64> {
        let mut next = 0;
        loop {
            let range = (id.bytes(), next)..=(id.bytes(), u64::MAX);
            let rows = self.store.read(|tx| tx.range(&CHUNKS, range, ROWS_MAX))?;
            let Some(((_, last), _)) = rows.last() else { return Ok(next) };
            next = last + 1;
            rows.iter().for_each(|(_, chunk)| take(&chunk.leaf));
        }
    }

    pub(crate) fn chunk(&self, id: SessionId, index: u64) -> Result<Option<ChunkRow>> {
        Ok(self.store.read(|tx| tx.get(&CHUNKS, &(id.bytes(), index)))?)
    }

    /// The chunk that holds the plaintext byte at `offset`: a binary search over the session's `chunks` rows.
    pub(crate) fn chunk_at(&self, id: SessionId, chunks: u64, offset: u64) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, chunks);
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.chunk(id, middle)?.ok_or(RepositoryError::ChunkMissing { id, index: middle })?;
            if row.offset + row.bytes <= offset { low = middle + 1 } else { high = middle }
        }
        Ok((low < chunks).then_some(low))
    }

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

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await.map_err(|_| RepositoryError::Panicked)?
    }
}

/// Refuses one more open recording where there are as many as allowed.
fn require_room(tx: &WriteTx<'_>, owner: &str) -> Result<()> {
    let open = tx.range(&OPEN, .., OPEN_MAX)?;
    let own = open.iter().filter(|(_, other)| other == owner).count();
    if open.len() >= OPEN_MAX || own >= OPEN_PER_ACCOUNT_MAX { Err(RepositoryError::TooManyOpen) } else { Ok(()) }
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
    tx.remove(&BY_OWNER, &(row.owner, id.bytes()))?;
    tx.remove_range(&CHUNKS, (id.bytes(), 0)..=(id.bytes(), u64::MAX))?;
    for (session, wrapped) in tx.range(&KEYS, .., usize::MAX)? {
        tx.put(&KEYS, &session, &rotation.rewrap(&wrapped)?)?;
    }
    Ok(tx.put(&META, GENERATION, &rotation.generation())?)
}

fn require(id: SessionId, row: &SessionRow, state: RecordingState) -> Result<()> {
    if row.state == state { Ok(()) } else { Err(RepositoryError::WrongState { id, state: row.state }) }
}

/// The trust of a row.
pub(crate) fn trust(row: &SessionRow) -> TimeTrust {
    match row.time_trust {
        2 => TimeTrust::Synchronized,
        1 => TimeTrust::Held,
        _ => TimeTrust::Unsynchronized,
    }
}

#[cfg(test)]
mod tests;
