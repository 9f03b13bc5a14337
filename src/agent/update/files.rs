//! What the agent keeps of updates on `/state`, and what it reads there of others.
//!
//! Promises: each file is replaced whole or not at all, and is on the disk when the call returns; one that is missing
//! is told from one that can't be read. Must never keep a secret: there is none in an update.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lucid_layout::update::{Fallback, SlotBook, UPDATE_FILE_BYTES_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::progress::{History, Progress};
use crate::MODE_SECRET;

/// The file of [`Progress`].
pub(crate) const PROGRESS: &str = "progress.json";
/// The folder's mode: root alone.
const FOLDER_MODE: u32 = 0o700;
/// [`Progress`] with all its texts at their longest is a tenth of this.
const PROGRESS_BYTES_MAX: u64 = 256 * 1024;
/// Twenty attempts with logs at their longest.
const HISTORY_BYTES_MAX: u64 = 512 * 1024;
/// A header of a bundle has at most 1 MiB; the keys that come out of one are no longer.
const DOCUMENTS_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Why something is not known, or not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error("`{}` can't be read ({source}); look at the state partition's problems", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` makes no sense ({source}); the next update begins it anew", path.display())]
    Meaning { path: PathBuf, source: serde_json::Error },
    #[error("`{}` can't be written ({source}); make room on the state partition, or look at its problems", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Keeps small files.
pub(crate) trait Keep: Send + Sync {
    /// A file's bytes; `None` if there is none.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>>;
    /// Puts `bytes` in place of a file, for good.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file for good. That there is none is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The file system.
pub(crate) struct FileSystem;

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The agent's own folder.
    pub(crate) folder: PathBuf,
    /// [`SlotBook`].
    pub(crate) book: PathBuf,
    /// [`Fallback`].
    pub(crate) fallback: PathBuf,
    /// The keys that the image trusts.
    pub(crate) update_root: PathBuf,
}

/// The files.
pub(crate) struct Files {
    keep: Box<dyn Keep>,
    places: Places,
}

impl Keep for FileSystem {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(lucid_file::read(path, bytes_max)?.map(|bytes| bytes.to_vec()))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        }
        lucid_file::replace(path, bytes, MODE_SECRET, |_| Ok(()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lucid_file::remove(path)
    }
}

impl Files {
    /// Those at `places`.
    pub(crate) fn new(keep: Box<dyn Keep>, places: Places) -> Self {
        Self { keep, places }
    }

    /// How far an update has come; [`Progress::Idle`] if nothing is kept.
    pub(crate) fn progress(&self) -> Result<Progress, FilesError> {
        Ok(self.read(&self.own(PROGRESS), PROGRESS_BYTES_MAX)?.unwrap_or_default())
    }

    /// Keeps it.
    pub(crate) fn save_progress(&self, progress: &Progress) -> Result<(), FilesError> {
        self.save(&self.own(PROGRESS), progress)
    }

    /// What became of updates before; empty if nothing is kept.
    pub(crate) fn history(&self) -> Result<History, FilesError> {
        Ok(self.read(&self.own("history.json"), HISTORY_BYTES_MAX)?.unwrap_or_default())
    }

    /// Keeps it.
    pub(crate) fn save_history(&self, history: &History) -> Result<(), FilesError> {
        self.save(&self.own("history.json"), history)
    }

    /// The keys that came with bundles.
    pub(crate) fn trust(&self) -> Result<Option<Vec<u8>>, FilesError> {
        self.bytes(&self.own("trust.json"), DOCUMENTS_BYTES_MAX)
    }

    /// Keeps them.
    pub(crate) fn save_trust(&self, bytes: &[u8]) -> Result<(), FilesError> {
        self.replace(&self.own("trust.json"), bytes)
    }

    /// The header of the bundle that is being written.
    pub(crate) fn header(&self) -> Result<Option<Vec<u8>>, FilesError> {
        self.bytes(&self.own("header"), DOCUMENTS_BYTES_MAX)
    }

    /// Keeps it.
    pub(crate) fn save_header(&self, bytes: &[u8]) -> Result<(), FilesError> {
        self.replace(&self.own("header"), bytes)
    }

    /// Forgets it.
    pub(crate) fn remove_header(&self) -> Result<(), FilesError> {
        self.remove(&self.own("header"))
    }

    /// What the slots are worth; `None` if nobody has written it down yet.
    pub(crate) fn book(&self) -> Result<Option<SlotBook>, FilesError> {
        self.read(&self.places.book, UPDATE_FILE_BYTES_MAX)
    }

    /// Keeps it.
    pub(crate) fn save_book(&self, book: &SlotBook) -> Result<(), FilesError> {
        self.save(&self.places.book, book)
    }

    /// The slot that the stage before systemd left after failed boots.
    pub(crate) fn fallback(&self) -> Result<Option<Fallback>, FilesError> {
        self.read(&self.places.fallback, UPDATE_FILE_BYTES_MAX)
    }

    /// Forgets it.
    pub(crate) fn remove_fallback(&self) -> Result<(), FilesError> {
        self.remove(&self.places.fallback)
    }

    /// The keys that the image trusts.
    pub(crate) fn update_root(&self) -> Result<Option<Vec<u8>>, FilesError> {
        self.bytes(&self.places.update_root, DOCUMENTS_BYTES_MAX)
    }

    fn own(&self, name: &str) -> PathBuf {
        self.places.folder.join(name)
    }

    fn bytes(&self, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, FilesError> {
        self.keep.read(path, bytes_max).map_err(|source| FilesError::Read { path: path.to_owned(), source })
    }

    fn read<T: DeserializeOwned>(&self, path: &Path, bytes_max: u64) -> Result<Option<T>, FilesError> {
        let Some(bytes) = self.bytes(path, bytes_max)? else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|source| FilesError::Meaning { path: path.to_owned(), source })
    }

    fn save(&self, path: &Path, value: &impl Serialize) -> Result<(), FilesError> {
        let bytes =
            serde_json::to_vec(value).map_err(|source| FilesError::Meaning { path: path.to_owned(), source })?;
        self.replace(path, &bytes)
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
        self.keep.replace(path, bytes).map_err(|source| FilesError::Write { path: path.to_owned(), source })
    }

    fn remove(&self, path: &Path) -> Result<(), FilesError> {
        self.keep.remove(path).map_err(|source| FilesError::Write { path: path.to_owned(), source })
    }
}
