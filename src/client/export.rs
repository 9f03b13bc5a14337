//! Fetches what a third party needs to verify a recording offline, as a directory.
//!
//! The directory appears under its name only when it is complete and on disk. What the server sends is not trusted:
//! only the files of an export, each once, of bounded size, and nothing outside the directory.

mod unpack;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, Response};
use tokio::task::JoinHandle;
use tokio_util::io::{StreamReader, SyncIoBridge};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::SessionState;
use crate::connection::{Client, Transport, pieces};
use crate::console::Console;
use crate::error::ClientError;
use crate::progress::Progress;
use crate::sessions::session;
use unpack::{UnpackError, Unpacked, unpack};

/// How often the bar moves.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Exports recording `id` into the new directory `folder`, so that it can be proven also against `checkpoint`, a signed
/// checkpoint of the appliance's chain that is newer than the recording's block. Returns the sum of its files'
/// lengths in bytes.
///
/// Not resumed when the connection breaks: nothing is kept then, and it can be tried again.
///
/// # Errors
/// The recording is not anchored or does not exist, `folder` exists or can't be written, the connection breaks, or
/// the server sends something else than this recording's export.
pub async fn export(
    client: &Client,
    console: &dyn Console,
    id: Uuid,
    folder: &Path,
    checkpoint: Option<&str>,
) -> Result<u64, ClientError> {
    if folder.symlink_metadata().is_ok() {
        return Err(ClientError::OutputExists { path: folder.to_owned() });
    }
    let found = session(client, id).await?;
    if found.state != SessionState::Anchored {
        return Err(ClientError::NotAnchored { id, after_s: 0 });
    }
    let query = checkpoint.map(|note| format!("?checkpoint={}", percent_encoded(note))).unwrap_or_default();
    let path = format!("/api/sessions/{id}/export{query}");
    let attempted = format!("export session {id}");
    let response = client.long(&attempted, |http: &Transport| http.request(Method::GET, &path)).await?;
    let draft = Draft::create(folder)?;
    let unpacking = Unpacking::start(response, draft.path.clone());
    let unpacked = unpacking.finish(Progress::new(console, "exporting", None)).await;
    let unpacked = unpacked.map_err(|error| describe(error, id, &attempted, folder))?;
    if unpacked.chunks != found.chunks {
        let problem = format!("it holds {} chunks of {}", unpacked.chunks, found.chunks);
        return Err(ClientError::Export { id, problem });
    }
    draft.keep(folder)?;
    Ok(unpacked.bytes)
}

/// A value for a query (RFC 3986): every byte that is not a letter or a digit as `%` and two hexadecimal digits.
fn percent_encoded(text: &str) -> String {
    let encoded = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn describe(error: UnpackError, id: Uuid, attempted: &str, folder: &Path) -> ClientError {
    match error {
        UnpackError::Stream(source) => ClientError::Broken { attempted: attempted.to_owned(), source },
        UnpackError::Write(source) => ClientError::Output { path: folder.to_owned(), source },
        UnpackError::Refused(problem) => ClientError::Export { id, problem },
    }
}

/// The blocking reader of the archive. Dropping it makes the reader stop at the next piece.
struct Unpacking {
    task: JoinHandle<Result<Unpacked, UnpackError>>,
    bytes: Arc<AtomicU64>,
    _stop: tokio_util::sync::DropGuard,
}

impl Unpacking {
    fn start(response: Response, folder: PathBuf) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let stop = CancellationToken::new();
        let (count, stopped) = (Arc::clone(&bytes), stop.clone());
        let reader = SyncIoBridge::new(StreamReader::new(Box::pin(pieces(response))));
        let step = move |length: usize| {
            count.fetch_add(length as u64, Ordering::Relaxed);
            if stopped.is_cancelled() { Err(io::Error::from(io::ErrorKind::Interrupted)) } else { Ok(()) }
        };
        let task = tokio::task::spawn_blocking(move || unpack(reader, &folder, step));
        Self { task, bytes, _stop: stop.drop_guard() }
    }

    async fn finish(mut self, mut progress: Progress<'_>) -> Result<Unpacked, UnpackError> {
        loop {
            match tokio::time::timeout(PROGRESS_EVERY, &mut self.task).await {
                Ok(result) => return result.expect("unpacking does not panic"),
                Err(_) => progress.at(self.bytes.load(Ordering::Relaxed)),
            }
        }
    }
}

/// A directory beside its final name, removed unless kept.
struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    fn create(folder: &Path) -> Result<Self, ClientError> {
        let path = parent(folder).join(format!(".lucid-export-{}", Uuid::new_v4()));
        let created = fs::create_dir(&path);
        created.map_err(|source| ClientError::Output { path: folder.to_owned(), source })?;
        Ok(Self { path, kept: false })
    }

    fn keep(mut self, folder: &Path) -> Result<(), ClientError> {
        let rename = || {
            File::open(&self.path)?.sync_all()?;
            fs::rename(&self.path, folder)?;
            File::open(parent(folder))?.sync_all()
        };
        rename().map_err(|source| ClientError::Output { path: folder.to_owned(), source })?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing can be done about a failure here; the name says what the leftover is.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

fn parent(folder: &Path) -> &Path {
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
