//! What there is to read of recordings: one, lists, chunks, keys.

use std::ops::Bound;

use lucid_ports::{AccountId, Recording, SessionId};
use lucid_proof::hash::Hash;
use lucid_store::Reader;
use lucid_vault::{SessionKey, VaultError, WrappedKey};

use super::{Repository, Result, states::OPEN_MAX};
use crate::repository_error::RepositoryError;
use crate::rows::{BY_OWNER, CHUNKS, ChunkRow, KEYS, OPEN, SESSIONS, SessionRow, UNFINISHED};

/// Chunk rows read at once: bounds the memory of a long session.
const ROWS_MAX: usize = 4096;
/// Recordings handed towards their block at once; the rest come with the next tick.
pub(super) const UNFINISHED_MAX: usize = 64;
/// Sessions listed at once.
const LIST_MAX: usize = 1000;

impl Repository {
    /// One recording.
    pub fn get(&self, id: SessionId) -> Result<Recording> {
        Ok(self.row(id)?.recording(id))
    }

    pub(crate) fn row(&self, id: SessionId) -> Result<SessionRow> {
        self.store.read(|tx| tx.get(&SESSIONS, &id.bytes()))?.ok_or(RepositoryError::NotFound(id))
    }

    /// At most `limit` recordings older than `before`, newest first; those of `owner`, or all.
    pub fn list(&self, owner: Option<AccountId>, before: Option<SessionId>, limit: usize) -> Result<Vec<Recording>> {
        let limit = limit.min(LIST_MAX);
        let end = before.map_or([0xff; 16], |id| id.bytes());
        self.store.read(|tx| match owner {
            None => {
                let rows = tx.range_rev(&SESSIONS, ..end, limit)?;
                Ok(rows.into_iter().map(|(id, row)| row.recording(SessionId::from_bytes(id))).collect())
            }
            Some(owner) => {
                let range = (owner.bytes(), [0; 16])..(owner.bytes(), end);
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
}
