//! session-pipeline: chunker, encryptor, Merkle builder and orchestrator of all recordings.
//!
//! Promises: acknowledged bytes are durable; a recording whose last byte came is sealed and anchored, whatever restarts
//! in between. Must never hold more than a bounded number of chunks in memory. Degraded: when recordings wait for the
//! chain.

use std::{collections::HashMap, sync::Arc, time::Duration};

use lucid_device::Clock;
use lucid_kit::{Ctx, Health, Lease, Lender, Pool, Service, Slot, Unavailable};
use lucid_ports::{RecordingState, SessionId, Storage};
use lucid_proof::time::Timestamp;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::{
    progress::{Progress, stamp},
    repository::Repository,
    repository_error::RepositoryError,
    uploads::Uploads,
};

/// Recordings that may wait for the chain before it counts as a problem: two blocks' worth at the usual pace.
const WAITING_MAX: u64 = 100;
/// How long one tick hands recordings towards their block.
const ADVANCE_MAX: Duration = Duration::from_secs(5);

/// Settings of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct PipelineConfig {
    /// A chunk is closed at this many bytes.
    pub chunk_bytes: usize,
    /// A chunk is closed when its first byte is this old.
    pub chunk_age: Duration,
    /// zstd level, 1 to 19.
    pub level: i32,
    /// Uploads at once; each holds the chunk that is being filled, beside those that all of them have under way.
    pub uploads_max: usize,
    /// A recording whose client has not come back for so long is ended and sealed as it is.
    pub idle_max: Duration,
}

/// What session-pipeline may use.
pub struct SessionPipelineDeps {
    /// Session-storage's recordings.
    pub repository: Slot<Repository>,
    /// Where the uploads are lent.
    pub uploads: Lender<Uploads>,
    /// Computing threads.
    pub pool: Pool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The data disk.
    pub storage: watch::Receiver<Storage>,
    /// Sealing and anchoring.
    pub progress: Progress,
}

/// What it says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionPipelineStatus {
    /// Uploads under way.
    pub uploads: usize,
    /// Complete recordings that are not anchored yet.
    pub waiting_for_chain: u64,
}

/// The service.
pub struct SessionPipeline {
    uploads: Arc<Uploads>,
    repository: Slot<Repository>,
    progress: Progress,
    clock: Arc<dyn Clock>,
    idle_max: Duration,
    /// The last complete recording that was handed on; the next ones stand behind it.
    advanced: Option<SessionId>,
    /// Recordings that nobody uploads to. Not kept over restarts: no client can come back to an appliance that is off.
    idle: HashMap<SessionId, Idle>,
    _lease: Lease<Uploads>,
}

/// Since when nothing has happened to a recording.
#[derive(Clone, Copy)]
struct Idle {
    /// By the monotonic clock: the other one may step by years when a time server is found.
    since_ms: u64,
    /// Its bytes then: an upload may be shorter than a tick.
    durable_bytes: u64,
}

impl Drop for SessionPipeline {
    /// However this incarnation ends, its uploads end with it.
    fn drop(&mut self) {
        self.uploads.interrupt();
    }
}

/// Why the pipeline could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// session-storage does not run.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The repository failed.
    #[error("reading the recordings failed")]
    Repository(#[from] RepositoryError),
}

impl Service for SessionPipeline {
    const NAME: &'static str = "session-pipeline";
    const PERIOD: Duration = Duration::from_secs(1);
    /// Handing one recording on waits for the chain, which may wait for a slow disk, twice.
    const BUSY_MAX: Duration = Duration::from_secs(120);
    type Config = PipelineConfig;
    type Deps = SessionPipelineDeps;
    type Request = std::convert::Infallible;
    type Status = SessionPipelineStatus;
    type Error = PipelineError;

