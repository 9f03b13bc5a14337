//! Why a key, a signed document or a bundle can't be used: what `lucid-bundle` said, for one file.

use std::path::Path;

use lucid_bundle::{
    BadSignature, KeyError, LayoutError, Malformed, PackError, ReadError, Refused, TrustError, UnpackError,
};

use crate::error::Error;

/// What is wrong with a file of an update. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// It is no key, or not for this.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A document's values are wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its bytes are not laid out as they should be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It was changed after it was signed.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// No trust can begin with it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A box would refuse it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A bundle's header can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A bundle can't be made.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A bundle's payloads can't be taken out.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A description is no TOML, or not of these keys.
    #[error("the description is not understood; correct it")]
    Description(#[from] toml::de::Error),
    /// It contradicts another file, or itself.
    #[error("{0}")]
    Contradiction(String),
}

/// For `map_err`: `path` can't be used because of what `lucid-bundle` said.
pub(crate) fn of<E: Into<UpdateError>>(path: &Path) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |error| Error::Update { path, source: error.into() }
}

/// An error with `what`, unless `holds`.
pub(crate) fn need(holds: bool, path: &Path, what: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(of(path)(UpdateError::Contradiction(what()))) }
}
