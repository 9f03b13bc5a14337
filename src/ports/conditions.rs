//! Latest values that many services watch: the data disk and the load they may put on the box.

use std::path::PathBuf;

use serde::Serialize;

/// The data disk, as storage-watch publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Storage {
    /// Not usable; services that need it wait.
    Waiting {
        /// Why, in words for the owner.
        reason: String,
    },
    /// Usable.
    Ready {
        /// The directory that holds `data/`, `logs/` and `backup/`.
        root: PathBuf,
        /// Free space in bytes.
        free_bytes: u64,
        /// Below the reserve: nothing new is recorded, what is there can be read and deleted.
        low: bool,
    },
}

impl Storage {
    /// Why services wait, or nothing when the disk is usable.
    pub fn waiting(&self) -> Option<&str> {
        match self {
            Self::Waiting { reason } => Some(reason),
            Self::Ready { .. } => None,
        }
    }
}

/// What the box has room for, as thermal-watch publishes it. Ordered from the least to the most restricted; the
/// recording itself and the dashboard are never shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// Everything may run.
    #[default]
    Full,
    /// No reprocessing: validation of the whole chain and re-reading of recordings wait.
    NoReprocessing,
    /// Exports and restores wait, too.
    RecordingOnly,
}
