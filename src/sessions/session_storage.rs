//! session-storage: owns the recordings on the data disk.
//!
//! Promises: a recording is lent to readers and writers only while its store, its chunks and its keys are open and
//! checked. Must never start empty over something it can't read. Degraded: never; it runs or it does not.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lucid_kit::{Ctx, Event, Lease, Lender, Service};
use lucid_vault::Vault;
use serde::Serialize;

use crate::repository::{Repository, RepositoryError};

/// What session-storage may use.
pub struct SessionStorageDeps {
    /// `data/` on the data disk.
    pub data_dir: PathBuf,
    /// `/state/lucid`, for the device secret.
    pub state_dir: PathBuf,
    /// Where the repository is lent.
    pub repository: Lender<Repository>,
}

/// What it says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionStorageStatus {
    /// Recordings.
    pub recordings: u64,
    /// Of them, not anchored yet.
    pub unfinished: usize,
    /// Whether a recovery key was issued for the data.
    pub recovery_issued: bool,
}

/// The service.
pub struct SessionStorage {
    repository: Arc<Repository>,
    _lease: Lease<Repository>,
}

impl Service for SessionStorage {
    const NAME: &'static str = "session-storage";
    const PERIOD: Duration = Duration::from_secs(2);
    type Config = ();
    type Deps = SessionStorageDeps;
    type Request = std::convert::Infallible;
    type Status = SessionStorageStatus;
    type Error = RepositoryError;

    async fn start((): &(), deps: &SessionStorageDeps) -> Result<Self, RepositoryError> {
        let data_dir = deps.data_dir.join(Self::NAME);
        let (state_dir, keys_dir) = (deps.state_dir.clone(), deps.data_dir.clone());
        let open = move || Repository::open(&data_dir, Vault::open(&state_dir, &keys_dir)?);
        let opened = tokio::task::spawn_blocking(open).await.map_err(|_| RepositoryError::Panicked)?;
        let repository = Arc::new(opened?);
        let lease = deps.repository.lend(repository.clone());
        Ok(Self { repository, _lease: lease })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), RepositoryError> {
        loop {
            match ctx.next().await {
                Event::Tick => ctx.publish(self.status()?),
                Event::Request(never) => match never {},
                Event::Stop => return Ok(()),
            }
        }
    }
}

impl SessionStorage {
    /// A store that has stopped taking writes is opened afresh: kit restarts us for the error.
    fn status(&self) -> Result<SessionStorageStatus, RepositoryError> {
        if let Some(failure) = self.repository.store().failure() {
            return Err(failure.into());
        }
        Ok(SessionStorageStatus {
            recordings: self.repository.count()?,
            unfinished: self.repository.unfinished()?.len(),
            recovery_issued: self.repository.vault().recovery_recipient().is_some(),
        })
    }
}
