//! Checks the whole chain: every header, parent link, certificate, root and index, by doing the work again.
//!
//! Proceeds in steps of a bounded number of blocks, each on one state of the store, so that it can be paused anywhere and
//! never holds a reader for long. The last step reaches the head and checks what stands beside the blocks: head,
//! checkpoint, number of anchors. Finds what a disk spoils and what a hand changes, and names the first wrong height.
//! Must never repair, and never blame a block for an error of the disk while reading.

use std::convert::Infallible;

use lucid_proof::{
    block::{Outcome, Receipt, SignedTransaction, TRANSACTIONS_MAX, Transaction, receipts_root, transactions_root},
    checkpoint::Checkpoint,
    hash::{Hash, Sha256},
    merkle::{Frontier, new_nodes},
};
use lucid_store::{ReadTx, Reader, StoreError};

use crate::{
    ChainStore, SealedHeader, ordering,
    rows::{ANCHORS, CHECKPOINT, HEAD, HEADERS, LOG_NODES, ONLY, Place, RECEIPTS, TRANSACTIONS},
    state::{Context, KnownAnchors, State},
};

/// How far a validation has come.
#[derive(Debug, Clone)]
pub struct Cursor {
    next: u64,
    parent: Hash,
    parent_ms: Option<u64>,
    log: Frontier<Sha256>,
    state: State,
}

/// The first wrong block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its height.
    pub height: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub enum Step {
    /// There are further blocks.
    More(Cursor),
    /// The chain is right up to its head.
    Valid {
        /// Number of blocks checked.
        blocks: u64,
    },
}

/// Why a step did not complete.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A block is wrong.
    #[error("block {}: {}", .0.height, .0.reason)]
    Fault(Fault),
    /// The store could not be read; says nothing about the chain.
    #[error("reading the chain's store")]
    Store(#[from] StoreError),
}

/// A block's parts as they lie on disk.
struct Parts {
    sealed: SealedHeader,
    transactions: Vec<SignedTransaction>,
    receipts: Vec<Receipt>,
}

impl Cursor {
    /// Before the genesis block.
    #[must_use]
    pub fn new() -> Self {
        Self { next: 0, parent: [0; 32], parent_ms: None, log: Frontier::new(), state: State::new() }
    }

    /// Blocks checked so far.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.next
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks up to `blocks_max` further blocks. Blocking.
///
/// # Errors
/// [`StepError::Fault`] with the first wrong block; [`StepError::Store`] if the disk failed.
pub fn step(chain: &ChainStore, mut cursor: Cursor, blocks_max: u64) -> Result<Step, StepError> {
    chain.store().read(|tx| {
        let height = cursor.next;
        let Some(head) = readable(height, "head", tx.get(&HEAD, &ONLY))? else {
            return Err(fault(0, "the head is missing"));
        };
        let end = cursor.next.saturating_add(blocks_max).min(head.log.size());
        while cursor.next < end {
            check_block(chain, tx, &mut cursor)?;
        }
        if cursor.next < head.log.size() {
            return Ok(Step::More(cursor));
        }
        if (head.hash, &head.log, &head.state) != (cursor.parent, &cursor.log, &cursor.state) {
            return Err(fault(head.height, "the stored head does not follow from the blocks"));
        }
        check_checkpoint(chain, tx, &cursor)?;
        if tx.len(&ANCHORS)? != cursor.state.anchors() {
            return Err(fault(head.height, "the index of anchors holds anchors that no block accepted"));
        }
        Ok(Step::Valid { blocks: cursor.next })
    })
}

/// Checks the block at the cursor and moves on.
fn check_block(chain: &ChainStore, tx: &ReadTx<'_>, cursor: &mut Cursor) -> Result<(), StepError> {
    let height = cursor.next;
    let parts = parts(tx, height)?;
    let Parts { sealed, transactions, receipts } = &parts;
    let header = &sealed.header;
    check_links(cursor, &parts).map_err(|reason| fault(height, reason))?;
    ordering::verify(header, &sealed.certificate, chain.genesis())
        .map_err(|error| fault(height, lucid_error::chain(&error)))?;
    let context = Context { chain_id: chain.chain_id(), permitted: chain.genesis().validators() };
    let places = places(tx, height, transactions)?;
    let known = Places { height, transactions, places: &places };
    let applied = cursor.state.apply(context, &known, transactions);
    let applied = applied.map_err(|error| fault(height, lucid_error::chain(&error)))?;
    if applied.receipts != *receipts || receipts_root(receipts) != header.receipts_root {
        return Err(fault(height, "the receipts are not what the transactions come to"));
    }
    if applied.state.root() != header.state_root {
        return Err(fault(height, "the state root is not what the transactions come to"));
    }
    check_index(height, receipts, &places).map_err(|reason| fault(height, reason))?;
    check_log(tx, cursor, header.log_leaf())?;
    cursor.log.push(header.log_leaf());
    cursor.state = applied.state;
    cursor.parent = header.hash();
    cursor.parent_ms = Some(header.time.unix_ms);
    cursor.next += 1;
    Ok(())
}

/// What a header says about its place and its transactions.
fn check_links(cursor: &Cursor, parts: &Parts) -> Result<(), &'static str> {
    let header = &parts.sealed.header;
    if header.height != cursor.next {
        return Err("the header has another height");
    }
    if header.parent != cursor.parent {
        return Err("the header does not name its parent");
    }
    if cursor.parent_ms.is_some_and(|parent_ms| header.time.unix_ms <= parent_ms) {
        return Err("the block's time is not after its parent's");
    }
    if parts.transactions.len() != parts.sealed.transactions as usize {
        return Err("there are more or fewer transactions than the block has");
    }
    if transactions_root(&parts.transactions) != header.tx_root {
        return Err("the transactions are not those that the header commits to");
    }
    Ok(())
}

