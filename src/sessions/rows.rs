//! What session-storage keeps of a session. Versioned by the store's schema; never sent to anyone as it is.

use lucid_ports::{AccountId, AccountState, Identity, Owner, Recording, RecordingState, SessionId};
use lucid_proof::{hash::Hash, time::TimeTrust};
use lucid_store::{Json, Schema, Table};
use lucid_vault::WrappedKey;
use serde::{Deserialize, Serialize};

/// The schema of `session-storage.redb`. Version 2 names owners by their account's id. No release wrote version 1, so
/// nothing leads from there, and a file of that version is refused.
pub static SCHEMA: Schema =
    Schema { name: "session-storage", version: 2, migrations: &[], readable_by_previous: false };

/// Sessions by id; ids sort by time.
pub(crate) const SESSIONS: Table<[u8; 16], Json<SessionRow>> = Table::new("sessions");
/// Wrapped data keys, apart from the sessions because a deletion rewrites all of them.
pub(crate) const KEYS: Table<[u8; 16], Json<WrappedKey>> = Table::new("keys");
/// Chunks by session and index.
pub(crate) const CHUNKS: Table<([u8; 16], u64), Json<ChunkRow>> = Table::new("chunks");
/// Sessions that take bytes, with their owners.
pub(crate) const OPEN: Table<[u8; 16], Json<AccountId>> = Table::new("open");
/// Sessions that are complete and not anchored yet.
pub(crate) const UNFINISHED: Table<[u8; 16], Json<()>> = Table::new("unfinished");
/// Recordings by their owner's account, so that a user's list costs what the user has.
pub(crate) const BY_OWNER: Table<([u8; 16], [u8; 16]), Json<()>> = Table::new("by-owner");
/// One row, under [`GENERATION`]: the wrapping key that [`KEYS`] are wrapped with.
pub(crate) const META: Table<String, Json<u64>> = Table::new("meta");
/// The only key of [`META`].
pub(crate) const GENERATION: &str = "wrapping-generation";

/// One session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) label: String,
    /// The account that it belongs to.
    pub(crate) owner: AccountId,
    /// What that account was called when it began: names are shown also where accounts can't be asked for.
    pub(crate) owner_name: String,
    pub(crate) state: RecordingState,
    pub(crate) durable_bytes: u64,
    pub(crate) stored_bytes: u64,
    pub(crate) chunks: u64,
    pub(crate) started_ms: u64,
    /// When its last byte came; moves with every chunk.
    pub(crate) last_ms: u64,
    pub(crate) ended_ms: Option<u64>,
    /// The worst trust of the clock while it ran, as in a header.
    pub(crate) time_trust: u8,
    /// The signed manifest, once sealed.
    pub(crate) manifest: Option<String>,
    pub(crate) root: Option<Hash>,
    pub(crate) block_height: Option<u64>,
}

/// One chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChunkRow {
    /// Offset of its first plaintext byte.
    pub(crate) offset: u64,
    /// Plaintext bytes.
    pub(crate) bytes: u64,
    /// Bytes on disk.
    pub(crate) stored_bytes: u64,
    /// BLAKE3 leaf hash of the bytes on disk.
    pub(crate) leaf: Hash,
}

impl SessionRow {
    pub(crate) fn new(owner: &Identity, label: &str, started_ms: u64, trust: TimeTrust) -> Self {
        Self {
            label: label.to_owned(),
            owner: owner.account,
            owner_name: owner.user.clone(),
            state: RecordingState::Recording,
            durable_bytes: 0,
            stored_bytes: 0,
            chunks: 0,
            started_ms,
            last_ms: started_ms,
            ended_ms: None,
            time_trust: trust as u8,
            manifest: None,
            root: None,
            block_height: None,
        }
    }

    /// The worst trust of the clock while it ran.
    pub(crate) fn trust(&self) -> TimeTrust {
        match self.time_trust {
            2 => TimeTrust::Synchronized,
            1 => TimeTrust::Held,
            _ => TimeTrust::Unsynchronized,
        }
    }

    /// What others see of it. How the owner's account stands is not known here.
    pub(crate) fn recording(&self, id: SessionId) -> Recording {
        Recording {
            id,
            label: self.label.clone(),
            owner: Owner { id: self.owner, name: self.owner_name.clone(), account: AccountState::Unknown },
            state: self.state,
            durable_bytes: self.durable_bytes,
            stored_bytes: self.stored_bytes,
            chunks: self.chunks,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            root: self.root.map(|root| data_encoding::HEXLOWER.encode(&root)),
            block_height: self.block_height,
        }
    }
}
