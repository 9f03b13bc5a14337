//! Transactions that wait for a block.
//!
//! Durable: a transaction is acknowledged once it is on disk, and it leaves in the same store transaction in which its
//! block arrives. One session has at most one anchor, waiting or in a block: the same one again is harmless, another one
//! is refused. Bounded by [`MEMPOOL_MAX`]. Must never hold a transaction that its block could not.

use lucid_ports::SessionId;
use lucid_proof::block::{Anchor, SignedTransaction, Transaction, TransactionError};
use lucid_store::{Reader, StoreError, WriteTx};

use crate::{
    ChainStore,
    chain_store::ReadError,
    rows::{ANCHORS, MEMPOOL, MEMPOOL_SESSIONS, Place, TRANSACTIONS},
};

/// Most transactions that wait: ten full blocks, or 2 MB.
pub const MEMPOOL_MAX: u64 = 10_000;

/// What became of a submitted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It waits for a block, durably.
    Pending,
    /// The same anchor is in a block already.
    Anchored {
        /// Height of that block.
        height: u64,
    },
}

/// Why a transaction was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The signature does not hold for this chain.
    #[error("the transaction is not signed for this chain")]
    Signature(#[source] TransactionError),
    /// The sender may not anchor.
    #[error("the sender of the transaction may not anchor recordings in this chain")]
    NotPermitted,
    /// Another anchor of the session waits or is in a block.
    #[error("session {0} has another anchor already")]
    Conflict(SessionId),
    /// Too many transactions wait.
    #[error("{MEMPOOL_MAX} transactions wait for a block already: try again in a minute")]
    Full,
    /// The chain is not continued.
    #[error("the chain is not continued: {0}")]
    Refused(String),
    /// The store failed.
    #[error("keeping the transaction")]
    Store(#[from] StoreError),
    /// The chain on disk could not be read.
    #[error("looking up the session's anchor")]
    Read(#[source] ReadError),
}

impl ChainStore {
    /// Queues a transaction durably. Blocking.
    ///
    /// # Errors
    /// [`SubmitError`]; the transaction was then not taken.
    pub fn submit(&self, transaction: SignedTransaction) -> Result<Submitted, SubmitError> {
        transaction.verify(self.chain_id()).map_err(SubmitError::Signature)?;
        if !self.genesis().validators().contains(&transaction.sender) {
            return Err(SubmitError::NotPermitted);
        }
        self.store().write_blocking(move |tx| enqueue(tx, &transaction))
    }

    /// How far the anchor of `session` has come; nothing if nobody submitted it. Blocking.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn submitted(&self, session: &[u8; 16]) -> Result<Option<Submitted>, ReadError> {
        self.store().read(|tx| {
            if let Some(Place { height, .. }) = tx.get(&ANCHORS, session)? {
                return Ok(Some(Submitted::Anchored { height }));
            }
            Ok(tx.contains(&MEMPOOL_SESSIONS, session)?.then_some(Submitted::Pending))
        })
    }

    /// Number of waiting transactions, and the place in the queue of the first. Blocking.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn waiting(&self) -> Result<(u64, Option<u64>), ReadError> {
        self.store().read(|tx| {
            let first = tx.first(&MEMPOOL)?.map(|(sequence, _)| sequence);
            Ok((tx.len(&MEMPOOL)?, first))
        })
    }
}

fn enqueue(tx: &mut WriteTx<'_>, transaction: &SignedTransaction) -> Result<Submitted, SubmitError> {
    let Transaction::Anchor(anchor) = &transaction.tx;
    if let Some(place) = tx.get(&ANCHORS, &anchor.session)? {
        return same_as_anchored(tx, anchor, place);
    }
    if let Some(sequence) = tx.get(&MEMPOOL_SESSIONS, &anchor.session)? {
        let waiting = tx.get(&MEMPOOL, &sequence)?.and_then(|bytes| SignedTransaction::decode(&bytes).ok());
        return match waiting {
            Some(waiting) if waiting.tx == transaction.tx => Ok(Submitted::Pending),
            Some(_) => Err(SubmitError::Conflict(SessionId::from_bytes(anchor.session))),
            // The row is damaged or gone: the transaction takes its place.
            None => insert(tx, anchor, transaction, sequence),
        };
    }
    if tx.len(&MEMPOOL)? >= MEMPOOL_MAX {
        return Err(SubmitError::Full);
    }
    let sequence = tx.last(&MEMPOOL)?.map_or(0, |(last, _)| last + 1);
    insert(tx, anchor, transaction, sequence)
}

fn insert(
    tx: &mut WriteTx<'_>,
    anchor: &Anchor,
    transaction: &SignedTransaction,
    sequence: u64,
) -> Result<Submitted, SubmitError> {
    tx.put(&MEMPOOL, &sequence, &transaction.encode())?;
    tx.put(&MEMPOOL_SESSIONS, &anchor.session, &sequence)?;
    Ok(Submitted::Pending)
}

fn same_as_anchored(tx: &impl Reader, anchor: &Anchor, place: Place) -> Result<Submitted, SubmitError> {
    let hole = ReadError::Hole { what: "anchor transaction", height: place.height };
    let anchored = tx.get(&TRANSACTIONS, &(place.height, place.index))?.ok_or(SubmitError::Read(hole))?;
    let Transaction::Anchor(anchored) = &anchored.tx;
    if anchored == anchor {
        Ok(Submitted::Anchored { height: place.height })
    } else {
        Err(SubmitError::Conflict(SessionId::from_bytes(anchor.session)))
    }
}
