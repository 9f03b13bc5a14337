//! Transactions: what a sender asks the chain to do, and the sender's signature.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::hash::{Hash, Sha256, TreeHash, sha256};
use crate::time::decode_unix_ms;
use crate::wire::{DecodeError, Reader};

/// The version of the layout.
const VERSION: u8 = 1;
/// The kind byte of an anchor.
const ANCHOR: u8 = 1;
/// Precedes a transaction where it is signed.
const DOMAIN: &[u8] = b"lucid.transaction/v1\n";
/// The largest encoded transaction; an anchor has 210 bytes.
pub const TRANSACTION_BYTES_MAX: usize = 4096;

/// What a transaction asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// To put a recording on record.
    Anchor(Anchor),
}

/// The statement that a recording is complete and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The session's UUID.
    pub session: [u8; 16],
    /// The root over the chunks (BLAKE3 tree).
    pub root: Hash,
    /// SHA-256 of the signed manifest, byte for byte as it lies in the export.
    pub manifest: Hash,
    /// How many chunks.
    pub chunks: u64,
    /// How many bytes were recorded, before compression and encryption.
    pub bytes: u64,
    /// When the recording began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
}

/// A transaction with its sender's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What is asked for.
    pub tx: Transaction,
    /// The sender's public key.
    pub sender: [u8; 32],
    /// The sender's Ed25519 signature over domain, chain id and everything before the signature.
    pub signature: [u8; 64],
}

/// Why a transaction's signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The sender is not a public key.
    #[error("the sender is no Ed25519 key")]
    Sender,
    /// The signature does not fit transaction, sender and chain.
    #[error("the signature does not fit transaction, sender and chain")]
    Signature,
}

impl SignedTransaction {
    /// Signs a transaction for one chain; on no other chain is it valid.
    #[must_use]
    pub fn sign(tx: Transaction, chain_id: &Hash, key: &SigningKey) -> Self {
        let sender = key.verifying_key().to_bytes();
        let signature = key.sign(&message(chain_id, &body(&tx, &sender))).to_bytes();
        Self { tx, sender, signature }
    }

    /// Checks the sender's signature for this chain.
    ///
    /// # Errors
    /// Says whether sender or signature is wrong.
    pub fn verify(&self, chain_id: &Hash) -> Result<(), TransactionError> {
        let key = VerifyingKey::from_bytes(&self.sender).map_err(|_| TransactionError::Sender)?;
        let message = message(chain_id, &body(&self.tx, &self.sender));
        key.verify_strict(&message, &Signature::from_bytes(&self.signature)).map_err(|_| TransactionError::Signature)
    }

    /// The transaction's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = body(&self.tx, &self.sender);
        bytes.extend(self.signature);
        bytes
    }

    /// Reads a transaction's bytes; the signature is not checked yet.
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the transaction", bytes);
        reader.version(VERSION)?;
        let tx = match reader.u8()? {
            ANCHOR => Transaction::Anchor(Anchor::read(&mut reader)?),
            _ => return Err(DecodeError::Value { what: "the kind of the transaction", problem: "is unknown" }),
        };
        let transaction = Self { tx, sender: reader.array()?, signature: reader.array()? };
        reader.finish()?;
        Ok(transaction)
    }

    /// The transaction's name: SHA-256 of its bytes.
    #[must_use]
    pub fn id(&self) -> Hash {
        sha256(&[&self.encode()])
    }

    /// The transaction as a leaf of its block's transaction tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        Sha256::leaf(&self.encode())
    }
}

impl Anchor {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.session);
        bytes.extend(self.root);
        bytes.extend(self.manifest);
        for number in [self.chunks, self.bytes, self.started_ms, self.ended_ms] {
            bytes.extend(number.to_be_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            session: reader.array()?,
            root: reader.array()?,
            manifest: reader.array()?,
            chunks: reader.u64()?,
            bytes: reader.u64()?,
            started_ms: decode_unix_ms(reader)?,
            ended_ms: decode_unix_ms(reader)?,
        })
    }
}

/// Everything before the signature.
fn body(tx: &Transaction, sender: &[u8; 32]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    match tx {
        Transaction::Anchor(anchor) => {
            bytes.push(ANCHOR);
            anchor.write(&mut bytes);
        }
    }
    bytes.extend(sender);
    bytes
}

fn message(chain_id: &Hash, body: &[u8]) -> Vec<u8> {
    [DOMAIN, chain_id, body].concat()
}
