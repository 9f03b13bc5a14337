//! session-pipeline: chunker, encryptor, Merkle builder and orchestrator of all recordings.
//!
//! Promises: acknowledged bytes are durable; a recording whose last byte came is sealed and anchored, whatever restarts
//! in between. Must never hold more than a bounded number of chunks in memory. Degraded: when recordings wait for the
//! chain.

use std::{sync::Arc, time::Duration};

use lucid_device::Clock;
use lucid_kit::{Ctx, Event, Health, Lease, Lender, Pool, Service, Slot, Unavailable};
use lucid_ports::{RecordingState, Storage};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    progress::{Progress, stamp},
    repository::{Repository, RepositoryError},
    uploads::Uploads,
};

/// Recordings that may wait for the chain before it counts as a problem: two blocks' worth at the usual pace.
const WAITING_MAX: usize = 100;

/// Settings of the pipeline.
#[derive(Debug, Clone, Copy)]
pub struct PipelineConfig {
    /// A chunk is closed at this many bytes.
    pub chunk_bytes: usize,
    /// A chunk is closed when its first byte is this old.
    pub chunk_age: Duration,
    /// zstd level, 1 to 19.
    pub level: i32,
    /// Uploads at once; each may hold about six chunks in memory.
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
    pub waiting_for_chain: usize,
}

/// The service.
pub struct SessionPipeline {
    uploads: Arc<Uploads>,
    repository: Slot<Repository>,
    progress: Progress,
    clock: Arc<dyn Clock>,
    idle_max: Duration,
    _lease: Lease<Uploads>,
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
            _lease: deps.uploads.lend(uploads.clone()),
            uploads,
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), PipelineError> {
        loop {
            match ctx.next().await {
                Event::Tick => {
                    let status = self.reconcile().await?;
                    ctx.publish(status);
                }
                Event::Request(never) => match never {},
                Event::Stop => {
                    self.uploads.close().await;
                    return Ok(());
                }
            }
        }
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
    async fn reconcile(&self) -> Result<SessionPipelineStatus, PipelineError> {
        // A short restart of session-storage is no reason to break the uploads that only wait for it.
        let Ok(repository) = self.repository.get() else { return Ok(self.status(0)) };
        let mut waiting = 0;
        for id in repository.unfinished()? {
            let recording = repository.get(id)?;
            if recording.state == RecordingState::Recording {
                self.end_if_idle(&repository, id).await?;
            } else {
                waiting += 1;
                self.progress.advance_logged(&repository, id).await;
            }
        }
        Ok(self.status(waiting))
    }

    async fn end_if_idle(&self, repository: &Repository, id: lucid_ports::SessionId) -> Result<(), RepositoryError> {
        let now = stamp(&*self.clock);
        let idle_ms = now.unix_ms.saturating_sub(repository.row(id)?.last_ms);
        if u128::from(idle_ms) > self.idle_max.as_millis() && self.uploads.is_idle(id) {
            tracing::warn!(session = %id, idle_s = idle_ms / 1000, "its client did not come back: ended as it is");
            repository.end(id, now).await?;
        }
        Ok(())
    }

    fn status(&self, waiting_for_chain: usize) -> SessionPipelineStatus {
        SessionPipelineStatus { uploads: self.uploads.running(), waiting_for_chain }
    }
}
