//! Named keys of notes: the private half signs, the public half is passed around as one line of text.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{SigningKey, VerifyingKey};

use super::{KEY_ID_BYTES, NoteError};
use crate::hash::sha256;

/// The signature algorithm byte of C2SP `signed-note` for Ed25519.
const ED25519: u8 = 0x01;
/// The longest key name in bytes, so that errors and reports stay readable.
const NAME_BYTES_MAX: usize = 255;

/// A named private key.
pub struct Signer {
    verifier: VerifierKey,
    key: SigningKey,
}

impl Signer {
    /// Gives a private key a name.
    ///
    /// # Errors
    /// [`NoteError::Name`] if the name can't stand in a note.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, NoteError> {
        Ok(Self { verifier: VerifierKey::new(name, key.verifying_key())?, key })
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// A named public key. Its text is `NAME+HASH+BASE64`: eight hex digits of key id, then 0x01 and the key in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; KEY_ID_BYTES],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Gives a public key a name.
    ///
    /// # Errors
    /// [`NoteError::Name`] if the name can't stand in a note.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name { name: name.chars().take(NAME_BYTES_MAX).collect() });
        }
        let digest = sha256(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]);
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Gives the bytes of a public key a name.
    ///
    /// # Errors
    /// [`NoteError::Key`] if the bytes are no key, [`NoteError::Name`] if the name can't stand in a note.
    pub fn from_bytes(name: &str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key { problem: "is no Ed25519 key" })?;
        Self::new(name, key)
    }

    /// Reads the text form; the key id in it must fit.
    ///
    /// # Errors
    /// [`NoteError::Key`] or [`NoteError::Name`], saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = |problem| NoteError::Key { problem };
        // The name has no plus but base64 may, so the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("does not have three parts"));
        };
        let key = BASE64.decode(key.as_bytes()).map_err(|_| wrong("is not canonical base64"))?;
        let Some((&ED25519, key)) = key.split_first() else {
            return Err(wrong("is not of type 1 (Ed25519)"));
        };
        let key: &[u8; 32] = key.try_into().map_err(|_| wrong("does not have 32 bytes"))?;
        let verifier = Self::from_bytes(name, key)?;
        if HEXLOWER.encode(&verifier.id) != id {
            return Err(wrong("has a hash that does not fit name and key"));
        }
        Ok(verifier)
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name, newline, 0x01, public key); a hint to find the key, never a proof.
    #[must_use]
    pub fn id(&self) -> [u8; KEY_ID_BYTES] {
        self.id
    }

    /// The bare public key, as transactions and validator sets name it.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    pub(super) fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id), BASE64.encode(&key))
    }
}

/// Whether a key may have this name (C2SP: not empty, no Unicode space, no plus; here also a limit on its length).
pub(crate) fn is_name(name: &str) -> bool {
    let good = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(good)
}
