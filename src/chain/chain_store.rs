//! The chain on disk, as its readers see it.
//!
//! Every method reads one consistent state of the store, beside whatever is written. All are blocking: call them from
//! `spawn_blocking`. Proofs cost O(log n) look-ups. Reading must never write: blocks come from [`crate::Producer`],
//! waiting transactions through the engine.

use std::{path::Path, sync::Arc};

use lucid_ports::{BlockSummary, Head};
use lucid_proof::{
    DecodeError,
    block::{Block, Genesis},
    hash::Hash,
    merkle::{FromNodesError, Nodes},
    note::{NoteError, VerifierKey},
};
use lucid_store::{Options, Reader, Store, StoreError};

use crate::{
    rows::{
        ANCHORS, CHECKPOINT, GENESIS, HEAD, HEADERS, HeadRow, LOG_NODES, MEMPOOL, ONLY, Place, SCHEMA, SealedHeader,
    },
    rows::{TRANSACTIONS, UNCLEAN},
    view::hex,
};

/// Most blocks in one answer: a page of a list, and at 350 bytes a header still below a megabyte.
pub(crate) const LIST_MAX: usize = 1000;

/// One chain, open.
pub struct ChainStore {
    store: Store,
    genesis: Genesis,
    chain_id: Hash,
    key: VerifierKey,
}

/// Why a store is not a chain that this appliance can go on with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store could not be opened or read.
    #[error("opening the chain's store")]
    Store(#[from] StoreError),
    /// The genesis can't be read.
    #[error("the genesis in `{path}` is damaged: restore a backup of the chain")]
    Genesis {
        /// The store's file.
        path: String,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The chain was begun by another appliance.
    #[error(
        "`{path}` holds the chain `{chain}` of another appliance (validators {validators}), and this one has the key \
         {own}: take the disk over on the dashboard's page Storage, put it back into its appliance, or adopt an empty \
         one; it was left untouched"
    )]
    Foreign {
        /// The store's file.
        path: String,
        /// The chain's name.
        chain: String,
        /// Its validators, lower-case hexadecimal.
        validators: String,
        /// This appliance's public key.
        own: String,
    },
    /// The chain's name can't name a key. Only a damaged genesis has one.
    #[error("the chain's key has no valid name")]
    Key(#[source] NoteError),
}

/// Why the chain gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error("reading the chain's store")]
    Store(#[from] StoreError),
    /// A row is missing that must be there.
    #[error("the chain's store has no {what} at {height}: validate the chain")]
    Hole {
        /// What is missing.
        what: &'static str,
        /// At which height.
        height: u64,
    },
    /// The checkpoint is not text.
    #[error("the stored checkpoint is damaged")]
    Checkpoint(#[source] std::string::FromUtf8Error),
    /// What was asked for is not in the chain.
    #[error("{0}")]
    OutOfRange(String),
}

impl ChainStore {
    /// Opens the store at `path`; makes it if it never was there.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_store(path: &Path) -> Result<Store, StoreError> {
        Self::open_store_with(path, Options::default())
    }

    /// The same with options of one's own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_store_with(path: &Path, options: Options) -> Result<Store, StoreError> {
        Store::open(path, &SCHEMA, options)
    }

    /// Height of the newest block in `store`, whoever began its chain; nothing if none was begun.
    ///
    /// # Errors
    /// The store's.
    pub fn height_in(store: &Store) -> Result<Option<u64>, StoreError> {
        Ok(store.read(|tx| tx.get(&HEAD, &ONLY))?.map(|head| head.height))
    }

    /// The chain in `store`, if it was begun. `own` is this appliance's public key.
    ///
    /// # Errors
    /// [`OpenError`], in particular when another appliance began it.
    pub fn load(store: Store, own: &[u8; 32]) -> Result<Option<Self>, OpenError> {
        let path = store.path().display().to_string();
        let Some(bytes) = store.read(|tx| tx.get(&GENESIS, &ONLY))? else { return Ok(None) };
        let genesis = Genesis::decode(&bytes).map_err(|source| OpenError::Genesis { path: path.clone(), source })?;
        if genesis.validators() != [*own] {
            let validators = genesis.validators().iter().map(|key| hex(key)).collect::<Vec<_>>().join(", ");
            return Err(OpenError::Foreign { path, chain: genesis.chain().to_owned(), validators, own: hex(own) });
        }
        Self::with_genesis(store, genesis, own).map(Some)
    }

    /// The chain that `genesis` begins.
    pub(crate) fn with_genesis(store: Store, genesis: Genesis, own: &[u8; 32]) -> Result<Self, OpenError> {
        let key = VerifierKey::from_bytes(genesis.chain(), own).map_err(OpenError::Key)?;
        Ok(Self { store, chain_id: genesis.hash(), genesis, key })
    }

    /// What the chain began with.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The chain's identity: the hash of its genesis.
    #[must_use]
    pub fn chain_id(&self) -> &Hash {
        &self.chain_id
    }

    /// The key that signs blocks and checkpoints, under the chain's name.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The store, for backups.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the engine did not stop in an orderly way and the chain was not validated since.
    pub(crate) fn is_unclean(&self) -> Result<bool, StoreError> {
        self.store.read(|tx| tx.contains(&UNCLEAN, &ONLY))
    }

    /// Notes that the engine runs, until [`ChainStore::mark_clean`].
    pub(crate) fn mark_unclean(&self) -> Result<(), StoreError> {
        self.store.write_blocking(|tx| tx.put(&UNCLEAN, &ONLY, &Vec::new()))
    }

    /// Notes an orderly stop.
    pub(crate) fn mark_clean(&self) -> Result<(), StoreError> {
        self.store.write_blocking(|tx| tx.remove(&UNCLEAN, &ONLY).map(|_| ()))
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn head(&self) -> Result<Head, ReadError> {
        self.store.read(|tx| {
            let head = head_row(tx)?;
            let sealed = sealed(tx, head.height)?;
            Ok(Head {
                height: head.height,
                hash: hex(&head.hash),
                time: sealed.header.time,
                mempool: tx.len(&MEMPOOL)?,
                anchors: head.state.anchors(),
            })
        })
    }

    /// Header and certificate at `height`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn sealed_header(&self, height: u64) -> Result<Option<SealedHeader>, ReadError> {
        Ok(self.store.read(|tx| tx.get(&HEADERS, &height))?)
    }

    /// The block at `height`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn block(&self, height: u64) -> Result<Option<Block>, ReadError> {
        self.store.read(|tx| block(tx, height))
    }

    /// At most `limit` (1 to 1000) blocks below `before`, the newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<BlockSummary>, ReadError> {
        if limit == 0 || limit > LIST_MAX {
            return Err(ReadError::OutOfRange(format!("limit is {limit}, it must be from 1 to {LIST_MAX}")));
        }
        let rows = self.store.read(|tx| tx.range_rev(&HEADERS, ..before.unwrap_or(u64::MAX), limit))?;
        let summary = |(height, sealed): (u64, SealedHeader)| BlockSummary {
            height,
            hash: hex(&sealed.header.hash()),
            time: sealed.header.time,
            transactions: u64::from(sealed.transactions),
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    /// Where the anchor of `session` stands.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn anchor(&self, session: &[u8; 16]) -> Result<Option<Place>, ReadError> {
        Ok(self.store.read(|tx| tx.get(&ANCHORS, session))?)
    }

    /// The newest signed checkpoint (C2SP tlog-checkpoint).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn checkpoint(&self) -> Result<String, ReadError> {
        self.store.read(|tx| checkpoint(tx))
    }
}

