//! What can go wrong with recordings on the disk.

use lucid_device::disk::DiskError;
use lucid_ports::{RecordingState, SessionId};
use lucid_store::StoreError;
use lucid_vault::VaultError;

/// An operation on recordings failed.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// No such recording.
    #[error("there is no recording {0}")]
    NotFound(SessionId),
    /// The recording is not in the state that the operation needs.
    #[error("recording {id} is {state:?}: this can't be done now")]
    WrongState {
        /// Which.
        id: SessionId,
        /// Its state.
        state: RecordingState,
    },
    /// The disk has only what rows and the chain still need.
    #[error("the data disk is full")]
    NoRoom,
    /// How much room there is could not be told.
    #[error("could not look how much room the data disk has")]
    Space(#[source] DiskError),
    /// The room kept for deletions can't be laid by or given up.
    #[error("the room that is kept for deletions on a full disk can't be kept or used")]
    Ballast(#[source] std::io::Error),
    /// Too many recordings are open.
    #[error("too many recordings are open: end or resume some of them first")]
    TooManyOpen,
    /// A chunk came out of order.
    #[error("chunk {index} of recording {id} came when {expected} was due")]
    OutOfOrder {
        /// Which recording.
        id: SessionId,
        /// What came.
        index: u64,
        /// What was due.
        expected: u64,
    },
    /// A row says that a chunk is there, and it is not.
    #[error("chunk {index} of recording {id} is missing on the disk")]
    ChunkMissing {
        /// Which recording.
        id: SessionId,
        /// Which chunk.
        index: u64,
    },
    /// The store or the directory of chunks.
    #[error("the recordings' store failed")]
    Store(#[from] StoreError),
    /// The keys.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A backup runs, and what it has begun to copy must stay.
    #[error("a backup is running: delete the recording when it has ended")]
    BackupRunning,
    /// A thread that did blocking work panicked.
    #[error("a blocking operation panicked")]
    Panicked,
}

impl RepositoryError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::NoRoom) || matches!(self, Self::Store(error) if error.is_disk_full())
    }
}
