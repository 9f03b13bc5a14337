//! Makes the next block.
//!
//! Reads one state of the store, runs the waiting transactions, signs, and writes the block with everything it changes in
//! one transaction of the store: header, transactions, receipts, index, log nodes, head, checkpoint, and the removal from
//! the mempool. Cost is O(transactions · log n). There must be one producer a store.
//!
//! A crash loses at most a block that nobody saw: nothing of it leaves before the commit. Must never put a transaction
//! into a block whose signature does not hold; such a row is dropped, and logged.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use lucid_proof::{
    DecodeError,
    block::{
        Genesis, GenesisError, Outcome, Receipt, SignedTransaction, TRANSACTIONS_MAX, Transaction, receipts_root,
        transactions_root,
    },
    checkpoint::{Checkpoint, CheckpointError},
    hash::{Hash, Sha256},
    merkle::{Frontier, new_nodes},
    note::{NoteError, Signer},
    time::Timestamp,
};
use lucid_store::{ReadTx, Reader, Store, StoreError, WriteTx};

use crate::{
    ChainStore, OpenError, ReadError,
    chain_store::{head_row, sealed},
    ordering::{Draft, Ordering, OrderingError, SingleSigner},
    rows::{
        ANCHORS, CHECKPOINT, GENESIS, HEAD, HEADERS, HeadRow, LOG_NODES, MEMPOOL, MEMPOOL_SESSIONS, ONLY, Place,
        RECEIPTS, SealedHeader, TRANSACTIONS,
    },
    state::{ApplyError, Context, KnownAnchors, State},
};

/// Makes blocks of one chain.
pub struct Producer {
    chain: Arc<ChainStore>,
    ordering: Box<dyn Ordering>,
    signer: Signer,
}

/// A block was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// Its height.
    pub height: u64,
    /// Its time; `Held` if the clock was behind its parent.
    pub time: Timestamp,
    /// Number of its transactions.
    pub transactions: usize,
    /// The signed checkpoint of the log that ends with it.
    pub checkpoint: String,
}

