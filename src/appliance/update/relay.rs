//! Hands a bundle's bytes on to the agent: one bundle at a time, a few pieces in memory, as fast as the agent takes
//! them.
//!
//! Must never look at the bytes: what they are worth the agent finds out.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf as _, Bytes};
use futures_util::future::{Either, select};
use futures_util::stream::{BoxStream, StreamExt as _};
use lucid_agent_protocol::{Client, ClientError};
use lucid_layout::Digest;
use tokio::sync::mpsc;

use super::desk::Turn;
use super::error::UpdateError;
use super::fetch::BUNDLE_BYTES_MAX;
use crate::agent_link::AgentError;

/// Pieces between who sends and the agent: enough that neither waits for the other at each one. A piece is what one
/// read of a connection gives, at most a few hundred kilobytes.
const PIECES_MAX: usize = 4;

/// Pieces on their way; an empty one is the end.
type Pieces = mpsc::Receiver<io::Result<Bytes>>;

/// Bytes of a bundle.
pub(crate) struct Part {
    pub(crate) start: Start,
    pub(crate) bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// Which bytes they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Of the bundle, the first that is at hand.
    pub(crate) offset: u64,
    /// Which bundle it is, where it does not begin at its beginning.
    pub(crate) bundle: Option<Digest>,
    /// Nobody asked for it.
    pub(crate) automatic: bool,
    /// So many bytes come before it, because a server would not begin there.
    pub(crate) skip: u64,
}

/// Sends a part. `done` counts the bytes of the bundle that the agent has taken. `turn` is given back when the agent is
/// done with it, also where nobody waits for this any more.
///
/// # Errors
/// The agent's refusal; what broke; [`UpdateError::WrongOffset`] where the part begins behind what the agent wants.
pub(crate) async fn relay(client: Client, part: Part, done: Arc<AtomicU64>, turn: Turn) -> Result<(), UpdateError> {
    done.store(part.start.offset, Ordering::Relaxed);
    let (pieces_in, pieces) = mpsc::channel(PIECES_MAX);
    let Part { start, bytes } = part;
    let first = start.offset.saturating_sub(start.skip);
    let sending = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        send(&client, &start, pieces, &done)
    });
    let pumped = pump(bytes, pieces_in, first).await;
    let sent = sending.await.map_err(UpdateError::Failed)?;
    // The agent's word counts for more than a connection that broke after it: it may have had all that it needs.
    match (sent, pumped) {
        (Ok(()), _) => Ok(()),
        (Err(error @ UpdateError::Agent(AgentError::Refused(_))), _) => Err(error),
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error),
    }
}

/// The blocking half. Where the pieces break off, so does the transfer: the agent never takes that for the whole.
fn send(client: &Client, start: &Start, mut pieces: Pieces, done: &AtomicU64) -> Result<(), UpdateError> {
    let upload = client.send_bundle(start.offset, start.bundle, start.automatic).map_err(told)?;
    let wanted = upload.offset();
    let late = wanted.checked_sub(start.offset).ok_or(UpdateError::WrongOffset { wanted })?;
    let mut skip = start.skip + late;
    done.store(wanted, Ordering::Relaxed);
    while let Some(piece) = pieces.blocking_recv() {
        let mut piece = piece.map_err(UpdateError::BrokenOff)?;
        if piece.is_empty() {
            return upload.finish().map_err(told);
        }
        let skipped = skip.min(piece.len() as u64);
        piece.advance(usize::try_from(skipped).expect("no more than the piece has"));
        skip -= skipped;
        upload.send(&piece).map_err(told)?;
        done.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    Err(UpdateError::BrokenOff(io::ErrorKind::ConnectionAborted.into()))
}

fn told(error: ClientError) -> UpdateError {
    match error {
        ClientError::Refused(refusal) => AgentError::Refused(refusal).into(),
        error => AgentError::Client(error).into(),
    }
}

/// The asynchronous half: takes piece after piece, no faster than the agent does.
async fn pump(
    mut bytes: BoxStream<'static, io::Result<Bytes>>,
    pieces: mpsc::Sender<io::Result<Bytes>>,
    first: u64,
) -> Result<(), UpdateError> {
    let mut left = BUNDLE_BYTES_MAX.saturating_sub(first);
    loop {
        // An agent that takes no more has said why in its own answer: nothing is waited for then.
        let piece = match select(bytes.next(), pin!(pieces.closed())).await {
            Either::Right(_) => return Ok(()),
            Either::Left((None, _)) => break,
            Either::Left((Some(Ok(piece)), _)) if piece.is_empty() => continue,
            Either::Left((Some(Ok(piece)), _)) => piece,
            Either::Left((Some(Err(error)), _)) => return break_off(&pieces, UpdateError::BrokenOff(error)).await,
        };
        let Some(rest) = left.checked_sub(piece.len() as u64) else {
            return break_off(&pieces, UpdateError::TooLarge).await;
        };
        left = rest;
        if pieces.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
    }
    // An empty piece is the end: a channel that closes without one is a sender that has gone away.
    let _ = pieces.send(Ok(Bytes::new())).await;
    Ok(())
}

/// Tells the blocking half, so that what the agent has so far is never taken for the whole.
async fn break_off(pieces: &mpsc::Sender<io::Result<Bytes>>, error: UpdateError) -> Result<(), UpdateError> {
    // Where it has ended already there is nobody to tell.
    let _ = pieces.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
    Err(error)
}

#[cfg(test)]
mod tests;
