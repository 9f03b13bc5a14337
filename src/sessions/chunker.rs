//! The chunker: cuts a stream into chunks by size and by age.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::chunk_memory::ChunkMemory;

/// Where to cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// A chunk is closed when it has this many bytes.
    pub(crate) bytes: usize,
    /// A chunk is closed when its first byte is this old, so that a slow session becomes durable, too.
    pub(crate) age: Duration,
}

/// Collects the bytes of the chunk that is open.
pub(crate) struct Chunker {
    cut: Cut,
    memory: Arc<ChunkMemory>,
    open: Vec<u8>,
    opened: Instant,
}

impl Chunker {
    /// Takes the memory of chunks from `memory`.
    pub(crate) fn new(cut: Cut, memory: Arc<ChunkMemory>) -> Self {
        Self { cut, memory, open: Vec::new(), opened: Instant::now() }
    }

    /// When the open chunk must be closed; nothing while it is empty.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.open.is_empty()).then(|| self.opened + self.cut.age)
    }

    /// Takes bytes off the front of `bytes` until a chunk is full or none are left.
    pub(crate) fn fill(&mut self, bytes: &mut bytes::Bytes) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            self.open = self.memory.plain();
            self.opened = Instant::now();
        }
        let room = self.cut.bytes - self.open.len();
        let taken = bytes.split_to(room.min(bytes.len()));
        self.open.extend_from_slice(&taken);
        if self.open.len() == self.cut.bytes { self.close() } else { None }
    }

    /// Closes the open chunk early.
    pub(crate) fn close(&mut self) -> Option<Vec<u8>> {
        (!self.open.is_empty()).then(|| std::mem::take(&mut self.open))
    }
}

#[cfg(test)]
mod tests;
