//! The chain: blockchain-engine, session-anchoring, block-manager.
//!
//! ```text
//! sessions --Anchoring--> session-anchoring --Submit--> blockchain-engine --lends ChainStore--> readers
//!                                                               ^                                  |
//!                                                               +---------- block-manager <--------+
//! ```
//!
//! [`state`] decides what transactions do: a pure function, the same on every replay. [`ordering`] decides who makes a
//! block final. [`ChainStore`] is the chain on disk, [`Producer`] makes its next block. The engine alone writes; it lends
//! the store, so that reads never queue behind the making of blocks.
//!
//! What is acknowledged is on disk: a submitted transaction in the mempool, a block with everything it changes in one
//! transaction of the store. An old copy of the data disk is not continued: see [`witness`].
//!
//! Must never: begin a second chain over what is on the disk, let a validation delay a block, or put a transaction into a
//! block whose signature does not hold.

mod anchoring;
mod block_manager;
mod chain_store;
mod engine;
mod evidence;
mod mempool;
pub mod ordering;
mod producer;
pub mod routes;
mod rows;
pub mod state;
mod validation;
mod view;
pub mod witness;

pub use anchoring::{AnchoringDeps, AnchoringPort, AnchoringRequest, AnchoringStatus, SessionAnchoring, SignError};
pub use block_manager::{
    BlockManager, BlockManagerDeps, BlockManagerError, BlockManagerRequest, BlockManagerStatus, ChainPort,
};
pub use chain_store::{ChainStore, OpenError, ReadError};
pub use engine::{
    BlockchainEngine, EngineConfig, EngineDeps, EngineError, EngineRequest, EngineStatus, FILE_NAME, HEAD_FILE_NAME,
};
pub use evidence::LogProof;
pub use mempool::{MEMPOOL_MAX, SubmitError, Submitted};
pub use producer::{ProduceError, Produced, Producer};
pub use rows::{Place, SCHEMA, SealedHeader};
pub use validation::{Cursor, Fault, Step, StepError, step};

#[cfg(test)]
mod tests;
