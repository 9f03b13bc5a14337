//! The file with a bundle: what names it, and its bytes from anywhere on.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use reqwest::Body;

use super::error::UpdateError;

/// Read at once, in bytes: what the appliance hands on at once, too.
const PIECE_BYTES: u64 = 256 << 10;

/// An opened bundle.
pub(super) struct Bundle {
    path: PathBuf,
    file: Arc<File>,
    /// What names it, in hexadecimal.
    pub(super) id: String,
    /// The version that it says it has. Nothing is checked here: the appliance does that.
    pub(super) version: String,
    /// Length of the file.
    pub(super) bytes: u64,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Bundle {
    /// Opens the file and reads its header. Blocking, for at most a megabyte.
    pub(super) fn open(path: &Path) -> Result<Self, UpdateError> {
        let failed = |source| UpdateError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
        }
        let header = lucid_bundle::read_header(&mut BufReader::new(&file))
            .map_err(|source| UpdateError::NotABundle { path: path.to_owned(), source })?;
        let version = header.manifest_unverified().map_or_else(|_| "unknown".to_owned(), |manifest| manifest.version);
        let id = HEXLOWER.encode(&header.id.0);
        let failure = Arc::default();
        Ok(Self { path: path.to_owned(), file: Arc::new(file), id, version, bytes: metadata.len(), failure })
    }

    /// The bytes from `offset` to the end; `sent` tells how far they were taken.
    pub(super) fn body(&self, offset: u64, sent: &Arc<AtomicU64>) -> Body {
        let (file, end) = (Arc::clone(&self.file), self.bytes);
        let (sent, failure) = (Arc::clone(sent), Arc::clone(&self.failure));
        sent.store(offset, Ordering::Relaxed);
        Body::wrap_stream(futures_util::stream::try_unfold(offset, move |cursor| {
            let (file, sent, failure) = (Arc::clone(&file), Arc::clone(&sent), Arc::clone(&failure));
            async move {
                if cursor >= end {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || piece(&file, cursor, PIECE_BYTES.min(end - cursor)));
                match read.await.expect("reading does not panic") {
                    Ok(piece) => {
                        let cursor = cursor + piece.len() as u64;
                        sent.store(cursor, Ordering::Relaxed);
                        Ok(Some((piece, cursor)))
                    }
                    Err(error) => {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        Err(io::Error::other("the bundle can't be read"))
                    }
                }
            }
        }))
    }

    /// Whether it was reading that broke a transfer: that is no reason to try again.
    pub(super) fn check(&self) -> Result<(), UpdateError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), |source| Err(UpdateError::File { path: self.path.clone(), source }))
    }
}

fn piece(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, offset)?;
    Ok(Bytes::from(piece))
}
