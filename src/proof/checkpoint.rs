//! Checkpoints (C2SP `tlog-checkpoint`): signed statements about the log of block headers.
//!
//! The log is a SHA-256 tree (RFC 6962) whose leaf at index `h` is the encoded header of height `h`. A checkpoint is a
//! signed note of origin, size and root; the origin is the chain's name and also the name of the keys that sign it.

use data_encoding::BASE64;

use crate::hash::{Hash, Sha256};
use crate::merkle::{self, MerkleError};
use crate::note::{self, NoteError, Opened, Signer, VerifierKey};

/// The state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's identity: the chain's name.
    pub origin: String,
    /// How many headers the log has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines, each not empty; opaque to this release.
    pub extensions: Vec<String>,
}

/// Why a checkpoint can't be made, read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is not in order.
    #[error("the checkpoint is not a valid signed note")]
    Note(#[source] NoteError),
    /// The text is not a checkpoint.
    #[error("the checkpoint's {field} {problem}")]
    Text {
        /// Which part.
        field: &'static str,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// No key of the log's own name signed.
    #[error("the checkpoint of `{origin}` is signed, but not by a key of that name")]
    NotByOrigin {
        /// The log.
        origin: String,
    },
}

/// Two checkpoints that are not states of one growing log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fork {
    /// They speak of different logs.
    #[error("`{old}` and `{new}` are different logs")]
    Origin {
        /// The older checkpoint's origin.
        old: String,
        /// The newer checkpoint's origin.
        new: String,
    },
    /// The newer one does not extend the older one.
    #[error("the log of {new} headers does not extend the log of {old} headers")]
    NotExtended {
        /// The older size.
        old: u64,
        /// The newer size.
        new: u64,
        /// What does not fit.
        #[source]
        source: MerkleError,
    },
}

impl Checkpoint {
    /// The text that is signed.
    ///
    /// # Errors
    /// [`CheckpointError::Text`] if origin or extensions can't stand in it.
    pub fn text(&self) -> Result<String, CheckpointError> {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root));
        for line in &self.extensions {
            text += line;
            text.push('\n');
        }
        // Whatever parses back to the same value broke no rule.
        match Self::parse(&text) {
            Ok(parsed) if parsed == *self => Ok(text),
            Ok(_) => Err(CheckpointError::Text { field: "lines", problem: "contain newlines" }),
            Err(error) => Err(error),
        }
    }

    /// Reads the signed text, strictly.
    ///
    /// # Errors
    /// [`CheckpointError::Text`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = |field, problem| CheckpointError::Text { field, problem };
        let mut lines = text.strip_suffix('\n').ok_or(wrong("text", "does not end with a newline"))?.split('\n');
        let mut line = |field| lines.next().ok_or(wrong(field, "is missing"));
        let origin = line("origin")?.to_owned();
        if !note::is_name(&origin) {
            return Err(wrong("origin", "can't be the name of a key"));
        }
        let size = parse_decimal(line("size")?).ok_or(wrong("size", "is not a plain decimal number"))?;
        let root = BASE64.decode(line("root")?.as_bytes()).ok().and_then(|root| Hash::try_from(root).ok());
        let root = root.ok_or(wrong("root", "is not 32 bytes of canonical base64"))?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(wrong("extension", "is an empty line"));
        }
        Ok(Self { origin, size, root, extensions })
    }

    /// The signed note; the first signer is the log, so its name must be the origin.
    ///
    /// # Errors
    /// [`CheckpointError::NotByOrigin`], or what is wrong with text or signers.
    pub fn sign(&self, signers: &[&Signer]) -> Result<String, CheckpointError> {
        if signers.first().is_none_or(|signer| signer.verifier().name() != self.origin) {
            return Err(CheckpointError::NotByOrigin { origin: self.origin.clone() });
        }
        note::sign(&self.text()?, signers).map_err(CheckpointError::Note)
    }

    /// Opens a signed checkpoint: a key among `keys` that bears the log's name must have signed it.
    ///
    /// # Errors
    /// Says what is wrong with note, text or signer.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<(Self, Opened), CheckpointError> {
        let opened = note::open(note, keys).map_err(CheckpointError::Note)?;
        let checkpoint = Self::parse(&opened.text)?;
        if !opened.verified_by.iter().any(|key| key.name() == checkpoint.origin) {
            return Err(CheckpointError::NotByOrigin { origin: checkpoint.origin });
        }
        Ok((checkpoint, opened))
    }
}

/// Checks that `new` extends `old` by a consistency path from [`merkle::consistency_from`].
///
/// # Errors
/// [`Fork`], if these are not two states of one growing log (or the path does not show it).
pub fn compare(old: &Checkpoint, new: &Checkpoint, path: &[Hash]) -> Result<(), Fork> {
    if old.origin != new.origin {
        return Err(Fork::Origin { old: old.origin.clone(), new: new.origin.clone() });
    }
    merkle::verify_consistency::<Sha256>(old.size, new.size, path, &old.root, &new.root)
        .map_err(|source| Fork::NotExtended { old: old.size, new: new.size, source })
}

/// A decimal number without sign and leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
