//! The data key of one recording, and its wrapped form.
//!
//! The wrapped form lies in the session's row. It opens only under the wrapping key of its generation; when that key is
//! destroyed, the recording is, wherever copies of its chunks and of its row are.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::VaultError;
use crate::secret::{KEY_BYTES, SEALED_KEY_BYTES, Secret};
use crate::slots::WrappingKey;

/// A recording's data key: 32 bytes for XChaCha20-Poly1305. Wiped when dropped, not printed by `Debug`.
#[derive(Clone)]
pub struct SessionKey(Secret);

impl SessionKey {
    pub(crate) fn random() -> Result<Self, VaultError> {
        Secret::random().map(Self)
    }

    /// The key's bytes, for a cipher.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.bytes()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionKey(..)")
    }
}

/// A data key as a row holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The generation of the wrapping key.
    pub generation: u64,
    /// XChaCha20-Poly1305, nonce first. Base64 in JSON.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub bytes: Vec<u8>,
}

impl WrappedKey {
    pub(crate) fn seal(key: &SessionKey, wrapping: &WrappingKey) -> Result<Self, VaultError> {
        let bytes = wrapping.key.seal(&key.0, &aad(wrapping.generation))?;
        Ok(Self { generation: wrapping.generation, bytes })
    }

    pub(crate) fn open(&self, wrapping: &WrappingKey) -> Result<SessionKey, VaultError> {
        let opened = wrapping.key.open(&self.bytes, &aad(self.generation));
        opened.map(SessionKey).ok_or(VaultError::BadWrappedKey { generation: self.generation })
    }
}

fn aad(generation: u64) -> Vec<u8> {
    [b"lucid vault v1 session key".as_slice(), &generation.to_be_bytes()].concat()
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = BASE64.decode(text.as_bytes()).map_err(de::Error::custom)?;
    if bytes.len() != SEALED_KEY_BYTES {
        return Err(de::Error::invalid_length(bytes.len(), &"a wrapped key of 72 bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
