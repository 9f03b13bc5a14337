//! Blocks of the chain: genesis, headers, transactions, receipts and the certificate of the validators.
//!
//! Every layout is fixed and big-endian and begins with a version byte; what is hashed or signed is preceded by a domain
//! string of its own, so that bytes of one kind never pass for another. `docs/formats.md` lists every field. This module
//! knows what blocks are made of and whether their signatures hold; it must never judge what a transaction does.

mod certificate;
mod genesis;
mod receipt;
mod transaction;

pub use certificate::{Certificate, CertificateError, quorum};
pub use genesis::{Genesis, GenesisError, VALIDATORS_MAX, validators_hash};
pub use receipt::{Outcome, Receipt, receipts_commitment, receipts_root};
pub use transaction::{Anchor, SignedTransaction, TRANSACTION_BYTES_MAX, Transaction, TransactionError};

use crate::hash::{Hash, Sha256, TreeHash, sha256};
use crate::merkle;
use crate::time::Timestamp;
use crate::wire::{DecodeError, Reader};

/// The version of headers and blocks.
const VERSION: u8 = 1;
/// Precedes a header where it is hashed.
const HEADER_DOMAIN: &[u8] = b"lucid.header/v1\n";
/// Precedes number and tree root of a block's transactions where they are hashed.
const TRANSACTIONS_DOMAIN: &[u8] = b"lucid.transactions/v1\n";
/// The size of an encoded header.
pub const HEADER_BYTES: usize = 242;
/// The most transactions in a block; at one block per 10 s far above what one appliance can record.
pub const TRANSACTIONS_MAX: usize = 1000;

/// The head of a block; it commits to everything else in the block but the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The chain: [`Genesis::hash`], the same in every header.
    pub chain_id: Hash,
    /// The number of blocks before this one.
    pub height: u64,
    /// The parent header's [`Header::hash`]; zeros at height 0.
    pub parent: Hash,
    /// When the proposer made the block; never before the parent's time.
    pub time: Timestamp,
    /// [`transactions_root`] of the block.
    pub tx_root: Hash,
    /// [`receipts_root`] of the block.
    pub receipts_root: Hash,
    /// The state after this block; opaque here.
    pub state_root: Hash,
    /// [`validators_hash`] of the set that certifies this block.
    pub validators: Hash,
    /// The public key of the validator that proposed the block.
    pub proposer: [u8; 32],
}

impl Header {
    /// The header's bytes; they are also the leaf of the log of headers, at the index `height`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.chain_id);
        bytes.extend(self.height.to_be_bytes());
        bytes.extend(self.parent);
        self.time.encode(&mut bytes);
        for hash in [&self.tx_root, &self.receipts_root, &self.state_root, &self.validators, &self.proposer] {
            bytes.extend(hash);
        }
        bytes
    }

    /// Reads a header's bytes.
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the header", bytes);
        reader.version(VERSION)?;
        let header = Self {
            chain_id: reader.array()?,
            height: reader.u64()?,
            parent: reader.array()?,
            time: Timestamp::decode(&mut reader)?,
            tx_root: reader.array()?,
            receipts_root: reader.array()?,
            state_root: reader.array()?,
            validators: reader.array()?,
            proposer: reader.array()?,
        };
        reader.finish()?;
        Ok(header)
    }

    /// What children and certificates refer to.
    #[must_use]
    pub fn hash(&self) -> Hash {
        sha256(&[HEADER_DOMAIN, &self.encode()])
    }

    /// The header as a leaf of the log of headers.
    #[must_use]
    pub fn log_leaf(&self) -> Hash {
        Sha256::leaf(&self.encode())
    }
}

/// A whole block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its head.
    pub header: Header,
    /// The validators' signatures over the head.
    pub certificate: Certificate,
    /// What it holds, in order of execution; at most [`TRANSACTIONS_MAX`].
    pub transactions: Vec<SignedTransaction>,
}

impl Block {
    /// The block's bytes.
    ///
    /// # Errors
    /// [`DecodeError::Limit`] if there are too many transactions or signatures to be read back.
    pub fn encode(&self) -> Result<Vec<u8>, DecodeError> {
        let count = self.transactions.len();
        if count > TRANSACTIONS_MAX {
            return Err(transactions_above(count));
        }
        let mut bytes = vec![VERSION];
        bytes.extend(self.header.encode());
        bytes.extend(self.certificate.encode()?);
        // Both casts are exact: the limits lie far below 65536.
        bytes.extend((count as u16).to_be_bytes());
        for transaction in &self.transactions {
            let transaction = transaction.encode();
            bytes.extend((transaction.len() as u16).to_be_bytes());
            bytes.extend(transaction);
        }
        Ok(bytes)
    }

    /// Reads a block's bytes. The layout is checked, not the roots: see [`Block::check_transactions`].
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the block", bytes);
        reader.version(VERSION)?;
        let header = Header::decode(reader.slice(HEADER_BYTES)?)?;
        let certificate = Certificate::read(&mut reader)?;
        let count = reader.count("the transactions of a block", TRANSACTIONS_MAX)?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            let length = reader.count("the bytes of a transaction", TRANSACTION_BYTES_MAX)?;
            transactions.push(SignedTransaction::decode(reader.slice(length)?)?);
        }
        reader.finish()?;
        Ok(Self { header, certificate, transactions })
    }

    /// Whether the transactions are those that the header commits to.
    #[must_use]
    pub fn check_transactions(&self) -> bool {
        transactions_root(&self.transactions) == self.header.tx_root
    }
}

/// What a header commits to about its transactions: their number and the root of the SHA-256 tree over their bytes.
#[must_use]
pub fn transactions_root(transactions: &[SignedTransaction]) -> Hash {
    let leaves: Vec<_> = transactions.iter().map(SignedTransaction::leaf).collect();
    transactions_commitment(leaves.len() as u64, &merkle::root::<Sha256>(&leaves))
}

/// [`transactions_root`] from the tree's size and root. The size is hashed too, because a Merkle path does not bind it.
#[must_use]
pub fn transactions_commitment(size: u64, root: &Hash) -> Hash {
    sha256(&[TRANSACTIONS_DOMAIN, &size.to_be_bytes(), root])
}

fn transactions_above(count: usize) -> DecodeError {
    DecodeError::Limit { what: "the transactions of a block", found: count as u64, max: TRANSACTIONS_MAX as u64 }
}

#[cfg(test)]
mod tests;
