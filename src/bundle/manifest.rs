//! Manifests: what a bundle holds, and where in the file each piece lies.

use std::collections::BTreeMap;
use std::fmt;

use lucid_layout::Digest;
use lucid_layout::update::DataFormat;
use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::document::{Document, Malformed, is_name, is_prose, is_word, need};
use crate::header::Header;
use crate::limits::{INPUTS_MAX, NOTES_BYTES_MAX, PIECE_BYTES, PIECE_COMPRESSED_BYTES_MAX, PIECES_MAX};
use crate::signed::DocumentKind;

/// Which partition a payload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The root partition: erofs with its verity tree.
    Root,
    /// The boot partition: FAT32.
    Boot,
}

impl Kind {
    /// Both, in the order in which they lie in a bundle.
    pub const ALL: [Self; 2] = [Self::Root, Self::Boot];
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root",
            Self::Boot => "boot",
        })
    }
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The release's version, as in `lucid --version`.
    pub version: String,
    /// Which hardware it is for: `lucid-pi5`.
    pub compatible: String,
    /// The build, as in the boot partition's `lucid-release.json`.
    pub build_id: Digest,
    /// Releases whose epoch is below an appliance's floor are not installed any more.
    pub epoch: u64,
    /// The oldest EEPROM release, by its build date, that can boot it.
    pub eeprom_min: UnixSeconds,
    /// Which data the release reads and writes.
    pub data: DataFormat,
    /// When it was built.
    pub created: UnixSeconds,
    /// What is new, for the owner: at most [`NOTES_BYTES_MAX`].
    pub notes: String,
    /// What it was built from: a name, and a version or SHA-256; at most [`INPUTS_MAX`].
    pub inputs: BTreeMap<String, String>,
    /// Root, then boot.
    pub payloads: Vec<Payload>,
}

/// The content of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Which partition's.
    pub kind: Kind,
    /// Length, decompressed.
    pub bytes: u64,
    /// BLAKE3 of the whole, decompressed.
    pub blake3: Digest,
    /// Its parts: [`PIECE_BYTES`] each, decompressed, but for the last.
    pub pieces: Vec<Piece>,
    /// Reserved for an index of blocks, to fetch differences by; `null`.
    pub index: Option<Index>,
}

/// No index exists: a manifest that has one is for a newer reader, and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Index {}

/// A part of a payload: one zstd frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// Length in the bundle, at most [`PIECE_COMPRESSED_BYTES_MAX`].
    pub compressed: u32,
    /// Length, decompressed.
    pub bytes: u32,
    /// BLAKE3 of the bytes in the bundle.
    pub blake3: Digest,
}

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Into which partition.
    pub payload: Kind,
    /// Its number within the payload, from 0.
    pub piece: u32,
    /// Its first byte's offset in the payload, decompressed.
    pub offset_in_payload: u64,
}

/// Where a transfer goes on that broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// Pieces that are whole; also the number of the next one in [`Manifest::pieces`].
    pub whole: usize,
    /// Offset in the bundle of the first byte that is wanted.
    pub offset: u64,
}

/// A manifest before there are payloads: what its maker decides.
#[derive(Debug, Clone)]
pub struct Draft {
    /// As [`Manifest::version`].
    pub version: String,
    /// As [`Manifest::compatible`].
    pub compatible: String,
    /// As [`Manifest::build_id`].
    pub build_id: Digest,
    /// As [`Manifest::epoch`].
    pub epoch: u64,
    /// As [`Manifest::eeprom_min`].
    pub eeprom_min: UnixSeconds,
    /// As [`Manifest::data`].
    pub data: DataFormat,
    /// As [`Manifest::created`].
    pub created: UnixSeconds,
    /// As [`Manifest::notes`].
    pub notes: String,
    /// As [`Manifest::inputs`].
    pub inputs: BTreeMap<String, String>,
}

