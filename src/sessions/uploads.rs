//! Uploads under way: at most one a session, a bounded number in all.

use std::{io, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt,
    future::{Either, select},
};
use lucid_device::Clock;
use lucid_kit::{Pool, PoolError, Slot, Unavailable};
use lucid_ports::{Identity, Recording, RecordingState, SessionId, Storage};
use lucid_proof::manifest::CHUNKS_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    attachments::{Attachment, NotAttached},
    chunk::ChunkError,
    chunk_memory::ChunkMemory,
    chunker::Cut,
    progress::{Progress, stamp},
    repository::Repository,
    repository_error::RepositoryError,
    session_pipeline::PipelineConfig,
    upload::{Piece, Upload, under_way_max},
};

/// Pieces of a body that may wait; a piece is what one read of the socket gave.
const PIECES_MAX: usize = 4;
/// Longest label in characters.
const LABEL_CHARS_MAX: usize = 200;

/// Why an upload is refused or has ended.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The label breaks a rule.
    #[error("a label has at most {LABEL_CHARS_MAX} characters and no control characters")]
    Label,
    /// The offset is not where the recording ends.
    #[error("the recording has {expected} durable bytes, and the upload would go on at {offset}")]
    WrongOffset {
        /// What the client wanted.
        offset: u64,
        /// What is durable.
        expected: u64,
    },
    /// The recording takes no more bytes.
    #[error("recording {0} is complete: it takes no more bytes")]
    Complete(SessionId),
    /// It has as many chunks as a manifest can state.
    #[error("the recording has {CHUNKS_MAX} chunks, as many as one can have: end it and begin another")]
    TooLong,
    /// A newer connection took over.
    #[error("a newer connection took this upload over")]
    Superseded,
    /// As many uploads as allowed are running.
    #[error("{0} recordings are running, as many as allowed: try again when one has ended")]
    TooMany(usize),
    /// The disk has reached its reserve.
    #[error("the data disk is full: delete recordings, or move them to a larger disk")]
    DiskFull,
    /// The data disk is not usable.
    #[error("the data disk is not usable: {0}")]
    StorageGone(String),
    /// A service it needs does not run.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The appliance stops, or a part of the upload failed and took the rest with it.
    #[error("the upload was interrupted: resume it from its durable offset")]
    Interrupted,
    /// Sealing a chunk failed.
    #[error("sealing a chunk failed")]
    Chunk(#[from] ChunkError),
    /// A computing thread failed.
    #[error("a computing thread failed")]
    Pool(#[from] PoolError),
    /// The repository failed.
    #[error("the recordings' store failed")]
    Repository(#[from] RepositoryError),
}

/// Starts and tracks uploads. Lent by session-pipeline while it runs.
pub struct Uploads {
    config: PipelineConfig,
    repository: Slot<Repository>,
    pool: Pool,
    clock: Arc<dyn Clock>,
    storage: watch::Receiver<Storage>,
    progress: Progress,
    memory: Arc<ChunkMemory>,
    room: Arc<Semaphore>,
    drivers: TaskTracker,
    stop: CancellationToken,
}

/// An upload that takes bytes.
pub(crate) struct Attached {
    body: mpsc::Sender<Piece>,
    outcome: oneshot::Receiver<Result<Recording, UploadError>>,
}

impl Attached {
    /// Hands all of `bytes` on, and gives the recording once they are durable. Where the stream breaks or the upload
    /// takes no more, what came before is durable all the same, and the error tells which it was.
    pub(crate) async fn feed(
        self,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<Recording, UploadError> {
        let whole = loop {
            // An upload that has ended by itself tells its client now, and not when the next bytes come.
            match select(pin!(bytes.next()), pin!(self.body.closed())).await {
                Either::Left((Some(Ok(piece)), _)) => {
                    if self.body.send(Piece::Data(piece)).await.is_err() {
                        break false;
                    }
                }
                Either::Left((None, _)) => break true,
                Either::Left((Some(Err(_)), _)) | Either::Right(_) => break false,
            }
        };
        if whole {
            // An upload that has ended by itself wants no end.
            let _ = self.body.send(Piece::End).await;
        }
        drop(self.body);
        self.outcome.await.map_err(|_| UploadError::Interrupted)?
    }
}

impl Uploads {
    pub(crate) fn new(
        config: PipelineConfig,
        repository: Slot<Repository>,
        pool: Pool,
        clock: Arc<dyn Clock>,
        storage: watch::Receiver<Storage>,
        progress: Progress,
        stop: CancellationToken,
    ) -> Self {
        let memory = ChunkMemory::new(config.chunk_bytes, config.level, under_way_max(pool.width()));
        let (memory, room) = (Arc::new(memory), Arc::new(Semaphore::new(config.uploads_max)));
        Self { config, repository, pool, clock, storage, progress, memory, room, drivers: TaskTracker::new(), stop }
    }

    /// How many uploads run.
    pub fn running(&self) -> usize {
        self.drivers.len()
    }

    /// Tells all uploads to end; what has arrived is made durable.
    pub(crate) fn interrupt(&self) {
        self.stop.cancel();
    }

    /// As [`Uploads::interrupt`], and waits until they have ended.
    pub(crate) async fn close(&self) {
        self.interrupt();
        self.drivers.close();
        self.drivers.wait().await;
    }

    /// Begins a recording of `owner`.
    pub(crate) async fn begin(&self, owner: &Identity, label: &str) -> Result<SessionId, UploadError> {
        if label.chars().count() > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
            return Err(UploadError::Label);
        }
        match &*self.storage.borrow() {
            Storage::Ready { low: false, .. } => {}
            Storage::Ready { .. } => return Err(UploadError::DiskFull),
            Storage::Waiting { reason } => return Err(UploadError::StorageGone(reason.clone())),
        }
        Ok(self.repository.get()?.create(owner, label, stamp(&*self.clock)).await?)
    }

    /// Ends an upload that may hang half-dead, and tells how far the recording is. What its client does before it
    /// resumes.
    pub(crate) async fn settle(&self, id: SessionId) -> Result<Recording, UploadError> {
        let repository = self.repository.get()?;
        let (_attachment, _) = self.take_over(&repository, id).await?;
        Ok(repository.get(id)?)
    }

    /// Attaches a connection that goes on at `offset`; with `last`, the body's end is the recording's end.
    pub(crate) async fn attach(&self, id: SessionId, offset: u64, last: bool) -> Result<Attached, UploadError> {
        let repository = self.repository.get()?;
        let (attachment, cancel) = self.take_over(&repository, id).await?;
        // Only now: the upload that was taken over may have had the last place.
        let place = self.room.clone().try_acquire_owned();
        let place = place.map_err(|_| UploadError::TooMany(self.config.uploads_max))?;
        let recording = repository.get(id)?;
        if recording.state != RecordingState::Recording {
            return Err(UploadError::Complete(id));
        }
        if recording.durable_bytes != offset {
            return Err(UploadError::WrongOffset { offset, expected: recording.durable_bytes });
        }
        repository.discard_uncounted(id, recording.chunks).await?;
        let upload = Upload {
            id,
            key: Arc::new(repository.key(id)?),
            first: recording.chunks,
            cut: Cut { bytes: self.config.chunk_bytes, age: self.config.chunk_age },
            memory: self.memory.clone(),
            repository,
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            storage: self.storage.clone(),
        };
        Ok(self.drive(upload, cancel, last, (place, attachment)))
    }

    /// Runs the upload on a task of its own: a connection that breaks must not take chunks that are being sealed with
    /// it, or their files could appear while the next connection writes the same ones.
    fn drive(&self, upload: Upload, cancel: CancellationToken, last: bool, held: Held) -> Attached {
        let (body, pieces) = mpsc::channel(PIECES_MAX);
        let (tell, outcome) = oneshot::channel();
        let (id, repository, clock) = (upload.id, upload.repository.clone(), self.clock.clone());
        let (progress, stop) = (self.progress.clone(), self.stop.clone());
        let work = async move {
            let ended = finish(upload, pieces, (cancel, stop), last, &*clock).await;
            // What was held goes before the answer: a client that has its answer may come again at once.
            drop(held);
            let complete = ended.as_ref().is_ok_and(|recording| recording.state != RecordingState::Recording);
            if tell.send(ended).is_err() {
                tracing::debug!(session = %id, "the client has gone before its upload ended");
            }
            if complete {
                progress.advance_logged(&repository, id).await;
            }
        };
        self.drivers.spawn(work.in_current_span());
        Attached { body, outcome }
    }

    /// Cancels the session's present upload and waits until it has ended. The attachment keeps others out.
    async fn take_over(
        &self,
        repository: &Repository,
        id: SessionId,
    ) -> Result<(Attachment, CancellationToken), UploadError> {
        let cancel = self.stop.child_token();
        match repository.attachments().take_over(id, &cancel).await {
            Ok(attachment) => Ok((attachment, cancel)),
            Err(NotAttached::Cancelled) => Err(cancelled(&self.stop)),
            Err(NotAttached::Busy) => Err(UploadError::Interrupted),
        }
    }
}

/// What an upload holds while it runs, in the order in which it lets go: who waits for the attachment finds the place
/// free.
type Held = (OwnedSemaphorePermit, Attachment);

/// Drives the upload to its end, and ends the recording where the body was its last.
async fn finish(
    upload: Upload,
    pieces: mpsc::Receiver<Piece>,
    (cancel, stop): (CancellationToken, CancellationToken),
    last: bool,
    clock: &dyn Clock,
) -> Result<Recording, UploadError> {
    let (id, repository) = (upload.id, upload.repository.clone());
    let whole = upload.drive(pieces, cancel.clone()).await?;
    if !whole {
        return Err(if cancel.is_cancelled() { cancelled(&stop) } else { UploadError::Interrupted });
    }
    if last { Ok(repository.end(id, stamp(clock)).await?) } else { Ok(repository.get(id)?) }
}

/// Why an upload was cancelled: by a newer one, unless all of them end.
fn cancelled(stop: &CancellationToken) -> UploadError {
    if stop.is_cancelled() { UploadError::Interrupted } else { UploadError::Superseded }
}
