//! Fetches an encrypted copy of everything that the appliance keeps.
//!
//! The copy is encrypted on the appliance to the recovery key, so that it is safe wherever it lies. It is a picture of
//! one moment and can't be resumed: a broken connection leaves nothing.

use std::pin::pin;

use reqwest::{Method, Response};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_stream::StreamExt;

use crate::connection::{Client, Transport, pieces};
use crate::console::Console;
use crate::draft::Draft;
use crate::error::ClientError;
use crate::progress::Progress;
use crate::restore::Output;

/// What is attempted, in messages.
const ATTEMPTED: &str = "fetch the backup";

/// Writes a backup to `output` and returns its length in bytes.
///
/// # Errors
/// The server refuses (only an administrator may), the connection breaks, or the output exists or can't be written.
pub async fn backup(client: &Client, console: &dyn Console, output: Output) -> Result<u64, ClientError> {
    let get = |http: &Transport| http.request(Method::GET, "/api/backup");
    match output {
        Output::File(path) => {
            let file = Draft::create(&path)?;
            let response = client.long(ATTEMPTED, get).await?;
            let bytes = copy(response, file.writer(&path)?, &path, console).await?;
            file.keep(&path)?;
            Ok(bytes)
        }
        Output::Stream { name, writer } => {
            let response = client.long(ATTEMPTED, get).await?;
            copy(response, writer, name.as_ref(), console).await
        }
    }
}

async fn copy(
    response: Response,
    mut writer: impl AsyncWrite + Unpin,
    path: &std::path::Path,
    console: &dyn Console,
) -> Result<u64, ClientError> {
    let failed = |source| ClientError::Output { path: path.to_owned(), source };
    let mut progress = Progress::new(console, "saving", response.content_length());
    let mut pieces = pin!(pieces(response));
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|source| ClientError::Broken { attempted: ATTEMPTED.to_owned(), source })?;
        writer.write_all(&piece).await.map_err(failed)?;
        bytes += piece.len() as u64;
        progress.at(bytes);
    }
    writer.flush().await.map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
