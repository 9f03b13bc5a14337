//! The root keys that an image is built to trust.

use std::path::Path;

use lucid_bundle::{Document as _, DocumentKind, RootSet, Signed, Trust};

use super::error::of;
use super::{files, quorum};
use crate::error::Error;

/// A root set as an image carries it.
pub(crate) struct Trusted {
    /// The file's bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether its keys are for tests.
    pub(crate) is_test: bool,
}

/// Reads a signed root set, and leaves out the signatures of the set before it: an image begins with this one.
pub(crate) fn read(path: &Path) -> Result<Trusted, Error> {
    let signed =
        Signed::from_bytes(DocumentKind::Root, &files::read(path, quorum::FILE_BYTES_MAX)?).map_err(of(path))?;
    let (bytes, trust) = first(&signed).map_err(|error| Error::Update { path: path.to_owned(), source: error })?;
    Ok(Trusted { bytes, is_test: trust.is_test() })
}

/// The trust that begins with a root set, by itself.
pub(super) fn first(signed: &Signed) -> Result<(Vec<u8>, Trust), super::UpdateError> {
    // Every signature counts until it was looked at: one that is not valid is damage, whoever made it.
    signed.signers(DocumentKind::Root)?;
    let set = RootSet::decode(&signed.bytes)?;
    let mut own = signed.clone();
    own.signatures.retain(|signature| set.keys.contains(&signature.key));
    let bytes = own.to_bytes(DocumentKind::Root)?;
    let trust = Trust::from_image(&bytes)?;
    Ok((bytes, trust))
}
