//! Memory from which a blob goes to the disk without a copy.

use std::ops::Deref;

use super::direct::BLOCK_BYTES;

/// A buffer of fixed size that begins at a block boundary, as writing past the page cache wants it. Filled through
/// [`BlobBuffer::room`], read as a slice of what [`BlobBuffer::keep`] kept.
pub struct BlobBuffer {
    memory: Vec<u8>,
    begin: usize,
    bytes: usize,
}

impl BlobBuffer {
    /// An empty buffer with room for `bytes`. The system gives its memory only as far as it is filled.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let memory = vec![0; bytes + BLOCK_BYTES];
        let begin = memory.as_ptr().align_offset(BLOCK_BYTES);
        Self { memory, begin, bytes: 0 }
    }

    /// All the room there is, with what was in it before; at least what was asked for.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.memory[self.begin..]
    }

    /// Makes the first `bytes` of the room the content.
    ///
    /// # Panics
    /// If there is less room.
    pub fn keep(&mut self, bytes: usize) {
        assert!(bytes <= self.memory.len() - self.begin, "{bytes} bytes don't fit into the buffer");
        self.bytes = bytes;
    }
}

impl Deref for BlobBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.begin..][..self.bytes]
    }
}

impl AsRef<[u8]> for BlobBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