    async fn start(config: &PipelineConfig, deps: &SessionPipelineDeps) -> Result<Self, PipelineError> {
        let uploads = Arc::new(Uploads::new(
            *config,
            deps.repository.clone(),
            deps.pool.clone(),
            deps.clock.clone(),
            deps.storage.clone(),
            deps.progress.clone(),
            tokio_util::sync::CancellationToken::new(),
        ));
        Ok(Self {
            repository: deps.repository.clone(),
            progress: deps.progress.clone(),
            clock: deps.clock.clone(),
            idle_max: config.idle_max,
            advanced: None,
            idle: HashMap::new(),
            _lease: deps.uploads.lend(uploads.clone()),
            uploads,
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), PipelineError> {
        while ctx.ticked().await {
            let status = self.reconcile().await?;
            ctx.publish(status);
        }
        self.uploads.close().await;
        Ok(())
    }

    fn health(status: &SessionPipelineStatus) -> Health {
        if status.waiting_for_chain > WAITING_MAX {
            return Health::Degraded { reason: format!("{} recordings wait to be anchored", status.waiting_for_chain) };
        }
        Health::Healthy
    }
}

impl SessionPipeline {
    /// Looks at every recording that is not anchored yet, and does for each what can be done now.
    async fn reconcile(&mut self) -> Result<SessionPipelineStatus, PipelineError> {
        // A short restart of session-storage is no reason to break the uploads that only wait for it.
        let Ok(repository) = self.repository.get() else { return Ok(self.status(0)) };
        let mut idle = HashMap::new();
        for id in repository.open_recordings()? {
            match self.end_if_idle(&repository, id).await {
                // Deleted since the list was made.
                Err(RepositoryError::NotFound(_)) => {}
                since => idle.extend(since?.map(|since| (id, since))),
            }
        }
        self.idle = idle;
        self.advance_some(&repository).await?;
        Ok(self.status(repository.unfinished_count()?))
    }

    /// Hands some of the complete recordings on towards their block, for a bounded time; the next tick goes on behind
    /// them, so that none is passed over, however many there are and however slow the chain is.
    async fn advance_some(&mut self, repository: &Repository) -> Result<(), RepositoryError> {
        let began = Instant::now();
        let next = repository.unfinished(self.advanced)?;
        self.advanced = None;
        for id in next {
            self.progress.advance_logged(repository, id).await;
            self.advanced = Some(id);
            if began.elapsed() > ADVANCE_MAX {
                break;
            }
        }
        Ok(())
    }

    /// Ends a recording that has been idle for too long; else gives since when it is, if it is.
    async fn end_if_idle(&self, repository: &Arc<Repository>, id: SessionId) -> Result<Option<Idle>, RepositoryError> {
        let Some(_attachment) = repository.attachments().claim(id) else { return Ok(None) };
        // Read behind the attachment: what an upload did until a moment ago counts.
        let row = repository.row(id)?;
        if row.state != RecordingState::Recording {
            return Ok(None);
        }
        let durable_bytes = row.durable_bytes;
        let now_ms = self.clock.monotonic_ms();
        let former = self.idle.get(&id).filter(|idle| idle.durable_bytes == durable_bytes);
        let idle = former.copied().unwrap_or(Idle { since_ms: now_ms, durable_bytes });
        let idle_ms = now_ms.saturating_sub(idle.since_ms);
        if u128::from(idle_ms) <= self.idle_max.as_millis() {
            return Ok(Some(idle));
        }
        tracing::warn!(session = %id, idle_s = idle_ms / 1000, "its client did not come back: ended as it is");
        repository.discard_uncounted(id, row.chunks).await?;
        // It ended with its last byte, not when we lost patience.
        repository.end(id, Timestamp { unix_ms: row.last_ms, trust: stamp(&*self.clock).trust }).await?;
        Ok(None)
    }

    fn status(&self, waiting_for_chain: u64) -> SessionPipelineStatus {
        SessionPipelineStatus { uploads: self.uploads.running(), waiting_for_chain }
    }
}
