//! Ed25519 keys (RFC 8032) and the file in which a secret one is kept offline.
//!
//! The file is one line: `lucid-key-1 root NAME SECRET`, the secret in 64 hexadecimal digits. A key has one role, and
//! its own code refuses to sign what is not of that role. Secrets are wiped when dropped and printed nowhere; `to_text`
//! alone gives one out, into a text that is wiped as well.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::limits::{KEY_FILE_BYTES_MAX, NAME_BYTES_MAX};
use crate::signed::{DocumentKind, sign};

/// First word of a key file.
const KEY_FILE: &str = "lucid-key-1";

/// A public key: 32 bytes, in JSON 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// Why something is no key, or may not be used as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A public key is not 64 digits.
    #[error("a public key is 64 lower-case hexadecimal digits; copy it whole")]
    NotHex,
    /// The file is another one.
    #[error("this is no key file: it has to be one line `{KEY_FILE} root|release NAME SECRET`; take the right file")]
    NotAKeyFile,
    /// The name does not fit into the file.
    #[error("the name of a key is 1 to {NAME_BYTES_MAX} letters, digits or any of `-_.@`; choose another one")]
    Name,
    /// The key is of another role.
    #[error("a {role} key signs no {kind}; take a key of the other role")]
    WrongRole {
        /// The key's role.
        role: Role,
        /// What was to be signed.
        kind: DocumentKind,
    },
}

impl PublicKey {
    /// The key as the algorithm takes it, if it is one, and not one of the few that validate anything.
    pub(crate) fn verifying(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0).ok().filter(|key| !key.is_weak())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| KeyError::NotHex)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::NotHex)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A signature, and the key that is said to have made it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The key.
    pub key: PublicKey,
    /// `R` and `s` of RFC 8032.
    pub signature: [u8; 64],
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "signature by {}", self.key)
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Offline; signs root sets and key lists.
    Root,
    /// Signs bundles and channels, until it expires.
    Release,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Root => "root",
            Self::Release => "release",
        })
    }
}

/// A secret key with its role and name. Wiped when dropped; has no `Debug`.
pub struct SecretKey {
    role: Role,
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// The key of 32 random bytes, which the caller draws.
    ///
    /// # Errors
    /// If the name is not of the letters that the file has room for.
    pub fn from_seed(role: Role, name: &str, seed: &Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_letter) {
            return Err(KeyError::Name);
        }
        Ok(Self { role, name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If it is none. The error repeats nothing of what stands there.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let words: Vec<_> = line.split(' ').collect();
        let [KEY_FILE, role, name, secret] = words[..] else { return Err(KeyError::NotAKeyFile) };
        let role = match role {
            "root" => Role::Root,
            "release" => Role::Release,
            _ => return Err(KeyError::NotAKeyFile),
        };
        let seed = seed(secret).filter(|_| text.len() <= KEY_FILE_BYTES_MAX).ok_or(KeyError::NotAKeyFile)?;
        Self::from_seed(role, name, &seed)
    }

    /// The key file's text, with a line break.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.key.to_bytes());
        let secret = Zeroizing::new(HEXLOWER.encode(seed.as_ref()));
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES_MAX));
        // In steps into one buffer that is large enough: growing would leave copies behind.
        for part in [KEY_FILE, " ", &self.role.to_string(), " ", &self.name, " ", &secret, "\n"] {
            text.push_str(part);
        }
        text
    }

    /// Its role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// Signs the bytes of a document.
    ///
    /// # Errors
    /// If documents of that kind are not for keys of this role. Readers refuse such signatures as well.
    pub fn sign(&self, kind: DocumentKind, bytes: &[u8]) -> Result<Signature, KeyError> {
        if kind.role() == self.role {
            Ok(sign(kind, bytes, &self.key))
        } else {
            Err(KeyError::WrongRole { role: self.role, kind })
        }
    }
}

/// The 32 bytes that 64 digits stand for.
fn seed(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    let fits = HEXLOWER.decode_len(digits.len()).is_ok_and(|length| length == seed.len());
    (fits && HEXLOWER.decode_mut(digits.as_bytes(), seed.as_mut()).is_ok()).then_some(seed)
}

#[cfg(test)]
mod tests;
