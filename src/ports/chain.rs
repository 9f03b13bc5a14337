//! The chain as its readers see it.

use async_trait::async_trait;
use lucid_proof::{
    block::{Block, Genesis},
    export::Proof,
    hash::Hash,
    note::VerifierKey,
    time::Timestamp,
};
use serde::Serialize;

use crate::SessionId;

/// The newest block.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Head {
    /// Height; the genesis block is 0.
    pub height: u64,
    /// Hash of its header, lower-case hexadecimal.
    pub hash: String,
    /// Its time.
    pub time: Timestamp,
    /// Transactions waiting for a block.
    pub mempool: u64,
    /// Anchors in the chain so far.
    pub anchors: u64,
}

/// One line in a list of blocks.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct BlockSummary {
    /// Height.
    pub height: u64,
    /// Hash of the header, lower-case hexadecimal.
    pub hash: String,
    /// Its time.
    pub time: Timestamp,
    /// Number of transactions.
    pub transactions: u64,
}

/// What proves a session's anchor to somebody outside.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// From the transaction to the log of headers, at the size of `checkpoint`.
    pub proof: Proof,
    /// The signed checkpoint (C2SP tlog-checkpoint) of the present head.
    pub checkpoint: String,
}

/// How a validation of the whole chain stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum ValidationState {
    /// Not run since the start.
    #[default]
    Never,
    /// Running.
    Running {
        /// Blocks checked so far.
        checked: u64,
    },
    /// Every block is right.
    Valid,
    /// Some block is wrong.
    Invalid {
        /// The first wrong height.
        height: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// A validation and what it covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Validation {
    /// How it stands.
    #[serde(flatten)]
    pub state: ValidationState,
    /// Blocks in the chain when it started.
    pub blocks: u64,
    /// When it ended or was last heard of, in milliseconds of Unix time; 0 for never.
    pub at_ms: u64,
}

/// Why the chain gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The height or range is beyond the head, or the order is wrong.
    #[error("{0}")]
    OutOfRange(String),
    /// The service does not run, or its store failed.
    #[error("the chain is not available: try again in a moment")]
    Unavailable,
}

/// Reads of the chain.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The newest block, or nothing while the chain does not run.
    fn head(&self) -> Option<Head>;
    /// The genesis that names the chain and its validators.
    async fn genesis(&self) -> Result<Genesis, ChainError>;
    /// The key that signs checkpoints and blocks, to be published.
    async fn key(&self) -> Result<VerifierKey, ChainError>;
    /// The block at `height`.
    async fn block(&self, height: u64) -> Result<Option<Block>, ChainError>;
    /// At most `limit` (1 to 1000) blocks below `before`, newest first.
    async fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<BlockSummary>, ChainError>;
    /// Height and position in its block of the session's anchor.
    async fn anchor(&self, session: SessionId) -> Result<Option<(u64, u32)>, ChainError>;
    /// What proves the session's anchor, against the present head; nothing while it is in no block. `also` are signed
    /// checkpoints of ours, handed out earlier, that the proof is to hold for, too; those older than the block are
    /// left out.
    async fn evidence(&self, session: SessionId, also: &[String]) -> Result<Option<Evidence>, ChainError>;
    /// The signed head of the log of headers.
    async fn checkpoint(&self) -> Result<String, ChainError>;
    /// Consistency path (RFC 9162) from the log of `old` headers to that of `new`.
    async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ChainError>;
    /// How the last validation of the whole chain stands.
    fn validation(&self) -> Validation;
    /// Starts a validation of the whole chain; one already running goes on.
    async fn validate(&self) -> Result<(), ChainError>;
}
