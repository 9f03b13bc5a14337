//! The encryptor: one chunk from plaintext to what lies on disk, and back.
//!
//! A chunk file is `nonce (24) || XChaCha20-Poly1305(zstd frame)`, with the session id (16 bytes) and the chunk's index
//! (8 bytes, big endian) as additional data, so that no chunk can stand in another's place. docs/formats.md specifies it.

use chacha20poly1305::{AeadInPlace, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use lucid_ports::SessionId;
use lucid_proof::manifest::CHUNK_BYTES_MAX;
use lucid_vault::SessionKey;

/// Bytes of the nonce. 24 random bytes can be drawn for ever without a repetition worth fearing.
const NONCE_BYTES: usize = 24;
/// Bytes of the Poly1305 tag.
const TAG_BYTES: usize = 16;

/// A chunk can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
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

/// Compresses and encrypts `plain` as chunk `index` of `session`. Burns CPU: about 30 ms for 8 MiB.
///
/// # Errors
/// [`ChunkError::Compress`] and [`ChunkError::Random`].
pub fn seal(key: &SessionKey, session: SessionId, index: u64, level: i32, plain: &[u8]) -> Result<Vec<u8>, ChunkError> {
    let mut sealed = vec![0; NONCE_BYTES + zstd::zstd_safe::compress_bound(plain.len()) + TAG_BYTES];
    let compress = |source| ChunkError::Compress { index, source };
    let mut compressor = zstd::bulk::Compressor::new(level).map_err(compress)?;
    let frame_bytes = compressor.compress_to_buffer(plain, &mut sealed[NONCE_BYTES..]).map_err(compress)?;
    let (nonce, rest) = sealed.split_at_mut(NONCE_BYTES);
    getrandom::fill(nonce).map_err(ChunkError::Random)?;
    let tag = cipher(key)
        .encrypt_in_place_detached(XNonce::from_slice(nonce), &additional(session, index), &mut rest[..frame_bytes])
        .map_err(|_| ChunkError::Sealed { index })?;
    rest[frame_bytes..frame_bytes + TAG_BYTES].copy_from_slice(&tag);
    sealed.truncate(NONCE_BYTES + frame_bytes + TAG_BYTES);
    Ok(sealed)
}

/// Decrypts and decompresses chunk `index` of `session`.
///
/// # Errors
/// [`ChunkError::Sealed`] unless every byte is as it was sealed, for this session and this index;
/// [`ChunkError::Decompress`] if the frame does not say its size, or is larger than any chunk.
pub fn open(key: &SessionKey, session: SessionId, index: u64, mut sealed: Vec<u8>) -> Result<Vec<u8>, ChunkError> {
    if sealed.len() < NONCE_BYTES + TAG_BYTES {
        return Err(ChunkError::Sealed { index });
    }
    let tag = Tag::clone_from_slice(&sealed.split_off(sealed.len() - TAG_BYTES));
    let (nonce, frame) = sealed.split_at_mut(NONCE_BYTES);
    cipher(key)
        .decrypt_in_place_detached(XNonce::from_slice(nonce), &additional(session, index), frame, &tag)
        .map_err(|_| ChunkError::Sealed { index })?;
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

fn cipher(key: &SessionKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.expose().into())
}

fn additional(session: SessionId, index: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..16].copy_from_slice(&session.bytes());
    bytes[16..].copy_from_slice(&index.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests;
