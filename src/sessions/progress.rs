//! From the last byte to the block: sealing and anchoring, one idempotent step after the other.

use std::{error::Error, sync::Arc};

use lucid_device::{Clock, ClockTrust};
use lucid_ports::{AnchorError, AnchorState, Anchoring, RecordingState, SessionId};
use lucid_proof::{
    block::Anchor,
    hash::{Blake3, Hash, sha256},
    manifest::{Manifest, ManifestError},
    merkle::Frontier,
    note::Signer,
    time::{TimeTrust, Timestamp},
};

use crate::{repository::Repository, repository_error::RepositoryError, rows::SessionRow};

/// Moves recordings that are complete towards their block. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    signer: Arc<Signer>,
    anchoring: Arc<dyn Anchoring>,
}

/// A step towards the block failed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// The repository failed.
    #[error("the recordings' store failed")]
    Repository(#[from] RepositoryError),
    /// The manifest can't be written.
    #[error("making the manifest failed")]
    Manifest(#[from] ManifestError),
    /// The chain did not take the anchor.
    #[error("anchoring failed")]
    Anchor(#[from] AnchorError),
}

impl Progress {
    /// Signs manifests with `signer` and hands their anchors to `anchoring`.
    pub fn new(signer: Arc<Signer>, anchoring: Arc<dyn Anchoring>) -> Self {
        Self { signer, anchoring }
    }

    /// Does what can be done for one recording now, and gives where it stands then.
    ///
    /// # Errors
    /// When a step fails; what was done before it stays done.
    pub async fn advance(&self, repository: &Repository, id: SessionId) -> Result<RecordingState, ProgressError> {
        let mut row = repository.row(id)?;
        if row.state == RecordingState::Sealing {
            let manifest = manifest(repository, id, &row)?;
            let note = manifest.sign(&self.signer)?;
            repository.sealed(id, manifest.root, note).await?;
            row = repository.row(id)?;
        }
        if let (RecordingState::Anchoring, Some(anchor)) = (row.state, anchor(id, &row)) {
            return self.anchor(repository, id, anchor).await;
        }
        Ok(row.state)
    }

    async fn anchor(
        &self,
        repository: &Repository,
        id: SessionId,
        anchor: Anchor,
    ) -> Result<RecordingState, ProgressError> {
        // Handing it in again is harmless, and tells more than asking: whether what is in the chain is this very anchor.
        if let AnchorState::Anchored { height } = self.anchoring.submit(anchor).await? {
            repository.anchored(id, height).await?;
            tracing::info!(session = %id, height, "anchored");
            return Ok(RecordingState::Anchored);
        }
        Ok(RecordingState::Anchoring)
    }

    /// As [`Progress::advance`]; what fails is logged, and tried again at the next tick.
    pub(crate) async fn advance_logged(&self, repository: &Repository, id: SessionId) {
        if let Err(error) = self.advance(repository, id).await {
            let error: &dyn Error = &error;
            tracing::warn!(session = %id, error, "not anchored yet; will be tried again");
        }
    }
}

/// The manifest of a recording whose last byte is durable.
fn manifest(repository: &Repository, id: SessionId, row: &SessionRow) -> Result<Manifest, ProgressError> {
    Ok(Manifest {
        id: id.bytes(),
        started_ms: row.started_ms,
        ended_ms: row.ended_ms.unwrap_or(row.last_ms),
        time_trust: row.trust(),
        bytes: row.durable_bytes,
        chunks: row.chunks,
        root: merkle_root(repository, id)?,
    })
}

/// The Merkle builder: the root over the leaves of all chunks, in memory that does not grow with their number.
fn merkle_root(repository: &Repository, id: SessionId) -> Result<Hash, RepositoryError> {
    let mut tree = Frontier::<Blake3>::new();
    repository.leaves(id, |leaf| tree.push(*leaf))?;
    Ok(tree.root())
}

/// The anchor of a sealed recording; nothing before it is sealed.
pub(crate) fn anchor(id: SessionId, row: &SessionRow) -> Option<Anchor> {
    Some(Anchor {
        session: id.bytes(),
        root: row.root?,
        manifest: sha256(&[row.manifest.as_ref()?.as_bytes()]),
        chunks: row.chunks,
        bytes: row.durable_bytes,
        started_ms: row.started_ms,
        ended_ms: row.ended_ms?,
    })
}

/// The clock's time in the form of the proofs.
pub(crate) fn stamp(clock: &dyn Clock) -> Timestamp {
    let now = clock.now();
    let trust = match now.trust {
        ClockTrust::Unsynchronized => TimeTrust::Unsynchronized,
        ClockTrust::Held => TimeTrust::Held,
        ClockTrust::Synchronized => TimeTrust::Synchronized,
    };
    Timestamp { unix_ms: now.unix_ms, trust }
}
