//! What is recorded: a file, which can be read again, or a stream, which can't.

use std::io::{self, Read, SeekFrom};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::StreamReader;
use uuid::Uuid;

use super::replay::Replay;
use crate::error::ClientError;

/// Read at once, in bytes: large enough that system calls don't count, small beside the replay buffer.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces of standard input that wait to be taken.
const STDIN_PIECES_MAX: usize = 4;

/// Where the bytes come from.
pub enum Source {
    /// A file. Recording it can be resumed by a later run of the program.
    File(PathBuf),
    /// Anything else, such as standard input. Read once, only as fast as the server takes it.
    Stream {
        /// What to call it in messages, such as "standard input".
        name: String,
        /// The bytes.
        reader: Box<dyn AsyncRead + Send + Unpin>,
    },
}

/// A source that stands at the byte where recording begins.
pub(super) struct Opened {
    pub(super) name: String,
    /// Length as far as it is known beforehand.
    pub(super) total_bytes: Option<u64>,
    file: Option<tokio::fs::File>,
    stream: Option<Box<dyn AsyncRead + Send + Unpin>>,
}

impl Source {
    /// Standard input. It is read on a thread of its own that nothing waits for: a program that has failed can end
    /// although a read still blocks.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn stdin() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(STDIN_PIECES_MAX);
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || forward(io::stdin().lock(), &sender))?;
        let reader = StreamReader::new(ReceiverStream::new(receiver));
        Ok(Self::Stream { name: "standard input".to_owned(), reader: Box::new(reader) })
    }

    /// Opens it, before anything is asked of the server.
    pub(super) async fn open(self) -> Result<Opened, ClientError> {
        match self {
            Self::Stream { name, reader } => Ok(Opened { name, total_bytes: None, file: None, stream: Some(reader) }),
            Self::File(path) => {
                let name = format!("`{}`", path.display());
                let failed = |source| ClientError::SourceOpen { name: name.clone(), source };
                let file = tokio::fs::File::open(&path).await.map_err(failed)?;
                let metadata = file.metadata().await.map_err(failed)?;
                if metadata.is_dir() {
                    return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
                }
                // A named pipe or a device has no length and can't be read again: it is a stream under a name.
                Ok(if metadata.is_file() {
                    Opened { name, total_bytes: Some(metadata.len()), file: Some(file), stream: None }
                } else {
                    Opened { name, total_bytes: None, file: None, stream: Some(Box::new(file)) }
                })
            }
        }
    }
}

impl Opened {
    /// Goes to `durable_bytes`, from where recording `id` is resumed.
    pub(super) async fn skip(&mut self, id: Uuid, durable_bytes: u64) -> Result<(), ClientError> {
        let Some(file) = &mut self.file else {
            return Err(ClientError::ResumeNeedsFile { id });
        };
        let bytes = self.total_bytes.unwrap_or_default();
        if bytes < durable_bytes {
            return Err(ClientError::SourceShorter { name: self.name.clone(), id, bytes, durable_bytes });
        }
        let sought = file.seek(SeekFrom::Start(durable_bytes)).await;
        sought.map(|_| ()).map_err(|source| ClientError::SourceOpen { name: self.name.clone(), source })
    }

    /// Reads to the end into `replay`, and says there how it ended.
    pub(super) async fn read_into(self, replay: &Replay) {
        let result = match (self.file, self.stream) {
            (Some(file), _) => pump(file, replay).await,
            (None, Some(stream)) => pump(stream, replay).await,
            (None, None) => Ok(()),
        };
        replay.close(result);
    }
}

/// Reads until the end, an error, or until nobody listens any more.
fn forward(mut input: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Bytes::copy_from_slice(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = piece.is_err();
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

async fn pump(mut reader: impl AsyncRead + Unpin, replay: &Replay) -> io::Result<()> {
    loop {
        let mut buffer = BytesMut::with_capacity(PIECE_BYTES);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        // A terminal or pipe gives little at a time: without the copy each byte would hold a whole buffer.
        let is_small = buffer.len() < PIECE_BYTES / 2;
        replay.push(if is_small { Bytes::copy_from_slice(&buffer) } else { buffer.freeze() }).await;
    }
}

#[cfg(test)]
mod tests;
