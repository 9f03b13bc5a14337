//! 32 secret bytes, and sealing one with another.
//!
//! Owns XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random 24-byte nonce in front of the ciphertext, and
//! BLAKE3's key derivation mode. Secrets are wiped when dropped, compared in constant time and printed nowhere.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Length of all keys here in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// Length of an XChaCha20 nonce in bytes: long enough to be drawn at random.
pub(crate) const NONCE_BYTES: usize = 24;

/// Length of a sealed key in bytes: nonce, key, Poly1305 tag.
pub(crate) const SEALED_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + 16;

/// A key. Never printed.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; KEY_BYTES]>);

impl Secret {
    pub(crate) fn random() -> Result<Self, VaultError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(VaultError::Random)?;
        Ok(Self(bytes))
    }

    /// The key that `bytes` are, if they have its length.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// A key for one use, from which this one can't be computed. `context` is unique to the use and never changes.
    pub(crate) fn derive(&self, context: &str) -> Self {
        Self(Zeroizing::new(blake3::derive_key(context, self.bytes())))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Seals `secret` under this key, bound to `aad`.
    pub(crate) fn seal(&self, secret: &Self, aad: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(VaultError::Random)?;
        let payload = Payload { msg: secret.bytes(), aad };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("32 bytes are below the cipher's limit of 256 GiB, its only error");
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Secret::seal`] gave; `None` if key, bytes or `aad` are not the same.
    pub(crate) fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Self> {
        let (nonce, msg) = sealed.split_at_checked(NONCE_BYTES)?;
        let opened = self.cipher().decrypt(XNonce::from_slice(nonce), Payload { msg, aad }).ok()?;
        Self::from_slice(&Zeroizing::new(opened))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes().into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().ct_eq(other.bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}
