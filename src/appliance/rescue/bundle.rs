//! A bundle on its way from a plain form to the agent: one at a time, piece by piece.
//!
//! Must never look at the bytes: what they are worth the agent finds out.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::NotDone;
use crate::update::{PACE_BYTES, PACE_TIME, Pace, Part, Source, Start, Transfer, Turn, UpdateError, described, relay};
use crate::{AgentError, AgentLink};

/// Pieces of the body on their way: enough that neither end waits for the other at every one.
const PIECES_MAX: usize = 4;
/// Until the form's file begins. A browser sends what stands before it in one packet; whoever sends nothing keeps
/// others from sending.
const BEGIN_MAX: Duration = Duration::from_secs(15);

/// As for a server that is fetched from, and nobody can discard here what never ends.
#[derive(Debug, thiserror::Error)]
#[error("under {PACE_BYTES} bytes came in {} minutes: use a faster connection", PACE_TIME.as_secs() / 60)]
struct TooSlow;

/// What is known of bundles that are sent here.
pub(super) struct Bundles {
    turn: Arc<Semaphore>,
    last: Mutex<Option<Last>>,
}

/// The bundle that is on its way, or the last one that was.
struct Last {
    done: Arc<AtomicU64>,
    active: bool,
    problem: Option<String>,
}

/// However a transfer ends, it is then not active any more.
struct Going<'a>(&'a Bundles);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Some(last) = &mut *self.0.last() {
            last.active = false;
        }
    }
}

impl Default for Bundles {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), last: Mutex::default() }
    }
}

impl Bundles {
    /// Hands the file of a form on. The agent tells by its header whether it goes on with one that was interrupted.
    pub(super) async fn take(&self, agent: &AgentLink, mut form: Multipart) -> Result<(), NotDone> {
        let client = agent.client().ok_or(AgentError::Absent)?;
        let turn = self.turn()?;
        let file = file_of(&mut form).await?;
        let done = Arc::new(AtomicU64::new(0));
        *self.last() = Some(Last { done: done.clone(), active: true, problem: None });
        let _going = Going(self);
        let (pieces_in, pieces) = mpsc::channel(PIECES_MAX);
        let start = Start { offset: 0, bundle: None, automatic: false, skip: 0 };
        let part = Part { start, bytes: ReceiverStream::new(pieces).boxed() };
        let ((), sent) = tokio::join!(hand_on(file, pieces_in), relay(client, part, done, turn));
        self.note(&sent);
        Ok(sent?)
    }

    /// What is shown of it.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        let last = self.last();
        let Last { done, active, problem } = last.as_ref()?;
        let (done_bytes, problem) = (done.load(Ordering::Relaxed), problem.clone());
        Some(Transfer { source: Source::Upload, url: None, done_bytes, of_bytes: None, active: *active, problem })
    }

    fn turn(&self) -> Result<Turn, UpdateError> {
        self.turn.clone().try_acquire_owned().map(Arc::new).map_err(|_| UpdateError::Busy)
    }

    fn note(&self, sent: &Result<(), UpdateError>) {
        let Err(error) = sent else { return };
        let problem = described(error);
        tracing::warn!(problem, "a bundle did not reach the agent");
        if let Some(last) = &mut *self.last() {
            last.problem = Some(problem);
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        // Every change is one assignment: a poisoned lock leaves nothing half done.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file, which is all that the form has.
async fn file_of(form: &mut Multipart) -> Result<Field<'_>, NotDone> {
    let unreadable = |error: MultipartError| NotDone::bad_request(format!("The form can't be read ({error})."));
    let Ok(field) = timeout(BEGIN_MAX, form.next_field()).await else {
        let text = format!("The form's file did not begin within {} seconds. Send it again.", BEGIN_MAX.as_secs());
        return Err(NotDone { status: StatusCode::REQUEST_TIMEOUT, text });
    };
    match field.map_err(unreadable)? {
        Some(field) if field.name() == Some("file") => Ok(field),
        Some(_) => Err(NotDone::bad_request("The form has a field that is none of ours.")),
        None => Err(NotDone::bad_request("The form came without a file. Nothing was sent.")),
    }
}

/// Hands a file on piece by piece. When the connection breaks or is too slow, the taker is told, so that what it has is
/// never taken for the whole; one that has given up says why itself.
async fn hand_on(mut file: Field<'_>, pieces: mpsc::Sender<io::Result<Bytes>>) {
    let mut pace = Pace::default();
    while let Some(piece) = next(&mut file, &mut pace).await.transpose() {
        let is_broken = piece.is_err();
        if pieces.send(piece).await.is_err() || is_broken {
            return;
        }
    }
}

/// The next piece, waited for as long as the pace allows.
async fn next(file: &mut Field<'_>, pace: &mut Pace) -> io::Result<Option<Bytes>> {
    let began = Instant::now();
    let piece = timeout(pace.left(), file.chunk()).await.map_err(|_| io::Error::other(TooSlow))?;
    let Some(piece) = piece.map_err(io::Error::other)? else { return Ok(None) };
    pace.add(began.elapsed(), piece.len() as u64).map_err(|_| io::Error::other(TooSlow))?;
    Ok(Some(piece))
}
