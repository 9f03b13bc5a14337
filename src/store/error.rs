//! What can go wrong in the store, said so that its reader knows what to do.
//!
//! Every variant names the file or the table. Errors are `Clone`, because one failed commit is the answer to every
//! waiter of its group. redb's own error types stay behind `dyn Error`: no service learns of redb.

use std::any::Any;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error as ThisError;

/// A cause whose type is nobody's business outside this crate.
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

/// Why an operation on a store, a blob or a file was refused or failed.
#[derive(Debug, Clone, ThisError)]
#[non_exhaustive]
pub enum StoreError {
    /// The store was here once and its file is gone.
    #[error(
        "store `{}` is gone, but its marker `{}` says that it existed: mount the right disk or restore a backup; \
         to start empty on purpose, delete the marker", path.display(), marker.display()
    )]
    Missing {
        /// The store's file.
        path: PathBuf,
        /// The marker beside it.
        marker: PathBuf,
    },
    /// The file is not a store, or is damaged beyond what redb repairs by itself.
    #[error("store `{}` is damaged ({detail}): keep the file, and restore a backup beside it", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Another process, or another `Store` of this one, has it open.
    #[error("store `{}` is in use: stop the other process first", path.display())]
    AlreadyOpen {
        /// The store's file.
        path: PathBuf,
    },
    /// The file belongs to another service.
    #[error("store `{}` holds `{found}`, not `{expected}`", path.display())]
    WrongSchema {
        /// The store's file.
        path: PathBuf,
        /// The schema that was asked for.
        expected: String,
        /// The schema that the file carries.
        found: String,
    },
    /// A later release wrote it, in a form that this one can't read.
    #[error(
        "store `{}` has schema version {found}, and this release reads up to {newest}: install the newer release",
        path.display()
    )]
    TooNew {
        /// The store's file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest that this release reads.
        newest: u32,
    },
    /// It is older than the one version back that a release reads.
    #[error(
        "store `{}` has schema version {found}, and this release reads from {oldest}: \
         install the releases between, one by one", path.display()
    )]
    TooOld {
        /// The store's file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The oldest that this release reads.
        oldest: u32,
    },
    /// The schema names no way from one version to the next.
    #[error("schema `{schema}` has no migration from version {from} to {to}: use the release that wrote the file")]
    NoMigration {
        /// The schema's name.
        schema: String,
        /// The version in the file.
        from: u32,
        /// The version that was wanted.
        to: u32,
    },
    /// No space, or no quota, is left on the device.
    #[error("the disk is full: could not {action} `{}`; free some space, then restart the service", path.display())]
    DiskFull {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("could not {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The database engine refused.
    #[error("could not {action} `{}`", path.display())]
    Engine {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The engine's answer.
        source: Cause,
    },
    /// An earlier write failed; nothing is written until the store is opened again.
    #[error(
        "store `{}` takes no writes since one failed: restart the service once the cause is mended", path.display()
    )]
    Failed {
        /// The store's file.
        path: PathBuf,
        /// The failure that stopped it.
        source: Box<StoreError>,
    },
    /// The store is closing, or is closed.
    #[error("store `{}` is closed", path.display())]
    Closed {
        /// The store's file.
        path: PathBuf,
    },
    /// The write closure panicked; its writes were undone.
    #[error("a write to store `{}` panicked: {message}; nothing of it was kept", path.display())]
    Panicked {
        /// The store's file.
        path: PathBuf,
        /// The panic's message.
        message: String,
    },
    /// A row's key does not fit its table's type.
    #[error("table `{table}` holds a key that is not of its type: `{key_hex}`")]
    BadKey {
        /// The table's name.
        table: &'static str,
        /// The first bytes of the key.
        key_hex: String,
    },
    /// A row's value could not be turned into bytes, or back.
    #[error("table `{table}` holds, or was given, a value that is not of its type")]
    BadValue {
        /// The table's name.
        table: &'static str,
        /// What the codec says.
        source: Cause,
    },
    /// A key or a value is longer than the store takes.
    #[error("table `{table}` was given a {what} of {bytes} bytes, and takes at most {max_bytes}")]
    TooLong {
        /// The table's name.
        table: &'static str,
        /// `key` or `value`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A blob id has other characters than `0-9`, `a-f` and `-`, or a wrong length.
    #[error(
        "blob id `{id}` is refused: 1 to {max_bytes} characters of 0-9, a-f and `-`, beginning with a digit or letter"
    )]
    BadBlobId {
        /// The id, shortened.
        id: String,
        /// The longest id.
        max_bytes: usize,
    },
    /// Something is there already that must not be replaced.
    #[error("`{}` exists and is not replaced", path.display())]
    Exists {
        /// What exists.
        path: PathBuf,
    },
    /// A file that must be there is not.
    #[error("`{}` is not there", path.display())]
    NotFound {
        /// What was looked for.
        path: PathBuf,
    },
    /// A file has another length than it must have.
    #[error("`{}` has {found_bytes} bytes and not {expected_bytes}: left as it is", path.display())]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length asked for.
        expected_bytes: u64,
    },
    /// A snapshot stream is truncated, garbled or not a snapshot.
    #[error("the snapshot is refused: {detail}")]
    BadSnapshot {
        /// What was found, and where.
        detail: String,
    },
}

impl StoreError {
    /// Files a system error under `DiskFull`, `NotFound` or `Io`.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { action, path },
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { action, path, source: Arc::new(source) },
        }
    }

    /// Files an engine error under the variant that says what to do.
    pub(crate) fn engine(action: &'static str, path: &Path, source: impl Into<redb::Error>) -> Self {
        match source.into() {
            redb::Error::Io(source) => Self::io(action, path, source),
            redb::Error::DatabaseAlreadyOpen => Self::AlreadyOpen { path: path.to_path_buf() },
            redb::Error::Corrupted(detail) => Self::Corrupt { path: path.to_path_buf(), detail },
            source => Self::Engine { action, path: path.to_path_buf(), source: Arc::new(source) },
        }
    }

    /// Whether the cause is a full disk, also behind `Failed`.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::DiskFull { .. } => true,
            Self::Failed { source, .. } => source.is_disk_full(),
            _ => false,
        }
    }
}

/// The message of a panic, as far as it is text.
pub(crate) fn text_of_panic(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
