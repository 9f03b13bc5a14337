//! The encryptor: one chunk from plaintext to what lies on disk, and back.
//!
//! A chunk file is `nonce (24) || XChaCha20-Poly1305(zstd frame)`, with the session id (16 bytes) and the chunk's index
//! (8 bytes, big endian) as additional data, so that no chunk can stand in another's place. docs/formats.md specifies it.

use lucid_ports::SessionId;
use lucid_proof::manifest::CHUNK_BYTES_MAX;
use lucid_store::BlobBuffer;
use lucid_vault::SessionKey;

use crate::chunk_cipher::{NONCE_BYTES, TAG_BYTES, decrypt, encrypt};

/// A chunk can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// zstd does not take the level, or there is no memory for its tables.
    #[error("setting up the compressor for level {level} failed: set a level of 1 to 19, or free memory")]
    Level {
        /// The level.
        level: i32,
        /// zstd's answer.
        #[source]
        source: std::io::Error,
    },
    /// zstd refused to compress; it never should.
    #[error("compressing chunk {index} failed")]
    Compress {
        /// The chunk's index.
        index: u64,
        /// zstd's answer.
        #[source]
        source: std::io::Error,
    },
    /// No random bytes for the nonce.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The bytes are not what this key sealed for this place.
    #[error("chunk {index} does not open: it is damaged, or belongs elsewhere")]
    Sealed {
        /// The chunk's index.
        index: u64,
    },
    /// It opened, but the frame inside is not one that we make.
    #[error("chunk {index} does not decompress")]
    Decompress {
        /// The chunk's index.
        index: u64,
        /// zstd's answer.
        #[source]
        source: std::io::Error,
    },
}

/// Compresses and encrypts chunks one after the other, and keeps the compressor's tables between them.
pub struct Sealer(zstd::bulk::Compressor<'static>);

impl Sealer {
    /// Compresses at zstd level `level`, 1 to 19.
    ///
    /// # Errors
    /// [`ChunkError::Level`].
    pub fn new(level: i32) -> Result<Self, ChunkError> {
        Ok(Self(zstd::bulk::Compressor::new(level).map_err(|source| ChunkError::Level { level, source })?))
    }

    /// Makes `sealed` what lies on disk of `plain`, which is chunk `index` of `session`. `sealed` must have room for
    /// [`sealed_bytes_max`]. Burns CPU: 10 to 40 ms for 8 MiB on a server's core.
    ///
    /// # Errors
    /// [`ChunkError::Compress`] and [`ChunkError::Random`].
    pub fn seal(
        &mut self,
        key: &SessionKey,
        session: SessionId,
        index: u64,
        plain: &[u8],
        sealed: &mut BlobBuffer,
    ) -> Result<(), ChunkError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(ChunkError::Random)?;
        let (head, rest) = sealed.room().split_at_mut(NONCE_BYTES);
        head.copy_from_slice(&nonce);
        let compressed = self.0.compress_to_buffer(plain, rest);
        let frame_bytes = compressed.map_err(|source| ChunkError::Compress { index, source })?;
        let (frame, tail) = rest.split_at_mut(frame_bytes);
        let tag = encrypt(key, &nonce, &additional(session, index), frame);
        tail[..TAG_BYTES].copy_from_slice(&tag.map_err(|_| ChunkError::Sealed { index })?);
        sealed.keep(NONCE_BYTES + frame_bytes + TAG_BYTES);
        Ok(())
    }
}

/// The most bytes that a chunk of `plain_bytes` can have on disk.
#[must_use]
pub fn sealed_bytes_max(plain_bytes: usize) -> usize {
    NONCE_BYTES + zstd::zstd_safe::compress_bound(plain_bytes) + TAG_BYTES
}

/// Decrypts and decompresses chunk `index` of `session`.
///
/// # Errors
/// [`ChunkError::Sealed`] unless every byte is as it was sealed, for this session and this index;
/// [`ChunkError::Decompress`] if the frame does not say its size, or is larger than any chunk.
pub fn open(key: &SessionKey, session: SessionId, index: u64, mut sealed: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
    let Some((nonce, rest)) = sealed.split_first_chunk_mut() else { return Err(ChunkError::Sealed { index }) };
    let frame = decrypt(key, nonce, &additional(session, index), rest).map_err(|_| ChunkError::Sealed { index })?;
    decompress(frame).map_err(|source| ChunkError::Decompress { index, source })
}

/// Takes exactly the memory that the frame declares, and none for one that declares too much or nothing.
fn decompress(frame: &[u8]) -> std::io::Result<Vec<u8>> {
    let wrong = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let declared = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let bytes = declared.ok_or_else(|| wrong("the frame does not say how large its content is".to_owned()))?;
    if bytes > CHUNK_BYTES_MAX {
        return Err(wrong(format!("its content has {bytes} bytes, the limit is {CHUNK_BYTES_MAX}")));
    }
    zstd::bulk::decompress(frame, usize::try_from(bytes).expect("64 MiB fit any address space that this runs in"))
}

fn additional(session: SessionId, index: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&session.bytes());
    bytes[16..].copy_from_slice(&index.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
