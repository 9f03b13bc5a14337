//! The state machine: what transactions do.
//!
//! `apply` is a pure function of the state, the context and the transactions: it reads no clock, no disk and no
//! configuration of its own, so every replay of a chain comes to the same roots. New kinds of transactions become modules
//! beside the anchors, each with a sub-root of its own.
//!
//! State root: SHA-256("lucid.state/v1\n" || number of modules u16 || for each module in ascending order of its number:
//! number u16 || sub-root 32 bytes). Numbers are big-endian. Module 1, the anchors: the root of an RFC 6962 tree (SHA-256)
//! whose leaves are the accepted anchor transactions in the order of the chain; only its right edge is kept, so a block
//! costs O(its anchors · log n) however long the chain is.

use std::collections::HashSet;

use lucid_proof::{
    block::{Outcome, Receipt, SignedTransaction, Transaction, TransactionError},
    hash::{Hash, Sha256, sha256},
    merkle::{Frontier, MerkleError},
};

/// Precedes the sub-roots where they are hashed.
const DOMAIN: &[u8] = b"lucid.state/v1\n";
/// The number of the anchors' module.
const ANCHORS: u16 = 1;

/// What a block tells its transactions, beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The chain for which transactions must be signed.
    pub chain_id: &'a Hash,
    /// Public keys that may anchor recordings: the validators.
    pub permitted: &'a [[u8; 32]],
}

/// Tells which sessions earlier blocks anchored; too many to be kept in memory.
pub trait KnownAnchors {
    /// Why it could not tell.
    type Error;

    /// Whether an earlier block anchored `session`.
    ///
    /// # Errors
    /// What keeps the look-up from answering.
    fn is_anchored(&self, session: &[u8; 16]) -> Result<bool, Self::Error>;
}

/// The state after some block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    anchors: Frontier<Sha256>,
}

/// What a block's transactions did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The state after them.
    pub state: State,
    /// One receipt a transaction, in their order.
    pub receipts: Vec<Receipt>,
}

/// Why transactions can't stand in a block. What a transaction merely fails to achieve is in its receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError<E> {
    /// A signature does not hold; such a transaction makes its block invalid.
    #[error("transaction {index} is not validly signed for this chain")]
    Signature {
        /// Its position in the block.
        index: usize,
        /// What is wrong.
        #[source]
        source: TransactionError,
    },
    /// The anchored sessions could not be looked up.
    #[error("looking up the session of transaction {index}")]
    Known {
        /// Its position in the block.
        index: usize,
        /// What the look-up says.
        #[source]
        source: E,
    },
}

impl State {
    /// The state before any block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A state from its stored parts: the number of accepted anchors, and the peaks of their tree.
    ///
    /// # Errors
    /// If the number of peaks does not fit.
    pub fn from_parts(anchors: u64, peaks: Vec<Hash>) -> Result<Self, MerkleError> {
        Ok(Self { anchors: Frontier::from_parts(anchors, peaks)? })
    }

    /// Number of accepted anchors.
    #[must_use]
    pub fn anchors(&self) -> u64 {
        self.anchors.size()
    }

    /// The peaks of the tree of accepted anchors.
    #[must_use]
    pub fn anchor_peaks(&self) -> &[Hash] {
        self.anchors.peaks()
    }

    /// The root that headers commit to.
    #[must_use]
    pub fn root(&self) -> Hash {
        let modules: u16 = 1;
        sha256(&[DOMAIN, &modules.to_be_bytes(), &ANCHORS.to_be_bytes(), &self.anchors.root()])
    }

    /// Runs `transactions` in their order.
    ///
    /// # Errors
    /// [`ApplyError`], and nothing has changed.
    pub fn apply<K: KnownAnchors>(
        &self,
        context: Context<'_>,
        known: &K,
        transactions: &[SignedTransaction],
    ) -> Result<Applied, ApplyError<K::Error>> {
        let mut state = self.clone();
        let mut in_this_block = HashSet::new();
        let mut receipts = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            transaction.verify(context.chain_id).map_err(|source| ApplyError::Signature { index, source })?;
            let Transaction::Anchor(anchor) = &transaction.tx;
            let session = anchor.session;
            let earlier = known.is_anchored(&session).map_err(|source| ApplyError::Known { index, source })?;
            let outcome = if !context.permitted.contains(&transaction.sender) {
                Outcome::NotPermitted
            } else if earlier || !in_this_block.insert(session) {
                Outcome::AlreadyAnchored
            } else {
                state.anchors.push(transaction.leaf());
                Outcome::Anchored
            };
            receipts.push(Receipt { transaction: transaction.id(), outcome });
        }
        Ok(Applied { state, receipts })
    }
}

#[cfg(test)]
mod tests;
