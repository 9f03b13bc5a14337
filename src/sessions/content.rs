//! Plaintext of a recording, or of a range of it.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use lucid_kit::{Class, Pool, PoolError};
use lucid_ports::{Recording, SessionId};
use lucid_vault::SessionKey;

use crate::{
    chunk::{self, ChunkError},
    repository::Repository,
    repository_error::RepositoryError,
};

/// Chunks read and opened ahead of the reader: the disk works while the network does.
const AHEAD_MAX: usize = 2;

/// Reading the plaintext failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    #[error("the recordings' store failed")]
    Repository(#[from] RepositoryError),
    #[error("opening a chunk failed")]
    Chunk(#[from] ChunkError),
    #[error("a computing thread failed")]
    Pool(#[from] PoolError),
    #[error("session-storage has stopped meanwhile")]
    Closed,
}

/// The durable plaintext bytes of `range`, which must lie within the recording.
pub(crate) fn read(
    repository: Arc<Repository>,
    pool: Pool,
    recording: &Recording,
    range: Range<u64>,
) -> Result<impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static, ContentError> {
    let id = recording.id;
    let key = Arc::new(repository.key(id)?);
    let weak = Arc::downgrade(&repository);
    let first = repository.chunk_at(id, recording.chunks, range.start)?.unwrap_or(recording.chunks);
    let last = match range.end.checked_sub(1) {
        Some(offset) if !range.is_empty() => {
            repository.chunk_at(id, recording.chunks, offset)?.map_or(first, |last| last + 1)
        }
        _ => first,
    };
    let pieces = stream::iter(first..last).map(move |index| {
        let (weak, pool, key, range) = (weak.clone(), pool.clone(), key.clone(), range.clone());
        // A slow reader must not keep the store from being opened again: it holds nothing between its pieces, and a
        // piece runs to its end on a task of its own.
        let piece = async move {
            let repository = weak.upgrade().ok_or(ContentError::Closed)?;
            piece(&repository, &pool, key, id, index, range).await
        };
        async move { tokio::spawn(piece).await.map_err(|_| ContentError::Closed)? }
    });
    Ok(pieces.buffered(AHEAD_MAX).into_stream().boxed())
}

/// The part of chunk `index` that lies in `range`.
async fn piece(
    repository: &Arc<Repository>,
    pool: &Pool,
    key: Arc<SessionKey>,
    id: SessionId,
    index: u64,
    range: Range<u64>,
) -> Result<Bytes, ContentError> {
    let row = repository.chunk(id, index)?.ok_or(RepositoryError::ChunkMissing { id, index })?;
    let sealed = repository.get_chunk(id, index).await?;
    let plain = Bytes::from(pool.run(Class::Reading, move || chunk::open(&key, id, index, sealed)).await??);
    let within =
        |offset: u64| usize::try_from(offset.saturating_sub(row.offset)).unwrap_or(usize::MAX).min(plain.len());
    Ok(plain.slice(within(range.start)..within(range.end)))
}