/// Why no block was made. The chain is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The genesis breaks a rule.
    #[error("beginning a chain")]
    Genesis(#[from] GenesisError),
    /// The chain could not be opened.
    #[error("opening the chain that was begun")]
    Open(#[from] OpenError),
    /// The store failed.
    #[error("writing the block")]
    Store(#[from] StoreError),
    /// The chain could not be read.
    #[error("reading the head of the chain")]
    Read(#[from] ReadError),
    /// A transaction that was checked did not run.
    #[error("running the transactions of block {height}")]
    Apply {
        /// Its height.
        height: u64,
        /// What the state machine says.
        #[source]
        source: ApplyError<StoreError>,
    },
    /// Nobody stands behind the block.
    #[error("certifying the block")]
    Ordering(#[from] OrderingError),
    /// The checkpoint could not be signed.
    #[error("signing the checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The chain's name can't name a key.
    #[error("naming the chain's key")]
    Name(#[from] NoteError),
    /// Somebody else wrote a block: two producers.
    #[error("block {height} is there already: another producer writes this chain")]
    Overtaken {
        /// The height.
        height: u64,
    },
}

/// What the next block builds on.
struct Base {
    height: u64,
    parent: Hash,
    log: Frontier<Sha256>,
    state: State,
}

/// A waiting transaction that the block takes.
struct Taken {
    sequence: u64,
    transaction: SignedTransaction,
}

/// The waiting transactions: those for the block, and rows that can't be in any.
#[derive(Default)]
struct Pending {
    taken: Vec<Taken>,
    spoilt: Vec<u64>,
}

/// A block that is made and not yet written.
struct Next {
    sealed: SealedHeader,
    transactions: Vec<SignedTransaction>,
    receipts: Vec<Receipt>,
    nodes: Vec<(u8, u64, Hash)>,
    head: HeadRow,
    checkpoint: String,
    sequences: Vec<u64>,
    spoilt: Vec<u64>,
}

impl Producer {
    /// A producer for `chain`, which one appliance with this key orders.
    ///
    /// # Errors
    /// [`ProduceError::Name`].
    pub fn new(chain: Arc<ChainStore>, key: &SigningKey) -> Result<Self, ProduceError> {
        let signer = Signer::new(chain.genesis().chain(), key.clone())?;
        Ok(Self { chain, ordering: Box::new(SingleSigner::new(key.clone())), signer })
    }

    /// Begins a chain in an empty store: genesis and block 0 in one transaction. Blocking.
    ///
    /// # Errors
    /// [`ProduceError`]; the store is then still empty.
    pub fn begin(store: Store, name: &str, time: Timestamp, key: &SigningKey) -> Result<Self, ProduceError> {
        let own = key.verifying_key().to_bytes();
        let genesis = Genesis::new(name, vec![own], time)?;
        let bytes = genesis.encode();
        let chain = Arc::new(ChainStore::with_genesis(store, genesis, &own)?);
        let producer = Self::new(chain.clone(), key)?;
        let base = Base { height: 0, parent: [0; 32], log: Frontier::new(), state: State::new() };
        let next = producer.build(base, time, Pending::default())?;
        chain.store().write_blocking(move |tx| {
            if tx.contains(&GENESIS, &ONLY)? {
                return Err(ProduceError::Overtaken { height: 0 });
            }
            tx.put(&GENESIS, &ONLY, &bytes)?;
            next.write(tx)
        })?;
        Ok(producer)
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Arc<ChainStore> {
        &self.chain
    }

    /// Makes the next block of at most 1000 waiting transactions, and writes it. Blocking.
    ///
    /// Its time is `now`, or one millisecond after its parent's if that is later; the trust is then `Held`.
    ///
    /// # Errors
    /// [`ProduceError`]; the chain is as it was.
    pub fn produce(&self, now: Timestamp) -> Result<Produced, ProduceError> {
        let (base, time, pending) = self.chain.store().read(|tx| -> Result<_, ProduceError> {
            let HeadRow { height, hash, log, state } = head_row(tx)?;
            let time = sealed(tx, height)?.header.time.unix_ms;
            let base = Base { height: height + 1, parent: hash, log, state };
            Ok((base, after(time, now), self.pending(tx)?))
        })?;
        let next = self.build(base, time, pending)?;
        let produced = Produced {
            height: next.head.height,
            time,
            transactions: next.transactions.len(),
            checkpoint: next.checkpoint.clone(),
        };
        self.chain.store().write_blocking(move |tx| next.write_on_parent(tx))?;
        Ok(produced)
    }

    /// The next waiting transactions, each checked again: the disk may have spoilt a row since it was taken.
    fn pending(&self, tx: &impl Reader) -> Result<Pending, StoreError> {
        let mut pending = Pending::default();
        for (sequence, bytes) in tx.range(&MEMPOOL, .., TRANSACTIONS_MAX)? {
            match self.readable(&bytes) {
                Ok(transaction) => pending.taken.push(Taken { sequence, transaction }),
                Err(problem) => {
                    tracing::error!(sequence, problem, "a waiting transaction was damaged on disk and is dropped");
                    pending.spoilt.push(sequence);
                }
            }
        }
        Ok(pending)
    }

    fn readable(&self, bytes: &[u8]) -> Result<SignedTransaction, String> {
        let transaction = SignedTransaction::decode(bytes).map_err(|error: DecodeError| error.to_string())?;
        transaction.verify(self.chain.chain_id()).map_err(|error| error.to_string())?;
        Ok(transaction)
    }

    fn build(&self, base: Base, time: Timestamp, pending: Pending) -> Result<Next, ProduceError> {
        let Base { height, parent, mut log, state } = base;
        let (sequences, transactions): (Vec<_>, Vec<_>) =
            pending.taken.into_iter().map(|taken| (taken.sequence, taken.transaction)).unzip();
        let context = Context { chain_id: self.chain.chain_id(), permitted: self.ordering.validators() };
        let applied = (self.chain.store())
            .read(|tx| Ok::<_, StoreError>(state.apply(context, &Indexed(tx), &transactions)))?
            .map_err(|source| ProduceError::Apply { height, source })?;
        let header = self.ordering.propose(Draft {
            chain_id: *self.chain.chain_id(),
            height,
            parent,
            time,
            tx_root: transactions_root(&transactions),
            receipts_root: receipts_root(&applied.receipts),
            state_root: applied.state.root(),
        });
        let certificate = self.ordering.certify(&header)?;
        let leaf = header.log_leaf();
        let nodes = new_nodes(&log, leaf);
        log.push(leaf);
        let checkpoint = Checkpoint {
            origin: self.chain.genesis().chain().to_owned(),
            size: log.size(),
            root: log.root(),
            extensions: Vec::new(),
        };
        let head = HeadRow { height, hash: header.hash(), log, state: applied.state };
        // Exact: a block has at most TRANSACTIONS_MAX transactions.
        let sealed = SealedHeader { header, certificate, transactions: transactions.len() as u32 };
        let checkpoint = checkpoint.sign(&[&self.signer])?;
        let (receipts, spoilt) = (applied.receipts, pending.spoilt);
        Ok(Next { sealed, transactions, receipts, nodes, head, checkpoint, sequences, spoilt })
    }
}

impl Next {
    fn write_on_parent(&self, tx: &mut WriteTx<'_>) -> Result<(), ProduceError> {
        let height = self.head.height;
        if head_row(tx)?.hash != self.sealed.header.parent {
            return Err(ProduceError::Overtaken { height });
        }
        self.write(tx)
    }

    fn write(&self, tx: &mut WriteTx<'_>) -> Result<(), ProduceError> {
        let height = self.head.height;
        tx.put(&HEADERS, &height, &self.sealed)?;
        for (index, (transaction, receipt)) in (0_u32..).zip(self.transactions.iter().zip(&self.receipts)) {
            tx.put(&TRANSACTIONS, &(height, index), transaction)?;
            tx.put(&RECEIPTS, &(height, index), receipt)?;
            let Transaction::Anchor(anchor) = &transaction.tx;
            if receipt.outcome == Outcome::Anchored {
                tx.put(&ANCHORS, &anchor.session, &Place { height, index })?;
            }
            tx.remove(&MEMPOOL_SESSIONS, &anchor.session)?;
        }
        for (level, index, hash) in self.nodes.iter().filter(|(level, ..)| *level > 0) {
            tx.put(&LOG_NODES, &(*level, *index), hash)?;
        }
        for sequence in self.sequences.iter().chain(&self.spoilt) {
            tx.remove(&MEMPOOL, sequence)?;
        }
        if !self.spoilt.is_empty() {
            self.forget_spoilt(tx)?;
        }
        tx.put(&CHECKPOINT, &ONLY, &self.checkpoint.clone().into_bytes())?;
        tx.put(&HEAD, &ONLY, &self.head)?;
        Ok(())
    }

    /// Removes what points to spoilt rows, so that their sessions can be anchored again. Rare, and bounded by
    /// [`crate::MEMPOOL_MAX`].
    fn forget_spoilt(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        for (session, sequence) in tx.range(&MEMPOOL_SESSIONS, .., usize::MAX)? {
            if self.spoilt.contains(&sequence) {
                tx.remove(&MEMPOOL_SESSIONS, &session)?;
            }
        }
        Ok(())
    }
}

/// Sessions that have a place in the index.
struct Indexed<'a, 'b>(&'a ReadTx<'b>);

impl KnownAnchors for Indexed<'_, '_> {
    type Error = StoreError;

    fn is_anchored(&self, session: &[u8; 16]) -> Result<bool, StoreError> {
        self.0.contains(&ANCHORS, session)
    }
}

/// `now`, or just after the parent when the clock is behind it.
fn after(parent_ms: u64, now: Timestamp) -> Timestamp {
    if now.unix_ms > parent_ms {
        return now;
    }
    Timestamp { unix_ms: parent_ms + 1, trust: lucid_proof::time::TimeTrust::Held }
}

#[cfg(test)]
mod tests;
