//! One upload on the wire, after draft-ietf-httpbis-resumable-upload: HEAD tells where the server stands, PATCH sends
//! the rest. While bytes flow a second connection asks how much is durable.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use reqwest::{Body, Method, RequestBuilder, Response};
use uuid::Uuid;

use super::replay::{Next, Replay};
use crate::api::{NewSession, reply};
use crate::backoff::Patience;
use crate::connection::{CALL_TIMEOUT, Client, Transport};
use crate::error::ClientError;
use crate::progress::Progress;
use crate::sessions::session;

/// Poll at most this often, and so often when the replay buffer is more than half full: the other half is then what may
/// flow until the next answer, 2 GB/s, so that the poll is not what limits the speed.
const HASTY_POLL: Duration = Duration::from_millis(20);

/// Sent at once to hear the server's answer: fits into the buffers of any connection, so that sending never waits.
const FEEL_BYTES: usize = 16 << 10;

/// How far the server has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Durable bytes.
    pub(super) offset: u64,
    /// Whether it has the end, too.
    pub(super) complete: bool,
}

pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) id: Uuid,
    pub(super) replay: Arc<Replay>,
    pub(super) patience: &'a Patience,
}

/// Begins a recording.
pub(super) async fn create(client: &Client, label: &str) -> Result<Uuid, ClientError> {
    let attempted = "begin a recording";
    let body = NewSession { label };
    let post = |http: &Transport| http.request(Method::POST, "/api/sessions").timeout(CALL_TIMEOUT).json(&body);
    let response = client.send(attempted, post).await?;
    let location = header(&response, "location").unwrap_or_default();
    let id = location.trim_end_matches("/stream").rsplit('/').next().and_then(|id| id.parse().ok());
    id.ok_or_else(|| reply(attempted, "no session id in `Location`".to_owned()))
}

/// Asks where the server stands. It ends an older upload of the same recording that may still hang.
pub(super) async fn standing(client: &Client, id: Uuid) -> Result<Standing, ClientError> {
    let attempted = format!("ask how far recording {id} is");
    let path = stream_path(id);
    let head = |http: &Transport| http.request(Method::HEAD, &path).timeout(CALL_TIMEOUT);
    let response = client.send(&attempted, head).await?;
    let offset = header(&response, "upload-offset").and_then(|offset| offset.parse().ok());
    let complete = match header(&response, "upload-complete") {
        Some("?1") => Some(true),
        Some("?0") => Some(false),
        _ => None,
    };
    match (offset, complete) {
        (Some(offset), Some(complete)) => Ok(Standing { offset, complete }),
        _ => Err(reply(&attempted, "no `Upload-Offset` and `Upload-Complete`".to_owned())),
    }
}

