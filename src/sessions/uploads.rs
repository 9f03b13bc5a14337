//! Uploads under way: at most one a session, a bounded number in all.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use lucid_device::Clock;
use lucid_kit::{Pool, PoolError, Slot, Unavailable};
use lucid_ports::{Recording, RecordingState, SessionId, Storage};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    chunk::ChunkError,
    chunker::Cut,
    progress::{Progress, stamp},
    repository::{Repository, RepositoryError},
    session_pipeline::PipelineConfig,
    upload::{Piece, Upload},
};

/// Pieces of a body that may wait; a piece is what one read of the socket gave.
const PIECES_MAX: usize = 4;
/// How long a new upload waits for the one it replaces to make its last bytes durable.
const TAKE_OVER_MAX: Duration = Duration::from_secs(30);
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
    active: Mutex<HashMap<SessionId, Active>>,
    room: Arc<Semaphore>,
    drivers: TaskTracker,
    stop: CancellationToken,
}

/// The upload that a session has now, or had last.
#[derive(Default)]
struct Active {
    lock: Arc<tokio::sync::Mutex<()>>,
    cancel: CancellationToken,
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
            match bytes.next().await {
                Some(Ok(piece)) => {
                    if self.body.send(Piece::Data(piece)).await.is_err() {
                        break false;
                    }
                }
                Some(Err(_)) => break false,
                None => break true,
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
        let (active, drivers) = (Mutex::default(), TaskTracker::new());
        let room = Arc::new(Semaphore::new(config.uploads_max));
        Self { config, repository, pool, clock, storage, progress, active, room, drivers, stop }
    }

    /// How many uploads run.
    pub fn running(&self) -> usize {
        self.drivers.len()
    }

    /// Whether no upload of this session is running or about to.
    pub(crate) fn is_idle(&self, id: SessionId) -> bool {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.get(&id).is_none_or(|former| Arc::strong_count(&former.lock) == 1)
    }

    /// Ends all uploads; what has arrived is made durable.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.drivers.close();
        self.drivers.wait().await;
    }

    /// Begins a recording of `owner`.
    pub(crate) async fn begin(&self, owner: &str, label: &str) -> Result<SessionId, UploadError> {
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
        let (_guard, _) = self.take_over(id).await?;
        Ok(self.repository.get()?.get(id)?)
    }

    /// Attaches a connection that goes on at `offset`; with `last`, the body's end is the recording's end.
    pub(crate) async fn attach(&self, id: SessionId, offset: u64, last: bool) -> Result<Attached, UploadError> {
        let permit = self.room.clone().try_acquire_owned();
        let permit = permit.map_err(|_| UploadError::TooMany(self.config.uploads_max))?;
        let (guard, cancel) = self.take_over(id).await?;
        let repository = self.repository.get()?;
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
            level: self.config.level,
            repository,
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            storage: self.storage.clone(),
        };
        Ok(self.drive(upload, cancel, last, (guard, permit)))
    }

    /// Runs the upload on a task of its own: a connection that breaks must not take chunks that are being sealed with
    /// it, or their files could appear while the next connection writes the same ones.
    fn drive(&self, upload: Upload, cancel: CancellationToken, last: bool, held: Held) -> Attached {
        let (body, pieces) = mpsc::channel(PIECES_MAX);
        let (tell, outcome) = oneshot::channel();
        let (id, repository, clock) = (upload.id, upload.repository.clone(), self.clock.clone());
        let progress = self.progress.clone();
        let work = async move {
            let ended = finish(upload, pieces, cancel, last, &*clock).await;
            // The guard goes before the answer: a client that has its answer may come again at once.
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

    /// Cancels the session's present upload and waits until it has ended. The guard keeps others out.
    async fn take_over(&self, id: SessionId) -> Result<(OwnedMutexGuard<()>, CancellationToken), UploadError> {
        let cancel = self.stop.child_token();
        let lock = {
            let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            // Sessions whose lock nobody holds or waits for are over.
            active.retain(|_, former| Arc::strong_count(&former.lock) > 1);
            let entry = active.entry(id).or_default();
            std::mem::replace(&mut entry.cancel, cancel.clone()).cancel();
            entry.lock.clone()
        };
        let guard =
            tokio::time::timeout(TAKE_OVER_MAX, lock.lock_owned()).await.map_err(|_| UploadError::Interrupted)?;
        if cancel.is_cancelled() { Err(UploadError::Superseded) } else { Ok((guard, cancel)) }
    }
}

type Held = (OwnedMutexGuard<()>, OwnedSemaphorePermit);

/// Drives the upload to its end, and ends the recording where the body was its last.
async fn finish(
    upload: Upload,
    pieces: mpsc::Receiver<Piece>,
    cancel: CancellationToken,
    last: bool,
    clock: &dyn Clock,
) -> Result<Recording, UploadError> {
    let (id, repository) = (upload.id, upload.repository.clone());
    let whole = upload.drive(pieces, cancel.clone()).await?;
    if !whole {
        return Err(if cancel.is_cancelled() { UploadError::Superseded } else { UploadError::Interrupted });
    }
    if last { Ok(repository.end(id, stamp(clock)).await?) } else { Ok(repository.get(id)?) }
}
