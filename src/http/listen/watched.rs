//! A stream and a reply body that note what a connection is doing, and a request body that does not wait for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep, sleep};

use super::registry::{Activity, Phase};

/// A stream that notes bytes in both directions.
#[derive(Debug)]
pub(super) struct WatchedStream<T> {
    inner: T,
    activity: Arc<Activity>,
}

impl<T> WatchedStream<T> {
    pub(super) fn new(inner: T, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }

    /// Notes the outcome of a write.
    fn note(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(_) => self.activity.sent(),
            Poll::Pending => self.activity.write_blocked(),
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedStream<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled_before = buf.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > filled_before {
            self.activity.received();
        }
        outcome
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        // TLS takes a reply into its own buffer at once: only the flush shows that the client does not read.
        match outcome {
            Poll::Ready(_) => self.activity.flushed(),
            Poll::Pending => self.activity.write_blocked(),
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A reply body; the request counts as in progress until it is sent or dropped.
#[derive(Debug)]
pub(super) struct WatchedBody {
    inner: axum::body::Body,
    activity: Arc<Activity>,
}

impl WatchedBody {
    pub(super) fn new(inner: axum::body::Body, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.activity.enter(Phase::Idle);
    }
}

/// A request body that fails when the client sends nothing of it for a while. The handler then sees an error in place
/// of waiting: uploads have no other time limit.
#[derive(Debug)]
pub(super) struct TimedBody {
    inner: Incoming,
    limit: Duration,
    /// Runs while the next piece is awaited.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a [`TimedBody`] can end with.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The connection broke or the body is not what its headers say.
    #[error("the request body can't be read")]
    Broken {
        /// What hyper said.
        #[source]
        source: hyper::Error,
    },
    /// Nothing came in time.
    #[error("the client sent nothing of the request body for {limit_ms} ms")]
    Stalled {
        /// How long was waited.
        limit_ms: u128,
    },
}

impl TimedBody {
    pub(super) fn new(inner: Incoming, limit: Duration) -> Self {
        Self { inner, limit, timer: None }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|source| BodyError::Broken { source })));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| {
            // Asked again, it says so again only after the same time.
            timer.as_mut().reset(Instant::now() + limit);
            Some(Err(BodyError::Stalled { limit_ms: limit.as_millis() }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
