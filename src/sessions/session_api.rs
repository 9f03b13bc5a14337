//! session-api: recordings over HTTP, and as the dashboard's port.
//!
//! Promises: callers see their own recordings, developers see all, administrators may delete all. A recording is its
//! account's, by id: what a removed account leaves is nobody's own, whoever comes under its name. Must never hand out
//! plaintext without that check. Degraded: never; what it needs is lent by others, and their absence is its answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lucid_kit::{Ctx, Lease, Lender, Pool, Service, Slot};
use lucid_ports::{
    AccountId, AccountLookup, Chain, Identity, Load, Recording, RecordingState, Recordings, RecordingsError, Role,
    SessionId,
};
use serde::Serialize;
use tokio::sync::watch;

use crate::{api::ApiState, repository::Repository, repository_error::RepositoryError, uploads::Uploads};

/// What session-api may use.
#[derive(Clone)]
pub struct SessionApiDeps {
    /// Session-storage's recordings.
    pub repository: Slot<Repository>,
    /// Session-pipeline's uploads.
    pub uploads: Slot<Uploads>,
    /// Which accounts are still there, to be shown with what they own.
    pub accounts: Arc<dyn AccountLookup>,
    /// The chain, for proofs.
    pub chain: Arc<dyn Chain>,
    /// Computing threads.
    pub pool: Pool,
    /// What the box has room for.
    pub load: watch::Receiver<Load>,
    /// Where the API is lent to its routes.
    pub api: Lender<ApiState>,
}

/// What it says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionApiStatus {
    /// Whether recordings can be read now.
    pub readable: bool,
    /// Whether recordings can be made now.
    pub recordable: bool,
}

/// The service.
pub struct SessionApi {
    deps: SessionApiDeps,
    _lease: Lease<ApiState>,
}

impl Service for SessionApi {
    const NAME: &'static str = "session-api";
    const PERIOD: Duration = Duration::from_secs(2);
    type Config = ();
    type Deps = SessionApiDeps;
    type Request = std::convert::Infallible;
    type Status = SessionApiStatus;
    type Error = std::convert::Infallible;

    async fn start((): &(), deps: &SessionApiDeps) -> Result<Self, Self::Error> {
        let lease = deps.api.lend(Arc::new(ApiState::new(deps)));
        Ok(Self { deps: deps.clone(), _lease: lease })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Self::Error> {
        while ctx.ticked().await {
            ctx.publish(SessionApiStatus {
                readable: self.deps.repository.get().is_ok(),
                recordable: self.deps.uploads.get().is_ok(),
            });
        }
        Ok(())
    }
}

/// Recordings as the dashboard asks for them.
pub struct RecordingsPort(pub Slot<ApiState>);

impl RecordingsPort {
    fn api(&self) -> Result<Arc<ApiState>, RecordingsError> {
        self.0.get().map_err(|error| RecordingsError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl Recordings for RecordingsPort {
    async fn list(
        &self,
        caller: &Identity,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Recording>, RecordingsError> {
        self.api()?.list(caller, before, limit)
    }

    async fn get(&self, caller: &Identity, id: SessionId) -> Result<Recording, RecordingsError> {
        self.api()?.find(caller, id, Access::Read)
    }

    async fn delete(&self, caller: &Identity, id: SessionId) -> Result<(), RecordingsError> {
        self.api()?.delete(caller, id).await
    }
}

/// What somebody wants to do with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// List, describe, read, export, verify.
    Read,
    /// Add bytes, delete.
    Write,
}

/// Whether `caller` may do this with a recording of `owner`.
pub(crate) fn allowed(caller: &Identity, owner: AccountId, access: Access) -> bool {
    let needed = match access {
        Access::Read => Role::Developer,
        Access::Write => Role::Admin,
    };
    caller.account == owner || caller.role >= needed
}

impl ApiState {
    pub(crate) fn list(
        &self,
        caller: &Identity,
        before: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Recording>, RecordingsError> {
        let owner = (caller.role < Role::Developer).then_some(caller.account);
        let recordings = self.repository()?.list(owner, before, limit).map_err(refused)?;
        Ok(recordings.into_iter().map(|recording| self.with_account(recording)).collect())
    }

    /// The recording, if the caller may do this with it. One that may not even be read is as good as absent.
    pub(crate) fn find(&self, caller: &Identity, id: SessionId, access: Access) -> Result<Recording, RecordingsError> {
        let recording = self.repository()?.get(id).map_err(refused)?;
        if !allowed(caller, recording.owner.id, access) {
            return Err(RecordingsError::NotFound(id));
        }
        Ok(self.with_account(recording))
    }

    /// Says how the owner's account stands, which only auth-service knows.
    fn with_account(&self, mut recording: Recording) -> Recording {
        recording.owner.account = self.accounts.account_state(recording.owner.id);
        recording
    }

    pub(crate) async fn delete(&self, caller: &Identity, id: SessionId) -> Result<(), RecordingsError> {
        let recording = self.find(caller, id, Access::Write)?;
        if recording.state == RecordingState::Recording {
            return Err(RecordingsError::StillRecording(id));
        }
        self.repository()?.shred(id).await.map_err(refused)?;
        tracing::info!(session = %id, by = caller.user, "deleted by shredding its key");
        Ok(())
    }

    pub(crate) fn repository(&self) -> Result<Arc<Repository>, RecordingsError> {
        self.repository.get().map_err(|error| RecordingsError::Unavailable(error.to_string()))
    }
}

/// What a caller is told; what really happened is in the log.
fn refused(error: RepositoryError) -> RecordingsError {
    match error {
        RepositoryError::NotFound(id) => RecordingsError::NotFound(id),
        RepositoryError::WrongState { id, state: RecordingState::Recording } => RecordingsError::StillRecording(id),
        RepositoryError::BackupRunning => RecordingsError::Unavailable(error.to_string()),
        error => {
            let cause: &dyn std::error::Error = &error;
            tracing::error!(error = cause, "an operation on recordings failed");
            RecordingsError::Unavailable("the recordings' store failed: see the log of session-storage".to_owned())
        }
    }
}
