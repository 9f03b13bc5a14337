//! Anchoring as sessions see it.

use async_trait::async_trait;
use lucid_proof::block::Anchor;
use serde::{Deserialize, Serialize};

use crate::SessionId;

/// How far a session's anchor has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum AnchorState {
    /// Nobody has asked for it.
    Unknown,
    /// Durably queued for a coming block.
    Pending,
    /// In a block.
    Anchored {
        /// Height of that block.
        height: u64,
    },
}

/// Why an anchor was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// Another anchor with other contents exists for this session.
    #[error("session {0} is anchored already with another root")]
    Conflict(SessionId),
    /// session-anchoring or the chain does not run.
    #[error("session-anchoring is not available: try again in a moment")]
    Unavailable,
}

/// Takes anchors and tells what became of them.
#[async_trait]
pub trait Anchoring: Send + Sync {
    /// Queues `anchor` durably, and tells how far it has come. Asking again with the same anchor is harmless; with
    /// another one for the same session it is a conflict.
    async fn submit(&self, anchor: Anchor) -> Result<AnchorState, AnchorError>;
    /// How far the anchor of `session` has come.
    async fn state(&self, session: SessionId) -> Result<AnchorState, AnchorError>;
}