impl Upload<'_> {
    /// Sends everything from `offset` to the end of the stream; returns when the server has it all on disk.
    pub(super) async fn send_from(&self, offset: u64, progress: &mut Progress<'_>) -> Result<(), ClientError> {
        let sent = Arc::new(AtomicU64::new(offset));
        let patch = pin!(self.patch(offset, Arc::clone(&sent)));
        let watch = pin!(self.watch(&sent, progress));
        match select(patch, watch).await {
            Either::Left((sent, _)) => sent,
            Either::Right((trouble, _)) => Err(trouble),
        }
    }

    /// Sends a few bytes from `offset` in a request of their own and returns where the server stands then.
    ///
    /// A server that refuses a long body answers and hangs up, and the answer can be lost behind the bytes still being
    /// sent. Behind these few it can't, so that the reason of a lasting refusal comes to light.
    pub(super) async fn feel(&self, offset: u64) -> Result<u64, ClientError> {
        let Next::Piece(mut piece) = self.replay.next(offset).await else { return Ok(offset) };
        piece.truncate(FEEL_BYTES);
        let to = offset + piece.len() as u64;
        let patch = |http: &Transport| self.request(http, offset, "?0").body(piece.clone());
        let (attempted, started) = (self.attempted(), Instant::now());
        let answer = tokio::time::timeout(self.patience.silence_max, self.client.send(&attempted, patch)).await;
        let response = answer.unwrap_or_else(|_| Err(self.stalled(started)))?;
        match header(&response, "upload-offset").and_then(|offset| offset.parse::<u64>().ok()) {
            Some(acknowledged) if acknowledged == to => {
                self.replay.release(to);
                Ok(to)
            }
            acknowledged => Err(reply(&attempted, format!("it acknowledges {acknowledged:?} of {to} bytes"))),
        }
    }

    fn request(&self, http: &Transport, offset: u64, complete: &'static str) -> RequestBuilder {
        http.request(Method::PATCH, &stream_path(self.id))
            .header("Upload-Offset", offset)
            .header("Upload-Complete", complete)
            .header("Content-Type", "application/partial-upload")
    }

    async fn patch(&self, offset: u64, sent: Arc<AtomicU64>) -> Result<(), ClientError> {
        let attempted = self.attempted();
        let patch = |http: &Transport| {
            sent.store(offset, Ordering::Relaxed);
            self.request(http, offset, "?1").body(body(Arc::clone(&self.replay), offset, Arc::clone(&sent)))
        };
        let response = self.client.send(&attempted, patch).await?;
        let acknowledged: Option<u64> = header(&response, "upload-offset").and_then(|offset| offset.parse().ok());
        match (acknowledged, self.replay.total()) {
            (Some(acknowledged), Some(total)) if acknowledged == total => Ok(()),
            (acknowledged, total) => {
                Err(reply(&attempted, format!("it acknowledges {acknowledged:?} of {total:?} bytes")))
            }
        }
    }

    /// Releases what is durable. Ends only with trouble: when the server is silent, stands still or has lost the
    /// recording.
    async fn watch(&self, sent: &AtomicU64, progress: &mut Progress<'_>) -> ClientError {
        let (mut heard, mut moved) = (Instant::now(), Instant::now());
        loop {
            self.pause().await;
            let before = self.replay.span().0;
            match tokio::time::timeout(self.patience.silence_max, session(self.client, self.id)).await {
                Ok(Ok(session)) => {
                    heard = Instant::now();
                    self.replay.release(session.durable_bytes);
                }
                Ok(Err(error)) if !error.is_transient() => return error,
                Ok(Err(_)) | Err(_) => {}
            }
            let durable = self.replay.span().0;
            progress.at(durable);
            // A source that gives nothing is no standstill of the server.
            if durable > before || sent.load(Ordering::Relaxed) <= durable {
                moved = Instant::now();
            }
            if heard.elapsed() >= self.patience.silence_max {
                return self.stalled(heard);
            }
            if moved.elapsed() >= self.patience.standstill_max {
                return self.stalled(moved);
            }
        }
    }

    /// Until the next poll: it is due at its time, or once the replay buffer fills up.
    async fn pause(&self) {
        let hasty = self.patience.poll.min(HASTY_POLL);
        tokio::time::sleep(hasty).await;
        let rest = tokio::time::timeout(self.patience.poll - hasty, self.replay.half_full());
        // Either is a reason to ask.
        let _ = rest.await;
    }

    fn stalled(&self, since: Instant) -> ClientError {
        ClientError::Stalled { attempted: self.attempted(), after_s: since.elapsed().as_secs() }
    }

    fn attempted(&self) -> String {
        format!("send recording {}", self.id)
    }
}

/// The stream from `offset` on. A source that breaks breaks the request, too, so that the server never takes the
/// part for the whole.
fn body(replay: Arc<Replay>, offset: u64, sent: Arc<AtomicU64>) -> Body {
    Body::wrap_stream(futures_util::stream::try_unfold(offset, move |cursor| {
        let (replay, sent) = (Arc::clone(&replay), Arc::clone(&sent));
        async move {
            match replay.next(cursor).await {
                Next::Piece(piece) => {
                    let cursor = cursor + piece.len() as u64;
                    sent.store(cursor, Ordering::Relaxed);
                    Ok(Some((piece, cursor)))
                }
                Next::End => Ok(None),
                Next::Failed => Err(std::io::Error::other("the source can't be read")),
            }
        }
    }))
}

fn stream_path(id: Uuid) -> String {
    format!("/api/sessions/{id}/stream")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}