/// The index must say of every accepted anchor where it stands.
fn check_index(height: u64, receipts: &[Receipt], places: &[Option<Place>]) -> Result<(), &'static str> {
    for (index, (receipt, place)) in (0_u32..).zip(receipts.iter().zip(places)) {
        if receipt.outcome == Outcome::Anchored && *place != Some(Place { height, index }) {
            return Err("the index of anchors does not name an anchor of this block");
        }
    }
    Ok(())
}

/// The inner nodes that this header completed must be stored.
fn check_log(tx: &ReadTx<'_>, cursor: &Cursor, leaf: Hash) -> Result<(), StepError> {
    for (level, index, hash) in new_nodes(&cursor.log, leaf).into_iter().filter(|(level, ..)| *level > 0) {
        if readable(cursor.next, "log", tx.get(&LOG_NODES, &(level, index)))? != Some(hash) {
            return Err(fault(cursor.next, format!("node {index} of level {level} of the log is wrong")));
        }
    }
    Ok(())
}

/// The stored checkpoint must be signed, and speak of exactly these headers.
fn check_checkpoint(chain: &ChainStore, tx: &ReadTx<'_>, cursor: &Cursor) -> Result<(), StepError> {
    let height = cursor.next.saturating_sub(1);
    let note = tx.get(&CHECKPOINT, &ONLY)?.and_then(|note| String::from_utf8(note).ok());
    let note = note.ok_or_else(|| fault(height, "the checkpoint is missing or is not text"))?;
    let (checkpoint, _) = Checkpoint::open(&note, std::slice::from_ref(chain.key()))
        .map_err(|error| fault(height, lucid_error::chain(&error)))?;
    if (checkpoint.size, checkpoint.root) != (cursor.log.size(), cursor.log.root()) {
        return Err(fault(height, "the checkpoint does not follow from the blocks"));
    }
    Ok(())
}

fn parts(tx: &ReadTx<'_>, height: u64) -> Result<Parts, StepError> {
    let sealed = readable(height, "header", tx.get(&HEADERS, &height))?;
    let sealed = sealed.ok_or_else(|| fault(height, "the header is missing"))?;
    let all = (height, 0)..=(height, u32::MAX);
    // One more than a block may have is enough to see that there are too many.
    let transactions = readable(height, "transactions", tx.range(&TRANSACTIONS, all.clone(), TRANSACTIONS_MAX + 1))?;
    let receipts = readable(height, "receipts", tx.range(&RECEIPTS, all, TRANSACTIONS_MAX + 1))?;
    let in_order = |keys: &mut dyn Iterator<Item = u32>| keys.zip(0..).all(|(found, expected)| found == expected);
    let (tx_keys, receipt_keys) =
        (&mut transactions.iter().map(|row| row.0.1), &mut receipts.iter().map(|row| row.0.1));
    if !in_order(tx_keys) || !in_order(receipt_keys) {
        return Err(fault(height, "a transaction or a receipt is missing"));
    }
    let transactions = transactions.into_iter().map(|(_, transaction)| transaction).collect();
    let receipts = receipts.into_iter().map(|(_, receipt)| receipt).collect();
    Ok(Parts { sealed, transactions, receipts })
}

/// Where the index says that each transaction's session was anchored.
fn places(tx: &ReadTx<'_>, height: u64, transactions: &[SignedTransaction]) -> Result<Vec<Option<Place>>, StepError> {
    let place = |transaction: &SignedTransaction| {
        let Transaction::Anchor(anchor) = &transaction.tx;
        readable(height, "index of anchors", tx.get(&ANCHORS, &anchor.session))
    };
    transactions.iter().map(place).collect()
}

/// The index as it was before this block: an anchor counts as known if it stands in an earlier one. That each such place
/// is true was checked when its block was, and places in blocks that don't exist are found by their number at the end.
struct Places<'a> {
    height: u64,
    transactions: &'a [SignedTransaction],
    places: &'a [Option<Place>],
}

impl KnownAnchors for Places<'_> {
    type Error = Infallible;

    fn is_anchored(&self, session: &[u8; 16]) -> Result<bool, Infallible> {
        let same = |transaction: &SignedTransaction| {
            let Transaction::Anchor(anchor) = &transaction.tx;
            anchor.session == *session
        };
        let position = self.transactions.iter().position(same);
        let place = position.and_then(|position| self.places[position]);
        Ok(place.is_some_and(|place| place.height < self.height))
    }
}

/// Blames the block for a row that is not of its type, and the disk for everything else.
fn readable<T>(height: u64, what: &str, read: Result<T, StoreError>) -> Result<T, StepError> {
    read.map_err(|error| match error {
        StoreError::BadValue { .. } | StoreError::BadKey { .. } => {
            fault(height, format!("the {what} can't be read: {}", lucid_error::chain(&error)))
        }
        error => StepError::Store(error),
    })
}

fn fault(height: u64, reason: impl Into<String>) -> StepError {
    StepError::Fault(Fault { height, reason: reason.into() })
}

#[cfg(test)]
mod tests;
