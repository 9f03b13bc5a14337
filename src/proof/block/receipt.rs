//! Receipts: what came of a transaction. A block may hold a transaction that was refused; only its receipt tells.

use crate::hash::{Hash, Sha256, TreeHash, sha256};
use crate::merkle;
use crate::wire::{DecodeError, Reader};

/// The version of the layout.
const VERSION: u8 = 1;
/// Precedes number and tree root of a block's receipts where they are hashed.
const DOMAIN: &[u8] = b"lucid.receipts/v1\n";

/// What came of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The recording is on record.
    Anchored = 1,
    /// The session had been anchored before; the first anchor stays the valid one.
    AlreadyAnchored = 2,
    /// The sender has no right to anchor.
    NotPermitted = 3,
}

impl Outcome {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Anchored, Self::AlreadyAnchored, Self::NotPermitted].into_iter().find(|outcome| *outcome as u8 == byte)
    }
}

/// What came of one transaction; at the same index in the receipt tree as the transaction in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction's id.
    pub transaction: Hash,
    /// What came of it.
    pub outcome: Outcome,
}

impl Receipt {
    /// The receipt's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.transaction);
        bytes.push(self.outcome as u8);
        bytes
    }

    /// Reads a receipt's bytes.
    ///
    /// # Errors
    /// Says where the bytes differ from the layout.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("the receipt", bytes);
        reader.version(VERSION)?;
        let transaction = reader.array()?;
        let outcome = Outcome::from_byte(reader.u8()?)
            .ok_or(DecodeError::Value { what: "the outcome of the receipt", problem: "is unknown" })?;
        reader.finish()?;
        Ok(Self { transaction, outcome })
    }

    /// The receipt as a leaf of its block's receipt tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        Sha256::leaf(&self.encode())
    }
}

/// What a header commits to about its receipts: their number and the root of the SHA-256 tree over their bytes.
#[must_use]
pub fn receipts_root(receipts: &[Receipt]) -> Hash {
    let leaves: Vec<_> = receipts.iter().map(Receipt::leaf).collect();
    receipts_commitment(leaves.len() as u64, &merkle::root::<Sha256>(&leaves))
}

/// [`receipts_root`] from the tree's size and root. The size is hashed too, because a Merkle path does not bind it.
#[must_use]
pub fn receipts_commitment(size: u64, root: &Hash) -> Hash {
    sha256(&[DOMAIN, &size.to_be_bytes(), root])
}
