//! Fetches a recording back as the bytes that were recorded.
//!
//! A file appears under its name only when it is complete and on disk, and is readable by the user alone: it is the
//! plaintext. A broken connection is resumed where it broke.

use std::path::PathBuf;

use lucid_error::chain;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_stream::StreamExt;
use uuid::Uuid;

use crate::api::{SessionState, reply};
use crate::backoff::{Backoff, Patience};
use crate::connection::{Client, Transport, pieces};
use crate::console::Console;
use crate::draft::Draft;
use crate::error::ClientError;
use crate::progress::Progress;
use crate::sessions::session;

/// Where the bytes go.
pub enum Output {
    /// A file that does not exist yet.
    File(PathBuf),
    /// Anything else, such as standard output. What was written stays written if the rest can't be had.
    Stream {
        /// What to call it in messages, such as "standard output".
        name: String,
        /// Takes the bytes.
        writer: Box<dyn AsyncWrite + Send + Unpin>,
    },
}

/// Restores recording `id` to `output` and returns its length in bytes.
///
/// # Errors
/// The recording still runs or does not exist, the output exists or can't be written, the length is wrong, or there
/// was no progress for as long as `patience` allows.
pub async fn restore(
    client: &Client,
    console: &dyn Console,
    id: Uuid,
    output: Output,
    patience: &Patience,
) -> Result<u64, ClientError> {
    let found = session(client, id).await?;
    if found.state == SessionState::Recording {
        return Err(ClientError::StillRecording { id });
    }
    let total = found.length();
    let progress = Progress::new(console, "restoring", Some(total));
    let backoff = Backoff::new(patience.clone());
    match output {
        Output::File(path) => {
            let file = Draft::create(&path)?;
            let writer = file.writer(&path)?;
            Transfer { client, id, total, at: 0, writer, path: path.clone(), progress, backoff }.run().await?;
            file.keep(&path)?;
        }
        Output::Stream { name, writer } => {
            Transfer { client, id, total, at: 0, writer, path: name.into(), progress, backoff }.run().await?;
        }
    }
    Ok(total)
}

struct Transfer<'a, W> {
    client: &'a Client,
    id: Uuid,
    total: u64,
    /// Bytes written so far.
    at: u64,
    writer: W,
    path: PathBuf,
    progress: Progress<'a>,
    backoff: Backoff,
}

impl<W: AsyncWrite + Unpin> Transfer<'_, W> {
    async fn run(mut self) -> Result<(), ClientError> {
        while self.at < self.total {
            let before = self.at;
            let Err(error) = self.fetch().await else { continue };
            if !error.is_transient() {
                return Err(error);
            }
            if self.at > before {
                self.backoff.progressed();
            }
            self.progress.line(&format!("{}; trying again", chain(&error)));
            if !self.backoff.wait().await {
                return Err(error);
            }
        }
        let flushed = self.writer.flush().await;
        flushed.map_err(|source| ClientError::Output { path: self.path, source })
    }

    /// One request for everything that is missing.
    async fn fetch(&mut self) -> Result<(), ClientError> {
        let path = format!("/api/sessions/{}/content", self.id);
        let range = format!("bytes={}-", self.at);
        let attempted = self.attempted();
        let get = |http: &Transport| http.request(Method::GET, &path).header(RANGE, &range);
        let response = self.client.long(&attempted, get).await?;
        let mut skip = self.first_byte(&response)?;
        let mut pieces = std::pin::pin!(pieces(response));
        while let Some(piece) = pieces.next().await {
            let mut piece = piece.map_err(|source| ClientError::Broken { attempted: attempted.clone(), source })?;
            let skipped = piece.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
            skip -= skipped as u64;
            self.write(piece.split_off(skipped)).await?;
        }
        if self.at < self.total {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(ClientError::Broken { attempted, source });
        }
        Ok(())
    }

    /// How many bytes of the reply were written before: none if the range was honoured.
    fn first_byte(&self, response: &Response) -> Result<u64, ClientError> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(self.at);
        }
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
        let expected = format!("bytes {}-{}/{}", self.at, self.total - 1, self.total);
        if range == expected {
            return Ok(0);
        }
        Err(reply(&self.attempted(), format!("it sends `{}` instead of `{expected}`", crate::api::escaped(range))))
    }

    async fn write(&mut self, piece: bytes::Bytes) -> Result<(), ClientError> {
        let at = self.at + piece.len() as u64;
        if at > self.total {
            return Err(ClientError::Length { id: self.id, expected: self.total, got: at });
        }
        let written = self.writer.write_all(&piece).await;
        written.map_err(|source| ClientError::Output { path: self.path.clone(), source })?;
        self.at = at;
        self.progress.at(at);
        Ok(())
    }

    fn attempted(&self) -> String {
        format!("restore session {}", self.id)
    }
}

#[cfg(test)]
mod tests;