/// The head's row, which every begun chain has.
pub(crate) fn head_row(tx: &impl Reader) -> Result<HeadRow, ReadError> {
    tx.get(&HEAD, &ONLY)?.ok_or(ReadError::Hole { what: "head", height: 0 })
}

/// Header and certificate of a height that must be there.
pub(crate) fn sealed(tx: &impl Reader, height: u64) -> Result<SealedHeader, ReadError> {
    tx.get(&HEADERS, &height)?.ok_or(ReadError::Hole { what: "header", height })
}

/// The block at `height`, put together from its parts.
pub(crate) fn block(tx: &impl Reader, height: u64) -> Result<Option<Block>, ReadError> {
    let Some(sealed) = tx.get(&HEADERS, &height)? else { return Ok(None) };
    let rows = tx.range(&TRANSACTIONS, (height, 0)..=(height, u32::MAX), usize::MAX)?;
    let transactions: Vec<_> = rows.into_iter().map(|(_, transaction)| transaction).collect();
    if transactions.len() != sealed.transactions as usize {
        return Err(ReadError::Hole { what: "complete list of transactions", height });
    }
    Ok(Some(Block { header: sealed.header, certificate: sealed.certificate, transactions }))
}

/// The newest signed checkpoint.
pub(crate) fn checkpoint(tx: &impl Reader) -> Result<String, ReadError> {
    let note = tx.get(&CHECKPOINT, &ONLY)?.ok_or(ReadError::Hole { what: "checkpoint", height: 0 })?;
    String::from_utf8(note).map_err(ReadError::Checkpoint)
}

/// What kept a proof from being made.
pub(crate) fn proof_error(error: FromNodesError<ReadError>) -> ReadError {
    match error {
        FromNodesError::Range(error) => ReadError::OutOfRange(format!("the chain has no such proof: {error}")),
        FromNodesError::Node { source, .. } => source,
    }
}

/// The nodes of the log of headers: inner ones are stored, leaves follow from the headers.
pub(crate) struct LogNodes<'a, R>(pub(crate) &'a R);

impl<R: Reader> Nodes for LogNodes<'_, R> {
    type Error = ReadError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, ReadError> {
        if level == 0 {
            return Ok(sealed(self.0, index)?.header.log_leaf());
        }
        // The height named is that of the first header below the node.
        let missing = ReadError::Hole { what: "node of the log", height: index << level };
        self.0.get(&LOG_NODES, &(level, index))?.ok_or(missing)
    }
}

/// Reads the lent chain on a thread that may block.
pub(crate) async fn read<T: Send + 'static>(
    chain: Arc<ChainStore>,
    work: impl FnOnce(&ChainStore) -> Result<T, ReadError> + Send + 'static,
) -> Option<Result<T, ReadError>> {
    let span = tracing::Span::current();
    let task = tokio::task::spawn_blocking(move || span.in_scope(|| work(&chain)));
    task.await.map_err(|error| tracing::error!(%error, "a read of the chain was lost")).ok()
}
