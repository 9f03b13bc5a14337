//! What all four kinds of documents have in common: JSON in one form.
//!
//! One form: no white space, members in the order of their declaration, none missing and none more. A document that
//! this code would not write byte by byte is refused, so that no two readers can take one for different things.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::NAME_BYTES_MAX;
use crate::signed::{DocumentKind, Signed};

/// Longest explanation in bytes: it may repeat what a stranger wrote.
const PROBLEM_BYTES_MAX: usize = 200;

/// The bytes are no document of their kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} is malformed: {problem}; get the file again, or have its maker build it anew")]
pub struct Malformed {
    /// What it should be.
    pub kind: DocumentKind,
    /// What is wrong with it.
    pub problem: String,
}

/// A kind of document.
pub trait Document: Serialize + DeserializeOwned {
    /// Which.
    const KIND: DocumentKind;

    /// Checks every value against its limits.
    ///
    /// # Errors
    /// What is wrong, in words.
    fn check(&self) -> Result<(), Malformed>;

    /// The document's bytes, to be signed.
    ///
    /// # Errors
    /// If a value is out of its limits.
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        let bytes = render(self)?;
        need(Self::KIND, bytes.len() <= Self::KIND.bytes_max(), "it is too long").map(|()| bytes)
    }

    /// Reads a document's bytes. Whoever has not checked the signatures must not act on the result.
    ///
    /// # Errors
    /// If they are not exactly what [`Document::encode`] gives.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        need(Self::KIND, bytes.len() <= Self::KIND.bytes_max(), "it is too long")?;
        let members = bytes.strip_prefix(&*prefix(Self::KIND));
        let members = members.ok_or_else(|| malformed(Self::KIND, "it does not begin with its type"))?;
        let document: Self = serde_json::from_slice(&[b"{", members].concat())
            .map_err(|error| malformed(Self::KIND, &error.to_string()))?;
        document.check()?;
        need(Self::KIND, render(&document)? == bytes, "it is not in its one form")?;
        Ok(document)
    }

    /// The document with no signatures yet.
    ///
    /// # Errors
    /// As [`Document::encode`].
    fn to_unsigned(&self) -> Result<Signed, Malformed> {
        Ok(Signed { bytes: self.encode()?, signatures: vec![] })
    }
}

/// How a document of `kind` begins.
fn prefix(kind: DocumentKind) -> Vec<u8> {
    format!("{{\"type\":\"{}\",", kind.name()).into_bytes()
}

fn render<T: Document>(document: &T) -> Result<Vec<u8>, Malformed> {
    let json = serde_json::to_vec(document).map_err(|error| malformed(T::KIND, &error.to_string()))?;
    let members = json.strip_prefix(b"{").ok_or_else(|| malformed(T::KIND, "it is no object"))?;
    Ok([&*prefix(T::KIND), members].concat())
}

fn malformed(kind: DocumentKind, problem: &str) -> Malformed {
    Malformed { kind, problem: problem[..problem.floor_char_boundary(PROBLEM_BYTES_MAX)].to_owned() }
}

/// An error with `problem`, unless `holds`.
pub(crate) fn need(kind: DocumentKind, holds: bool, problem: &str) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(malformed(kind, problem)) }
}

/// Whether a text is one line that can stand on a page and in a log: 1 to [`NAME_BYTES_MAX`] printable ASCII
/// characters.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Whether a text is a version, or what it is for: as [`is_name`], of letters, digits and `.+-_~` alone.
pub(crate) fn is_word(text: &str) -> bool {
    is_name(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte))
}

/// Whether a text of several lines has no control characters that could fake what stands around it.
pub(crate) fn is_prose(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(|letter| letter.is_control() && letter != '\n')
}

#[cfg(test)]
mod tests;
