//! A document's exact bytes and the signatures over them.
//!
//! What is signed is [`SIGNING_CONTEXT`], the kind's name, a zero byte, and the bytes: so that a signature for one kind
//! is none for any other. Framing: length of the bytes (u32, little-endian), the bytes, number of signatures (u8), and
//! for each the key (32 bytes) and the signature (64 bytes). This file says whether signatures are valid, never whether
//! their keys are to be trusted.

use std::collections::BTreeSet;
use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::key::{PublicKey, Role, Signature};
use crate::limits::{
    CHANNEL_FILE_BYTES_MAX, KEY_LIST_BYTES_MAX, MANIFEST_BYTES_MAX, ROOT_SET_BYTES_MAX, SIGNATURES_MAX, SIGNING_CONTEXT,
};
use crate::wire::{LayoutError, Reader, put_bytes, put_count};

/// The kinds of signed documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// [`crate::RootSet`]
    Root,
    /// [`crate::KeyList`]
    Keys,
    /// [`crate::Manifest`]
    Manifest,
    /// [`crate::Channel`]
    Channel,
}

impl DocumentKind {
    /// Its name, in JSON and in what is signed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Keys => "keys",
            Self::Manifest => "manifest",
            Self::Channel => "channel",
        }
    }

    /// Its longest bytes.
    #[must_use]
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Root => ROOT_SET_BYTES_MAX,
            Self::Keys => KEY_LIST_BYTES_MAX,
            Self::Manifest => MANIFEST_BYTES_MAX,
            Self::Channel => CHANNEL_FILE_BYTES_MAX,
        }
    }

    /// Whose signatures it carries.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Root | Self::Keys => Role::Root,
            Self::Manifest | Self::Channel => Role::Release,
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root set",
            Self::Keys => "key list",
            Self::Manifest => "manifest",
            Self::Channel => "channel",
        })
    }
}

/// A document and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The document's bytes, as they were signed.
    pub bytes: Vec<u8>,
    /// Signatures by distinct keys, whose validity nobody has looked at.
    pub signatures: Vec<Signature>,
}

/// A signature is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature of the {kind} by {key} is not valid: the file is damaged or forged; get it again")]
pub struct BadSignature {
    /// Of what.
    pub kind: DocumentKind,
    /// The key that is said to have made it.
    pub key: PublicKey,
}

impl Signed {
    /// The keys that have signed the bytes as a document of `kind`.
    ///
    /// # Errors
    /// If any of the signatures is not valid, whoever may have made it.
    pub fn signers(&self, kind: DocumentKind) -> Result<BTreeSet<PublicKey>, BadSignature> {
        let message = message(kind, &self.bytes);
        let signer = |signature: &Signature| {
            let valid = signature.key.verifying().is_some_and(|key| {
                key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature.signature)).is_ok()
            });
            if valid { Ok(signature.key) } else { Err(BadSignature { kind, key: signature.key }) }
        };
        self.signatures.iter().map(signer).collect()
    }

    /// Reads a file that holds one document of `kind` and nothing else.
    ///
    /// # Errors
    /// If it is laid out otherwise, or longer than its kind allows.
    pub fn from_bytes(kind: DocumentKind, bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut reader = Reader::new("a signed document", bytes);
        let signed = Self::read(kind, &mut reader)?;
        reader.finish()?;
        Ok(signed)
    }

    /// The bytes of such a file.
    ///
    /// # Errors
    /// If the document is empty or longer than its kind allows, or the number of signatures is out of bounds.
    pub fn to_bytes(&self, kind: DocumentKind) -> Result<Vec<u8>, LayoutError> {
        let mut out = Vec::new();
        self.write(kind, &mut out)?;
        Ok(out)
    }

    pub(crate) fn read(kind: DocumentKind, reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        let length = reader.length("the length of a document", 1, kind.bytes_max())?;
        let bytes = reader.slice(length)?.to_vec();
        let count = reader.count("the signatures of a document", 1, SIGNATURES_MAX)?;
        let signatures = (0..count)
            .map(|_| Ok(Signature { key: PublicKey(reader.array()?), signature: reader.array()? }))
            .collect::<Result<Vec<_>, _>>()?;
        let signed = Self { bytes, signatures };
        if signed.has_distinct_keys() { Ok(signed) } else { Err(LayoutError::SignedTwice) }
    }

    pub(crate) fn write(&self, kind: DocumentKind, out: &mut Vec<u8>) -> Result<(), LayoutError> {
        if !self.has_distinct_keys() {
            return Err(LayoutError::SignedTwice);
        }
        put_bytes(out, "the length of a document", &self.bytes, kind.bytes_max())?;
        put_count(out, "the signatures of a document", self.signatures.len(), 1, SIGNATURES_MAX)?;
        for signature in &self.signatures {
            out.extend_from_slice(&signature.key.0);
            out.extend_from_slice(&signature.signature);
        }
        Ok(())
    }

    fn has_distinct_keys(&self) -> bool {
        let keys: BTreeSet<_> = self.signatures.iter().map(|signature| signature.key).collect();
        keys.len() == self.signatures.len()
    }
}

/// Signs the bytes of a document of `kind`. [`crate::SecretKey::sign`] looks at the role first.
#[must_use]
pub fn sign(kind: DocumentKind, bytes: &[u8], key: &SigningKey) -> Signature {
    let signature = key.sign(&message(kind, bytes)).to_bytes();
    Signature { key: PublicKey(key.verifying_key().to_bytes()), signature }
}

fn message(kind: DocumentKind, bytes: &[u8]) -> Vec<u8> {
    [SIGNING_CONTEXT, kind.name().as_bytes(), &[0], bytes].concat()
}

#[cfg(test)]
mod tests;
