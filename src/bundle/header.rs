//! A bundle's header: everything in front of the pieces.
//!
//! `LUCIDUP1`, the length of the rest (u32, little-endian), number of root sets (u8), the root sets, the key list, the
//! manifest. Its BLAKE3 is the bundle's name.

use std::fmt;
use std::io::{self, Read};

use data_encoding::HEXLOWER;
use lucid_layout::Digest;

use crate::authority::Authority;
use crate::document::{Document as _, Malformed};
use crate::limits::{BUNDLE_MAGIC, HEADER_BYTES_MAX};
use crate::manifest::Manifest;
use crate::signed::{DocumentKind, Signed};
use crate::wire::{LayoutError, Reader, bounded};

/// Bytes in front of the header proper: magic and length.
const PREFIX_BYTES: usize = 12;

/// What a reader of layouts calls it.
const WHAT: &str = "the bundle's header";

/// Which bundle: BLAKE3 of its first 12 bytes and its header, signatures included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BundleId(pub [u8; 32]);

impl BundleId {
    /// As other parts of the appliance write it down.
    #[must_use]
    pub const fn digest(self) -> Digest {
        Digest(self.0)
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for BundleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("the bundle could not be read; check the disk or connection that it comes from, and try again")]
    Io(#[source] io::Error),
    /// The bytes are not a header.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// A header, laid out well; nothing of it is checked further. [`crate::Trust::accept`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The bundle's name.
    pub id: BundleId,
    /// Its length in bytes, which is the offset of the first piece.
    pub bytes: u64,
    raw: Vec<u8>,
    authority: Authority,
    manifest: Signed,
}

/// Reads a header, and not one byte more. Takes at most [`HEADER_BYTES_MAX`] of memory.
///
/// # Errors
/// If the source fails, or the bytes are no header.
pub fn read_header(reader: &mut impl Read) -> Result<Header, ReadError> {
    let mut raw = vec![0; PREFIX_BYTES];
    reader.read_exact(&mut raw).map_err(ended_early)?;
    let length = header_length(&raw)?;
    raw.resize(PREFIX_BYTES + length, 0);
    reader.read_exact(&mut raw[PREFIX_BYTES..]).map_err(ended_early)?;
    Ok(Header::parse_whole(raw)?)
}

fn ended_early(error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => LayoutError::Ended { what: WHAT }.into(),
        _ => ReadError::Io(error),
    }
}

/// The length that the prefix gives for the rest.
fn header_length(raw: &[u8]) -> Result<usize, LayoutError> {
    let mut reader = Reader::new(WHAT, raw);
    if reader.array()? != *BUNDLE_MAGIC {
        return Err(LayoutError::Magic { what: "update bundle" });
    }
    reader.length("the length of the bundle's header", 1, HEADER_BYTES_MAX as usize)
}

impl Header {
    /// The header of a new bundle.
    ///
    /// # Errors
    /// If a part is longer than the format allows, or has no signature.
    pub fn new(authority: Authority, manifest: Signed) -> Result<Self, LayoutError> {
        let mut body = Vec::new();
        authority.write(&mut body)?;
        manifest.write(DocumentKind::Manifest, &mut body)?;
        let length = bounded("the length of the bundle's header", body.len(), 1, HEADER_BYTES_MAX as usize)?;
        let length = u32::try_from(length).expect("the limit fits");
        Self::parse_whole([&BUNDLE_MAGIC[..], &length.to_le_bytes(), &body].concat())
    }

    /// Reads a header that [`Header::raw`] gave.
    ///
    /// # Errors
    /// If the bytes are no header, or more than one.
    pub fn parse(raw: &[u8]) -> Result<Self, ReadError> {
        Ok(Self::parse_whole(raw.to_vec())?)
    }

    fn parse_whole(raw: Vec<u8>) -> Result<Self, LayoutError> {
        let length = header_length(&raw)?;
        let mut reader = Reader::new(WHAT, &raw[PREFIX_BYTES..]);
        if length > raw.len() - PREFIX_BYTES {
            return Err(LayoutError::Ended { what: WHAT });
        }
        let authority = Authority::read(&mut reader)?;
        let manifest = Signed::read(DocumentKind::Manifest, &mut reader)?;
        reader.finish()?;
        if length < raw.len() - PREFIX_BYTES {
            return Err(LayoutError::Trailing { what: WHAT, bytes: raw.len() - PREFIX_BYTES - length });
        }
        let id = BundleId(*blake3::hash(&raw).as_bytes());
        Ok(Self { id, bytes: raw.len() as u64, raw, authority, manifest })
    }

    /// Its bytes, for keeping them.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The root sets and the key list.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The manifest and its signature.
    #[must_use]
    pub const fn signed_manifest(&self) -> &Signed {
        &self.manifest
    }

    /// What the manifest says, whoever has signed it: to be shown as such, and never to be acted on.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn manifest_unverified(&self) -> Result<Manifest, Malformed> {
        Manifest::decode(&self.manifest.bytes)
    }
}

#[cfg(test)]
mod tests;
