//! session-storage: owns the recordings on the data disk.
//!
//! Promises: a recording is lent to readers and writers only while its store, its chunks and its keys are open and
//! checked. Must never start empty over something it can't read. Degraded: while the data disk can't follow the
//! recovery key that was issued last, because the disk is full or fails; tried again until it does.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lucid_kit::{Ctx, Health, Lease, Lender, Service};
use lucid_store::Options;
use lucid_vault::{Identity, Vault};
use serde::Serialize;

use crate::{repository::Repository, repository_error::RepositoryError};

/// What session-storage may use.
pub struct SessionStorageDeps {
    /// `data/` on the data disk.
    pub data_dir: PathBuf,
    /// `/state/lucid`, for the device secret.
    pub state_dir: PathBuf,
    /// What signs the recordings. Where the state directory has another one by now, none is opened.
    pub identity: Identity,
    /// Where the repository is lent.
    pub repository: Lender<Repository>,
    /// See [`Options::migrate`].
    pub migrate: bool,
}

/// What it says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionStorageStatus {
    /// Recordings.
    pub recordings: u64,
    /// Of them, not anchored yet.
    pub unfinished: u64,
    /// Whether a recovery key was issued for the data.
    pub recovery_issued: bool,
    /// Why the data disk does not follow the state directory: neither a recovery key issued since nor a new identity
    /// counts on it yet.
    pub behind: Option<String>,
}

/// The service.
pub struct SessionStorage {
    repository: Arc<Repository>,
    behind: Option<String>,
    /// Why no room is laid by for deletions, once that was tried and failed.
    without_ballast: Option<String>,
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
        let (options, identity) = (Options { migrate: deps.migrate, ..Options::default() }, deps.identity.clone());
        let open = move || {
            let vault = Vault::open(&state_dir, &keys_dir)?;
            vault.require(&identity)?;
            Repository::open_with(&data_dir, vault, options)
        };
        let opened = tokio::task::spawn_blocking(open).await.map_err(|_| RepositoryError::Panicked)?;
        let repository = Arc::new(opened?);
        let lease = deps.repository.lend(repository.clone());
        let mut storage = Self { repository, behind: None, without_ballast: None, _lease: lease };
        // After lending: whoever issues a recovery key now finds us, and whoever did so before is seen here.
        storage.follow().await;
        Ok(storage)
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), RepositoryError> {
        while ctx.ticked().await {
            self.follow().await;
            self.lay_ballast().await;
            ctx.publish(self.status()?);
        }
        Ok(())
    }

    fn awaits_owner(error: &Self::Error) -> bool {
        matches!(error, RepositoryError::Vault(error) if error.awaits_owner())
    }

    fn health(status: &SessionStorageStatus) -> Health {
        match &status.behind {
            None => Health::Healthy,
            Some(cause) => Health::Degraded {
                reason: format!("the data disk does not open with the recovery key issued last: {cause}"),
            },
        }
    }
}

/// Lets the data disk follow the state directory, and says why it can't. Recordings do not depend on it.
async fn follow(repository: &Arc<Repository>) -> Option<String> {
    let repository = repository.clone();
    match tokio::task::spawn_blocking(move || repository.vault().follow_state()).await {
        Ok(followed) => followed.err().map(|error| error.to_string()),
        Err(_) => Some(RepositoryError::Panicked.to_string()),
    }
}

impl SessionStorage {
    /// At every tick: a key may have been issued while the disk could not follow. In step, nothing is written.
    async fn follow(&mut self) {
        let behind = follow(&self.repository).await;
        if let (Some(cause), None) = (&behind, &self.behind) {
            tracing::error!(%cause, "the data disk does not follow the recovery key issued last; trying again");
        }
        self.behind = behind;
    }

    /// At every tick: the room may just have come. Recordings do not depend on it.
    async fn lay_ballast(&mut self) {
        let repository = self.repository.clone();
        let laid = tokio::task::spawn_blocking(move || repository.lay_ballast()).await;
        let error = match laid {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(RepositoryError::Panicked.to_string()),
        };
        if let (Some(cause), None) = (&error, &self.without_ballast) {
            tracing::warn!(%cause, "no room is laid by for deletions on a full disk; trying again");
        }
        self.without_ballast = error;
    }

    /// A store that has stopped taking writes is opened afresh: kit restarts us for the error.
    fn status(&self) -> Result<SessionStorageStatus, RepositoryError> {
        if let Some(failure) = self.repository.store().failure() {
            return Err(failure.into());
        }
        Ok(SessionStorageStatus {
            recordings: self.repository.count()?,
            unfinished: self.repository.unfinished_count()?,
            recovery_issued: self.repository.vault().recovery_recipient().is_some(),
            behind: self.behind.clone(),
        })
    }
}

impl Drop for SessionStorage {
    /// However this incarnation ends, who still holds the repository is told to let go.
    fn drop(&mut self) {
        self.repository.closing().cancel();
    }
}

#[cfg(test)]
mod tests;
