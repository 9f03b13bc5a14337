//! Records a file or a stream on the appliance.
//!
//! Promises: bytes are forgotten here only when the server has called them durable; the id is shown before the first
//! byte is sent, so that a file can be resumed even after this program was killed; whatever breaks in between, the
//! recording is continued from where the server stands, without gap or repetition.

mod replay;
mod source;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lucid_error::chain;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::api::{Session, SessionState};
use crate::backoff::{Backoff, Patience};
use crate::connection::Client;
use crate::console::Console;
use crate::error::ClientError;
use crate::progress::Progress;
use crate::sessions::session;
use replay::{REPLAY_BYTES_MAX, Replay};
pub use source::Source;
use upload::{Standing, Upload, create, standing};

/// How to record.
#[derive(Clone, Debug, Default)]
pub struct RecordOptions {
    /// What to call a new recording; may be empty.
    pub label: String,
    /// An earlier recording to continue, from a file.
    pub resume: Option<Uuid>,
    /// How long to wait for the anchor at the end. `None`: not at all.
    pub anchor_wait: Option<Duration>,
    /// How patient to be with the network.
    pub patience: Patience,
}

/// Records `source` and returns what the server knows of it then: anchored, if that was waited for.
///
/// # Errors
/// The source can't be read, the server refuses, or there was no progress for as long as `patience` allows. What is
/// durable by then stays on the appliance.
pub async fn record(
    client: &Client,
    console: &dyn Console,
    source: Source,
    options: &RecordOptions,
) -> Result<Session, ClientError> {
    let mut source = source.open().await?;
    let (id, start) = begin(client, options).await?;
    if options.resume.is_some() && !start.complete {
        source.skip(id, start.offset).await?;
    }
    console.line(&format!("recording {id}; if interrupted: lucid record --resume {id} FILE"));
    if !start.complete {
        let name = source.name.clone();
        let progress = Progress::new(console, "recording", source.total_bytes);
        let replay = Arc::new(Replay::new(start.offset, REPLAY_BYTES_MAX));
        let reader = Arc::clone(&replay);
        // Dropped, and so ended, with this function, however it is left.
        let _reading = AbortOnDropHandle::new(tokio::spawn(async move { source.read_into(&reader).await }));
        let upload = Upload { client, id, replay, patience: &options.patience };
        Sender { upload, name, progress, backoff: Backoff::new(options.patience.clone()) }.send(start.offset).await?;
    }
    match options.anchor_wait {
        Some(limit) => anchored(client, id, limit, options.patience.poll).await,
        None => session(client, id).await,
    }
}

async fn begin(client: &Client, options: &RecordOptions) -> Result<(Uuid, Standing), ClientError> {
    match options.resume {
        Some(id) => Ok((id, standing(client, id).await?)),
        None => Ok((create(client, &options.label).await?, Standing { offset: 0, complete: false })),
    }
}

/// Sends until the server has everything, over as many connections as that takes.
struct Sender<'a> {
    upload: Upload<'a>,
    name: String,
    progress: Progress<'a>,
    backoff: Backoff,
}

impl Sender<'_> {
    async fn send(mut self, start: u64) -> Result<(), ClientError> {
        let mut offset = start;
        let mut is_stuck = false;
        loop {
            let before = offset;
            let Err(error) = self.attempt(&mut offset, is_stuck).await else {
                return Ok(());
            };
            self.check_source()?;
            let now = self.recover(error).await?;
            if self.is_done(now)? {
                return Ok(());
            }
            if now.offset > before {
                self.backoff.progressed();
            }
            is_stuck = now.offset <= offset;
            offset = now.offset;
        }
    }

    /// One connection's worth. Where the one before has achieved nothing, a few bytes go first to hear why.
    async fn attempt(&mut self, offset: &mut u64, is_stuck: bool) -> Result<(), ClientError> {
        if is_stuck {
            *offset = self.upload.feel(*offset).await?;
        }
        self.upload.send_from(*offset, &mut self.progress).await
    }

    /// After an error: waits and asks where the server stands, as often as there is hope.
    async fn recover(&mut self, mut error: ClientError) -> Result<Standing, ClientError> {
        // 409 says that both sides differ in where they stand, and HEAD settles it.
        while error.is_transient() || error.status() == Some(409) {
            self.progress.line(&format!("{}; trying again", chain(&error)));
            if !self.backoff.wait().await {
                return Err(self.gave_up(error));
            }
            match standing(self.upload.client, self.upload.id).await {
                Ok(standing) => return Ok(standing),
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    /// Takes over where the server stands, if this side can go on from there.
    fn is_done(&self, now: Standing) -> Result<bool, ClientError> {
        let (from, to) = self.upload.replay.span();
        let out_of_step = |reason| ClientError::OutOfStep { id: self.upload.id, at: now.offset, from, to, reason };
        if now.offset < from {
            return Err(out_of_step("it has lost bytes that it had called durable"));
        }
        if now.offset > to {
            return Err(out_of_step("somebody else has sent bytes to the same recording"));
        }
        self.upload.replay.release(now.offset);
        match (now.complete, self.upload.replay.total()) {
            (true, Some(total)) if total == now.offset => Ok(true),
            (true, _) => Err(out_of_step("it was ended there, and takes no more")),
            (false, _) => Ok(false),
        }
    }

    fn check_source(&self) -> Result<(), ClientError> {
        match self.upload.replay.take_failure() {
            Some(source) => Err(ClientError::Source { name: self.name.clone(), id: self.upload.id, source }),
            None => Ok(()),
        }
    }

    fn gave_up(&self, error: ClientError) -> ClientError {
        ClientError::GaveUp {
            id: self.upload.id,
            after_s: self.upload.patience.no_progress_max.as_secs(),
            durable_bytes: self.upload.replay.span().0,
            source: Box::new(error),
        }
    }
}

/// Waits until the anchor of `id` is in a block. The recording is safe by now, so that a server which is away for a
/// moment is no error before `limit`.
async fn anchored(client: &Client, id: Uuid, limit: Duration, poll: Duration) -> Result<Session, ClientError> {
    let started = Instant::now();
    loop {
        match session(client, id).await {
            Ok(session) if session.state == SessionState::Anchored => return Ok(session),
            Ok(session) if session.state == SessionState::Failed => return Err(ClientError::RecordingFailed { id }),
            Err(error) if !error.is_transient() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        if started.elapsed() >= limit {
            return Err(ClientError::NotAnchored { id, after_s: limit.as_secs() });
        }
        tokio::time::sleep(poll).await;
    }
}

#[cfg(test)]
mod tests;