impl Draft {
    /// The manifest of these payloads.
    #[must_use]
    pub fn into_manifest(self, root: Payload, boot: Payload) -> Manifest {
        let Self { version, compatible, build_id, epoch, eeprom_min, data, created, notes, inputs } = self;
        let payloads = vec![root, boot];
        Manifest { version, compatible, build_id, epoch, eeprom_min, data, created, notes, inputs, payloads }
    }
}

impl Document for Manifest {
    const KIND: DocumentKind = DocumentKind::Manifest;

    fn check(&self) -> Result<(), Malformed> {
        let need = |holds, problem| need(Self::KIND, holds, problem);
        need(is_word(&self.version), "its version is not a short word")?;
        need(is_word(&self.compatible), "its `compatible` is not a short word")?;
        need(self.data.reads_from <= self.data.generation, "it can't read the data that it writes")?;
        need(is_prose(&self.notes, NOTES_BYTES_MAX), "its notes are too long, or hold control characters")?;
        need(self.inputs.len() <= INPUTS_MAX, "it names too many inputs")?;
        need(
            self.inputs.iter().all(|(name, value)| is_name(name) && is_name(value)),
            "an input is not one short line",
        )?;
        need(self.payloads.iter().map(|payload| payload.kind).eq(Kind::ALL), "its payloads are not root, then boot")?;
        let pieces: usize = self.payloads.iter().map(|payload| payload.pieces.len()).sum();
        need(pieces <= PIECES_MAX, "it has too many pieces")?;
        self.payloads.iter().try_for_each(|payload| need(payload.is_sound(), "the pieces do not make up a payload"))
    }
}

impl Payload {
    /// Whether the pieces have the lengths that make up the whole.
    fn is_sound(&self) -> bool {
        let lengths = (0..self.bytes.div_ceil(u64::from(PIECE_BYTES)))
            .map(|nth| (self.bytes - nth * u64::from(PIECE_BYTES)).min(u64::from(PIECE_BYTES)));
        let compressed = |piece: &Piece| (1..=PIECE_COMPRESSED_BYTES_MAX).contains(&piece.compressed);
        // Of a number that is too large, no more lengths are made than there are pieces.
        self.bytes > 0
            && self.pieces.iter().all(compressed)
            && self.pieces.iter().map(|piece| u64::from(piece.bytes)).eq(lengths)
    }
}

impl Manifest {
    /// All pieces, in the order of the bundle, and where each goes.
    pub fn pieces(&self) -> impl Iterator<Item = (Place, &Piece)> {
        self.payloads.iter().flat_map(|payload| {
            (0..).zip(&payload.pieces).map(|(number, piece)| {
                let offset_in_payload = u64::from(number) * u64::from(PIECE_BYTES);
                (Place { payload: payload.kind, piece: number, offset_in_payload }, piece)
            })
        })
    }

    /// The payload for one partition.
    ///
    /// # Panics
    /// If the manifest was put together by hand and has none; [`Document::decode`] gives none without.
    #[must_use]
    pub fn payload(&self, kind: Kind) -> &Payload {
        self.payloads.iter().find(|payload| payload.kind == kind).expect("a checked manifest has both payloads")
    }

    /// Length of the whole bundle.
    #[must_use]
    pub fn bundle_bytes(&self, header: &Header) -> u64 {
        self.offset_of(header, usize::MAX)
    }

    /// Offset in the bundle of piece `nth` of [`Manifest::pieces`]; the bundle's end if there are not so many.
    #[must_use]
    pub fn offset_of(&self, header: &Header, nth: usize) -> u64 {
        header.bytes + self.pieces().take(nth).map(|(_, piece)| u64::from(piece.compressed)).sum::<u64>()
    }

    /// Where to go on when the first `received` bytes of the bundle are there: after the last whole piece.
    #[must_use]
    pub fn resume_point(&self, header: &Header, received: u64) -> ResumePoint {
        let mut point = ResumePoint { whole: 0, offset: header.bytes };
        for (_, piece) in self.pieces() {
            let end = point.offset + u64::from(piece.compressed);
            if end > received {
                break;
            }
            point = ResumePoint { whole: point.whole + 1, offset: end };
        }
        point
    }
}

#[cfg(test)]
mod tests;
