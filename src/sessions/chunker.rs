//! The chunker: cuts a stream into chunks by size and by age.

use std::time::Duration;

use tokio::time::Instant;

/// Where to cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// A chunk is closed when it has this many bytes.
    pub(crate) bytes: usize,
    /// A chunk is closed when its first byte is this old, so that a slow session becomes durable, too.
    pub(crate) age: Duration,
}

/// Collects the bytes of the chunk that is open.
#[derive(Debug)]
pub(crate) struct Chunker {
    cut: Cut,
    open: Vec<u8>,
    opened: Instant,
}

impl Chunker {
    pub(crate) fn new(cut: Cut) -> Self {
        Self { cut, open: Vec::new(), opened: Instant::now() }
    }

    /// When the open chunk must be closed; nothing while it is empty.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.open.is_empty()).then(|| self.opened + self.cut.age)
    }

    /// Takes bytes off the front of `bytes` until a chunk is full or none are left.
    pub(crate) fn fill(&mut self, bytes: &mut bytes::Bytes) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            self.open.reserve_exact(self.cut.bytes);
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
