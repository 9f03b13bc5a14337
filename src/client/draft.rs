//! A file that appears under its name only when it is complete and on disk.

use std::io;
use std::path::Path;

use crate::error::ClientError;

/// A file beside its final name, readable by the user alone, removed unless kept.
pub(crate) struct Draft(tempfile::NamedTempFile);

impl Draft {
    /// Begins what will be `path`, which must not exist.
    pub(crate) fn create(path: &Path) -> Result<Self, ClientError> {
        if path.symlink_metadata().is_ok() {
            return Err(ClientError::OutputExists { path: path.to_owned() });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".lucid-draft-").tempfile_in(folder);
        file.map(Self).map_err(|source| failed(path, source))
    }

    /// Writes to the draft of `path`. Must be flushed before the draft is kept.
    pub(crate) fn writer(&self, path: &Path) -> Result<tokio::fs::File, ClientError> {
        self.0.as_file().try_clone().map(tokio::fs::File::from_std).map_err(|source| failed(path, source))
    }

    /// Gives it its name, durably. A file that came there meanwhile is left alone.
    pub(crate) fn keep(self, path: &Path) -> Result<(), ClientError> {
        self.0.as_file().sync_all().map_err(|source| failed(path, source))?;
        match self.0.persist_noclobber(path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(ClientError::OutputExists { path: path.to_owned() })
            }
            Err(error) => Err(failed(path, error.error)),
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ClientError {
    ClientError::Output { path: path.to_owned(), source }
}
