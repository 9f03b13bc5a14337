//! The memory that the chunks of all uploads use in turns.
//!
//! Bounds it: at most as many chunks as [`ChunkMemory::new`] was told are under way at a time, and who has the next one
//! waits. Keeps it: memory fresh from the system costs a page fault and a zeroed page every 4 KiB, which of a fast
//! stream would be a tenth of the work; so it comes back when its chunk is done, and nothing new is made while
//! something lies idle. Must never keep memory while nothing is recorded fast.

use std::sync::{Arc, Mutex, PoisonError};

use lucid_store::BlobBuffer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chunk::{ChunkError, Sealer, sealed_bytes_max};

/// Memory for plaintext, for what goes to the disk, and for the compressor's tables.
pub(crate) struct ChunkMemory {
    chunk_bytes: usize,
    level: i32,
    turns: Arc<Semaphore>,
    plain: Idle<Vec<u8>>,
    sealed: Idle<BlobBuffer>,
    sealers: Idle<Sealer>,
}

impl ChunkMemory {
    /// For chunks of at most `chunk_bytes` of plaintext, compressed at `level`, `under_way_max` at a time.
    pub(crate) fn new(chunk_bytes: usize, level: i32, under_way_max: usize) -> Self {
        let turns = Arc::new(Semaphore::new(under_way_max));
        Self { chunk_bytes, level, turns, plain: Idle::new(), sealed: Idle::new(), sealers: Idle::new() }
    }

    /// Waits until one more chunk may be under way; it is for as long as the permit lives. First come, first served.
    pub(crate) async fn turn(&self) -> OwnedSemaphorePermit {
        self.turns.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Empty, with room for a chunk's plaintext.
    pub(crate) fn plain(&self) -> Vec<u8> {
        self.plain.take().unwrap_or_else(|| Vec::with_capacity(self.chunk_bytes))
    }

    /// Takes back what [`Self::plain`] gave.
    pub(crate) fn plain_done(&self, mut plain: Vec<u8>) {
        plain.clear();
        self.plain.put(plain);
    }

    /// With room for a sealed chunk, and any bytes in it.
    pub(crate) fn sealed(&self) -> BlobBuffer {
        self.sealed.take().unwrap_or_else(|| BlobBuffer::with_capacity(sealed_bytes_max(self.chunk_bytes)))
    }

    /// Takes back what [`Self::sealed`] gave.
    pub(crate) fn sealed_done(&self, sealed: BlobBuffer) {
        self.sealed.put(sealed);
    }

    /// Compresses at the level.
    pub(crate) fn sealer(&self) -> Result<Sealer, ChunkError> {
        self.sealers.take().map_or_else(|| Sealer::new(self.level), Ok)
    }

    /// Takes back what [`Self::sealer`] gave.
    pub(crate) fn sealer_done(&self, sealer: Sealer) {
        self.sealers.put(sealer);
    }

    /// Gives all that lies idle back to the system: when a stream has ended or become slow. Whoever still is fast takes
    /// new memory once.
    pub(crate) fn release(&self) {
        self.plain.clear();
        self.sealed.clear();
        self.sealers.clear();
    }
}

/// Things that wait for their next use, the latest used on top: its pages are the likeliest to be in a cache.
struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, thing: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests;
