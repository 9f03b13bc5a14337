//! The validators' signatures that make a header final.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::VALIDATORS_MAX;
use crate::hash::Hash;
use crate::wire::{DecodeError, Reader};

/// The version of the layout.
const VERSION: u8 = 1;
/// Precedes a header's hash where validators sign it.
const DOMAIN: &[u8] = b"lucid.certificate/v1\n";

/// Signatures of validators over one header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Public key and Ed25519 signature, in strictly ascending order of the keys.
    pub signatures: Vec<([u8; 32], [u8; 64])>,
}

/// Why a certificate does not make a header final.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Signatures are doubled or not in order.
    #[error("signature {position} is not in ascending order of keys")]
    Order {
        /// Which signature, from 0.
        position: usize,
    },
    /// A signer does not belong to the validators.
    #[error("signature {position} is by a key that is not a validator")]
    Stranger {
        /// Which signature, from 0.
        position: usize,
    },
    /// A signature does not fit.
    #[error("signature {position} does not fit the header")]
    Signature {
        /// Which signature, from 0.
        position: usize,
    },
    /// Too few validators signed.
    #[error("{found} validators signed, {needed} are needed")]
    Quorum {
        /// How many did.
        found: usize,
        /// How many must.
        needed: usize,
    },
}

impl Certificate {
    /// A validator's signature over a header hash, for [`Certificate::from_signatures`].
    #[must_use]
    pub fn sign(header_hash: &Hash, key: &SigningKey) -> ([u8; 32], [u8; 64]) {
        (key.verifying_key().to_bytes(), key.sign(&message(header_hash)).to_bytes())
    }

    /// A certificate from signatures in any order.
    #[must_use]
    pub fn from_signatures(mut signatures: Vec<([u8; 32], [u8; 64])>) -> Self {
        signatures.sort_unstable();
        Self { signatures }
    }

    /// Checks that enough of these validators signed the header, and nobody else.
    ///
    /// # Errors
    /// Names the signature that is wrong, or how many are missing.
    pub fn verify(&self, header_hash: &Hash, validators: &[[u8; 32]]) -> Result<(), CertificateError> {
        let message = message(header_hash);
        for (position, (key, signature)) in self.signatures.iter().enumerate() {
            if position > 0 && self.signatures[position - 1].0 >= *key {
                return Err(CertificateError::Order { position });
            }
            if !validators.contains(key) {
                return Err(CertificateError::Stranger { position });
            }
            VerifyingKey::from_bytes(key)
                .and_then(|key| key.verify_strict(&message, &Signature::from_bytes(signature)))
                .map_err(|_| CertificateError::Signature { position })?;
        }
        let (found, needed) = (self.signatures.len(), quorum(validators.len()));
        if found < needed {
            return Err(CertificateError::Quorum { found, needed });
        }
        Ok(())
    }

    /// The certificate's bytes.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] above [`VALIDATORS_MAX`] signatures.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let count = self.signatures.len();
        if count > VALIDATORS_MAX {
            let (what, found) = ("the signatures of a certificate", count as u64);
            return Err(DecodeError::Limit { what, found, max: VALIDATORS_MAX as u64 });
        }
        let mut bytes = vec![VERSION];
        bytes.extend((count as u16).to_be_bytes());
        for (key, signature) in &self.signatures {
            bytes.extend(key);
            bytes.extend(signature);
        }
        Ok(bytes)
    }

    /// Reads a certificate's bytes.
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the certificate", bytes);
        let certificate = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(certificate)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version(VERSION)?;
        let count = reader.count("the signatures of a certificate", VALIDATORS_MAX)?;
        let mut signatures = Vec::new();
        for _ in 0..count {
            signatures.push((reader.array()?, reader.array()?));
        }
        Ok(Self { signatures })
    }
}

/// How many of `validators` must sign: more than two thirds, so that two quorums share an honest one while less than a
/// third is faulty.
#[must_use]
pub fn quorum(validators: usize) -> usize {
    validators * 2 / 3 + 1
}

fn message(header_hash: &Hash) -> Vec<u8> {
    [DOMAIN, header_hash].concat()
}
