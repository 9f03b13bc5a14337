//! Building a bundle. Equal inputs and an equal key give equal bytes: one fixed level, one frame for each piece, no
//! clock, and Ed25519 signatures, which are deterministic.

use std::io::{self, Read, Seek, SeekFrom, Write};

use lucid_layout::Digest;

use crate::authority::Authority;
use crate::document::{Document as _, Malformed};
use crate::header::Header;
use crate::key::{KeyError, SecretKey};
use crate::limits::{PIECE_BYTES, PIECES_MAX};
use crate::manifest::{Draft, Kind, Payload, Piece};
use crate::signed::DocumentKind;
use crate::wire::LayoutError;

/// How much time compression may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For releases, which are built once and fetched by every appliance: the highest level that is as cheap to read.
    Release,
    /// For tests: a small part of the time, larger by some.
    Quick,
}

impl Effort {
    /// zstd's level. A fixed one each, so that equal payloads give equal bundles.
    const fn level(self) -> i32 {
        match self {
            Self::Release => 19,
            Self::Quick => 1,
        }
    }
}

/// Why a bundle could not be built.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file failed.
    #[error("{what} failed; check the disk")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A payload has no bytes, or more than fit into a bundle.
    #[error("the {kind} payload is empty or larger than a bundle can be; check the path of the partition's image")]
    Size {
        /// Which.
        kind: Kind,
    },
    /// A value of the manifest is out of its limits.
    #[error(transparent)]
    Manifest(#[from] Malformed),
    /// The key does not sign manifests.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The header is too long.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Where the payloads come from.
pub struct Sources<'a> {
    /// The root partition's content.
    pub root: &'a mut dyn Read,
    /// The boot partition's content.
    pub boot: &'a mut dyn Read,
    /// How much time to take.
    pub effort: Effort,
}

/// Compresses one payload and appends its pieces to `pieces`. Takes memory for one piece.
///
/// # Errors
/// If a file fails, or the payload is empty or too large.
pub fn pack(
    kind: Kind,
    effort: Effort,
    source: &mut (impl Read + ?Sized),
    pieces: &mut impl Write,
) -> Result<Payload, PackError> {
    pack_within(PIECES_MAX, kind, effort, source, pieces)
}

fn pack_within(
    most: usize,
    kind: Kind,
    effort: Effort,
    source: &mut (impl Read + ?Sized),
    pieces: &mut impl Write,
) -> Result<Payload, PackError> {
    let failed = |what| move |source| PackError::Io { what, source };
    let mut compressor = zstd::bulk::Compressor::new(effort.level()).map_err(failed("preparing the compressor"))?;
    let mut payload = Payload { kind, bytes: 0, blake3: Digest([0; 32]), pieces: vec![], index: None };
    let (mut whole, mut plain) = (blake3::Hasher::new(), Vec::new());
    loop {
        plain.clear();
        source.take(u64::from(PIECE_BYTES)).read_to_end(&mut plain).map_err(failed("reading a payload"))?;
        if plain.is_empty() {
            break;
        }
        if payload.pieces.len() == most {
            return Err(PackError::Size { kind });
        }
        let frame = compressor.compress(&plain).map_err(failed("compressing a piece"))?;
        pieces.write_all(&frame).map_err(failed("writing a piece"))?;
        whole.update(&plain);
        payload.bytes += plain.len() as u64;
        payload.pieces.push(described(&plain, &frame));
    }
    payload.blake3 = Digest(*whole.finalize().as_bytes());
    if payload.bytes == 0 { Err(PackError::Size { kind }) } else { Ok(payload) }
}

fn described(plain: &[u8], frame: &[u8]) -> Piece {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a piece has some MiB");
    Piece { compressed: length(frame), bytes: length(plain), blake3: Digest(*blake3::hash(frame).as_bytes()) }
}

/// Builds a bundle. The pieces wait in `spool`, an empty file, because the header, which comes first, names them.
///
/// # Errors
/// If a file fails, a value is out of its limits, or the key is none for releases. `out` is then to be thrown away.
pub fn build(
    draft: Draft,
    sources: Sources<'_>,
    authority: Authority,
    key: &SecretKey,
    spool: &mut (impl Read + Write + Seek),
    out: &mut impl Write,
) -> Result<Header, PackError> {
    let failed = |what| move |source| PackError::Io { what, source };
    let root = pack(Kind::Root, sources.effort, sources.root, spool)?;
    let boot = pack(Kind::Boot, sources.effort, sources.boot, spool)?;
    let mut manifest = draft.into_manifest(root, boot).to_unsigned()?;
    manifest.signatures.push(key.sign(DocumentKind::Manifest, &manifest.bytes)?);
    let header = Header::new(authority, manifest)?;
    spool.seek(SeekFrom::Start(0)).map_err(failed("going back in the spool"))?;
    out.write_all(header.raw()).map_err(failed("writing the header"))?;
    io::copy(spool, out).map_err(failed("copying the pieces"))?;
    Ok(header)
}

#[cfg(test)]
mod tests;
