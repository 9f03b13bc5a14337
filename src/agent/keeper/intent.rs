//! What was decided about the data disk, kept over restarts in one file.
//!
//! Promises: written before a disk is, so that what a power cut interrupts is known and finished. A file that makes no
//! sense is an error, and never taken for "no disk was adopted".

use std::io;
use std::path::{Path, PathBuf};

use lucid_agent_protocol::{Adopted, DiskId};
use serde::{Deserialize, Serialize};

use crate::MODE_SECRET;

/// The file has hundreds of bytes.
const INTENT_BYTES_MAX: u64 = 4096;

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Intent {
    /// Nothing.
    #[default]
    None,
    /// A disk gets a filesystem; what was on it is given up.
    Format(Format),
    /// A filesystem is the data disk.
    Use(Adopted),
}

/// A disk that gets a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Format {
    /// The disk.
    pub(crate) disk: DiskId,
    /// It has a serial number: the disk can be told from others after a restart.
    pub(crate) has_serial: bool,
    /// Its model, for people.
    pub(crate) model: Option<String>,
    /// Which partition of it; none for the whole.
    pub(crate) partition: Option<u32>,
    /// UUID that the filesystem gets.
    pub(crate) uuid: String,
}

/// Why an intent is not known or not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntentError {
    #[error("reading `{}`: {source}; look at the state partition's problems", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is damaged ({source}); adopt the data disk again", path.display())]
    Meaning { path: PathBuf, source: serde_json::Error },
    #[error("writing `{}`: {source}; look at the state partition's problems", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Format {
    /// What it becomes once the filesystem is there.
    pub(crate) fn adopted(&self) -> Adopted {
        Adopted { uuid: self.uuid.clone(), disk: self.disk.clone(), model: self.model.clone() }
    }
}

impl Intent {
    /// The one that was kept.
    pub(crate) fn read(path: &Path) -> Result<Self, IntentError> {
        let read = lucid_file::read(path, INTENT_BYTES_MAX);
        let bytes = read.map_err(|source| IntentError::Read { path: path.to_owned(), source })?;
        let meaning = |source| IntentError::Meaning { path: path.to_owned(), source };
        bytes.map_or(Ok(Self::None), |bytes| serde_json::from_slice(&bytes).map_err(meaning))
    }

    /// Keeps it; returns once it is on the disk.
    pub(crate) fn keep(&self, path: &Path) -> Result<(), IntentError> {
        let json = serde_json::to_vec(self).map_err(|source| IntentError::Meaning { path: path.to_owned(), source })?;
        let write = |source| IntentError::Write { path: path.to_owned(), source };
        lucid_file::replace(path, &json, MODE_SECRET, |_| Ok(())).map_err(write)
    }
}

#[cfg(test)]
mod tests;
