//! A whole bundle, piece after piece, from a stream to its end.

use std::io::{self, Read};

use lucid_layout::Digest;

use crate::limits::PIECE_COMPRESSED_BYTES_MAX;
use crate::manifest::{Kind, Manifest, Piece, Place};
use crate::piece::{PieceError, open_piece};

/// Why a bundle is not whole.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The source failed.
    #[error("the bundle could not be read; check the disk or connection that it comes from, and try again")]
    Io(#[source] io::Error),
    /// It ends within a piece.
    #[error("the bundle ends before its {payload} payload does; get the rest of it")]
    Ended {
        /// Within which payload.
        payload: Kind,
    },
    /// A piece is not the one that the manifest names.
    #[error("piece {piece} of the {payload} payload is not as the manifest says")]
    Piece {
        /// Of which payload.
        payload: Kind,
        /// Its number.
        piece: u32,
        /// Why.
        #[source]
        source: PieceError,
    },
    /// All pieces are right, and their whole is not.
    #[error("the {payload} payload is not the one that the manifest names; have the bundle built anew")]
    Whole {
        /// Which.
        payload: Kind,
    },
    /// Bytes follow after the last piece.
    #[error("the bundle is followed by bytes that do not belong to it; get it again")]
    Trailing,
}

/// Reads the pieces of a bundle from its first on. Holds one compressed piece in memory.
pub struct Unpacker<'a, R> {
    manifest: &'a Manifest,
    pieces: Vec<(Place, &'a Piece)>,
    next: usize,
    reader: R,
    compressed: Vec<u8>,
    whole: blake3::Hasher,
}

impl<'a, R: Read> Unpacker<'a, R> {
    /// Begins at the first piece: `reader` stands after the header.
    pub fn new(manifest: &'a Manifest, reader: R) -> Self {
        let pieces = manifest.pieces().collect();
        Self { manifest, pieces, next: 0, reader, compressed: vec![], whole: blake3::Hasher::new() }
    }

    /// The next piece, decompressed into `out`, and where it goes; `None` once all were there and nothing follows.
    ///
    /// # Errors
    /// If the bytes are not the ones that the manifest names. What went before was right all the same.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Place>, UnpackError> {
        let Some((place, piece)) = self.pieces.get(self.next).copied() else {
            return self.end().map(|()| None);
        };
        self.read(place, piece)?;
        let Place { payload, piece: number, .. } = place;
        open_piece(piece, &self.compressed, out).map_err(|source| UnpackError::Piece {
            payload,
            piece: number,
            source,
        })?;
        self.whole.update(out);
        self.next += 1;
        if self.pieces.get(self.next).is_none_or(|(next, _)| next.payload != payload) {
            self.check_whole(payload)?;
        }
        Ok(Some(place))
    }

    fn read(&mut self, place: Place, piece: &Piece) -> Result<(), UnpackError> {
        let length = piece.compressed.min(PIECE_COMPRESSED_BYTES_MAX) as usize;
        self.compressed.resize(length, 0);
        self.reader.read_exact(&mut self.compressed).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => UnpackError::Ended { payload: place.payload },
            _ => UnpackError::Io(error),
        })
    }

    fn check_whole(&mut self, payload: Kind) -> Result<(), UnpackError> {
        let found = Digest(*self.whole.finalize().as_bytes());
        self.whole.reset();
        if found == self.manifest.payload(payload).blake3 { Ok(()) } else { Err(UnpackError::Whole { payload }) }
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        let mut one = [0];
        match self.reader.read_exact(&mut one) {
            Ok(()) => Err(UnpackError::Trailing),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(UnpackError::Io(error)),
        }
    }
}
