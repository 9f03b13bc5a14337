//! A response body that a blocking thread writes, for archives and encryptors that know only [`std::io::Write`].

use std::io::{self, Write};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

/// Parts that may wait for the connection: back-pressure reaches the thread after a megabyte.
const PARTS_MAX: usize = 4;
/// Bytes of one part.
const PART_BYTES: usize = 256 * 1024;

/// A body of what `work` writes, on a blocking thread, no faster than the client reads. An error of `work` breaks the
/// body off: the client sees a cut reply, never a whole-looking one. A client that goes away ends `work` with
/// `BrokenPipe` at its next write.
pub fn written(work: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Body {
    let (parts, mut body) = mpsc::channel(PARTS_MAX);
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || {
        let _span = span.enter();
        let mut writer = Parts { parts: parts.clone(), open: Vec::with_capacity(PART_BYTES) };
        if let Err(error) = work(&mut writer).and_then(|()| writer.flush()) {
            tracing::warn!(%error, "a reply ended early");
            // A client that has gone is told nothing.
            let _ = parts.blocking_send(Err(error));
        }
    });
    Body::from_stream(stream::poll_fn(move |cx| body.poll_recv(cx)))
}

/// Hands what is written to a channel, in parts of one size. Waits while the channel is full.
struct Parts {
    parts: mpsc::Sender<io::Result<Bytes>>,
    open: Vec<u8>,
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        if self.open.len() == PART_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.open, Vec::with_capacity(PART_BYTES));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone");
        self.parts.blocking_send(Ok(part.into())).map_err(gone)
    }
}

#[cfg(test)]
mod tests;
