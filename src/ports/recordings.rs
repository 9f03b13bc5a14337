//! Recordings as the dashboard shows them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Identity, Owner, SessionId};

/// Where a recording is on its way into the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// Taking bytes, or waiting for its client to come back.
    Recording,
    /// All bytes are durable; the anchor is not yet queued.
    Sealing,
    /// The manifest is signed and its anchor waits for a block.
    Anchoring,
    /// The anchor is in a block.
    Anchored,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its id.
    pub id: SessionId,
    /// What its owner called it; may be empty; at most 200 characters, no control characters.
    pub label: String,
    /// The account that made it.
    pub owner: Owner,
    /// Where it is on its way.
    pub state: RecordingState,
    /// Plaintext bytes that are durable, and so acknowledged.
    pub durable_bytes: u64,
    /// Bytes of the chunks on disk.
    pub stored_bytes: u64,
    /// Durable chunks.
    pub chunks: u64,
    /// When it began, in milliseconds of Unix time.
    pub started_ms: u64,
    /// When its last byte came.
    pub ended_ms: Option<u64>,
    /// Merkle root over its chunks, lower-case hexadecimal, once sealed.
    pub root: Option<String>,
    /// Height of the block that holds its anchor, once anchored.
    pub block_height: Option<u64>,
}

/// Why a recording operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    /// No such recording, or not one that the caller may see.
    #[error("there is no recording {0}")]
    NotFound(SessionId),
    /// The recording is still taking bytes.
    #[error("recording {0} is still running: stop it first")]
    StillRecording(SessionId),
    /// The services behind it don't run.
    #[error("{0}")]
    Unavailable(String),
}

/// What the dashboard asks of session-api.
#[async_trait]
pub trait Recordings: Send + Sync {
    /// At most `limit` (1 to 1000) recordings that `caller` may see, newest first, older than `before`.
    async fn list(
        &self,
        caller: &Identity,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Recording>, RecordingsError>;
    /// One recording.
    async fn get(&self, caller: &Identity, id: SessionId) -> Result<Recording, RecordingsError>;
    /// Deletes by shredding: the key is destroyed, then the chunks are removed.
    async fn delete(&self, caller: &Identity, id: SessionId) -> Result<(), RecordingsError>;
}
