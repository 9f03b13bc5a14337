//! One piece: its hash is checked first, and only then is it decompressed, into exactly as many bytes as were promised.

use lucid_layout::Digest;

use crate::limits::PIECE_BYTES;
use crate::manifest::Piece;

/// Why a piece is not the one that the manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// Too many or too few bytes.
    #[error("the piece has {found} bytes, and the manifest says {wanted}; get the bundle again from this piece on")]
    Length {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: u32,
    },
    /// Another hash.
    #[error("the piece is not the one that was signed: damaged on its way, or forged; get it again")]
    Hash,
    /// Signed, and yet not one zstd frame of the length that the manifest says.
    #[error("the piece does not decompress to the {wanted} bytes that were signed; have the bundle built anew")]
    Frame {
        /// Its length, decompressed.
        wanted: u32,
    },
}

/// Checks and decompresses a piece into `out`, whose content is replaced. `out` is empty after an error, and never
/// grows beyond [`PIECE_BYTES`], whatever the frame claims.
///
/// # Errors
/// If the bytes are not those that the manifest names; nothing was decompressed unless the error is
/// [`PieceError::Frame`].
pub fn open_piece(piece: &Piece, compressed: &[u8], out: &mut Vec<u8>) -> Result<(), PieceError> {
    let opened = check(piece, compressed)
        .and_then(|()| decompress(piece.bytes, compressed, out).ok_or(PieceError::Frame { wanted: piece.bytes }));
    opened.inspect_err(|_| out.clear())
}

fn check(piece: &Piece, compressed: &[u8]) -> Result<(), PieceError> {
    if usize::try_from(piece.compressed) != Ok(compressed.len()) {
        return Err(PieceError::Length { found: compressed.len(), wanted: piece.compressed });
    }
    match Digest(*blake3::hash(compressed).as_bytes()) == piece.blake3 {
        true => Ok(()),
        false => Err(PieceError::Hash),
    }
}

/// Decompresses exactly one frame that gives exactly `bytes`.
fn decompress(bytes: u32, frame: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = usize::try_from(bytes.min(PIECE_BYTES)).ok()?;
    let is_one = zstd::zstd_safe::find_frame_compressed_size(frame) == Ok(frame.len());
    let declared = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    if !is_one || declared != Some(u64::from(bytes)) || bytes > PIECE_BYTES {
        return None;
    }
    out.resize(length, 0);
    // zstd never writes beyond the buffer; a frame that gives more than it declared is an error.
    (zstd::bulk::decompress_to_buffer(frame, out).ok()? == length).then_some(())
}

#[cfg(test)]
mod tests;
