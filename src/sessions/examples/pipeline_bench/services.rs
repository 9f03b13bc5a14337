//! The services that a recording goes through, wired as in the appliance; the chain takes every anchor without a word.

use std::{fs, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use lucid_device::SystemClock;
use lucid_kit::{Board, Lender, Life, Pool, Service, Slot, Spec, slot, supervise, wire};
use lucid_ports::{
    AccountId, AccountLookup, AccountState, AnchorError, AnchorState, Anchoring, BlockSummary, Chain, ChainError,
    Evidence, Head, Load, SessionId, Storage, Validation,
};
use lucid_proof::{
    block::{Anchor, Block, Genesis},
    hash::Hash,
    note::{Signer, VerifierKey},
};
use lucid_sessions::{
    ApiState, PipelineConfig, Progress, Repository, SessionApi, SessionApiDeps, SessionPipeline, SessionPipelineDeps,
    SessionStorage, SessionStorageDeps, Uploads,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Outcome, input::CHUNK_BYTES, stages::LEVEL};

/// As the appliance has them by default, but for the number of uploads.
const CONFIG: PipelineConfig = PipelineConfig {
    chunk_bytes: CHUNK_BYTES,
    chunk_age: Duration::from_secs(5),
    level: LEVEL,
    uploads_max: 1,
    idle_max: Duration::from_secs(60),
};

/// The three services as the appliance wires them.
pub(crate) struct Services {
    pub(crate) api: Slot<ApiState>,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _conditions: (watch::Sender<bool>, watch::Sender<Storage>, watch::Sender<Load>),
}

type Slots<T> = (Lender<T>, Slot<T>);

impl Services {
    pub(crate) async fn start(place: &Path) -> Outcome<Self> {
        fs::create_dir_all(place.join("data/session-storage"))?;
        let (board, stop) = (Board::default(), CancellationToken::new());
        let (repository, uploads, api): (Slots<Repository>, Slots<Uploads>, Slots<ApiState>) =
            (slot("session-storage"), slot("session-pipeline"), slot("session-api"));
        let (background, allowed) = watch::channel(true);
        let ready = Storage::Ready { root: place.to_owned(), free_bytes: u64::MAX, low: false };
        let (storage, load) = (watch::channel(ready).0, watch::channel(Load::Full).0);
        let pool = Pool::new(allowed)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let progress = Progress::new(Arc::new(Signer::new("bench", key)?), Arc::new(Nowhere));
        let keeper = SessionStorageDeps {
            data_dir: place.join("data"),
            state_dir: place.to_owned(),
            identity: lucid_vault::Identity::open(place)?,
            repository: repository.0,
            migrate: true,
        };
        let pipeline = SessionPipelineDeps {
            repository: repository.1.clone(),
            uploads: uploads.0,
            pool: pool.clone(),
            clock: Arc::new(SystemClock::new(place)),
            storage: storage.subscribe(),
            progress,
        };
        let face = SessionApiDeps {
            repository: repository.1,
            uploads: uploads.1,
            accounts: Arc::new(Nowhere),
            chain: Arc::new(Nowhere),
            pool,
            load: load.subscribe(),
            api: api.0,
        };
        let tasks = vec![
            run::<SessionStorage>((), keeper, &board, &stop),
            run::<SessionPipeline>(CONFIG, pipeline, &board, &stop),
            run::<SessionApi>((), face, &board, &stop),
        ];
        for name in [SessionStorage::NAME, SessionPipeline::NAME, SessionApi::NAME] {
            board.life(name).ok_or(name)?.wait_for(|life| *life == Life::Running).await?;
        }
        Ok(Self { api: api.1, stop, tasks, _conditions: (background, storage, load) })
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        futures_util::future::join_all(self.tasks).await;
    }
}

fn run<S: Service>(
    config: S::Config,
    deps: S::Deps,
    board: &Board,
    stop: &CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let spec =
        Spec { name: S::NAME, purpose: "a benchmark", needs: &[], critical: true, storage: true, stop_grace_s: 30 };
    supervise::<S>(spec, wire().1, config, deps, Vec::new(), board, stop.clone())
}

/// Takes anchors, and knows nothing.
struct Nowhere;

impl AccountLookup for Nowhere {
    fn account_state(&self, _: AccountId) -> AccountState {
        AccountState::Unknown
    }
}

#[async_trait]
impl Anchoring for Nowhere {
    async fn submit(&self, _anchor: Anchor) -> Result<AnchorState, AnchorError> {
        Ok(AnchorState::Pending)
    }

    async fn state(&self, _session: SessionId) -> Result<AnchorState, AnchorError> {
        Ok(AnchorState::Pending)
    }
}

#[async_trait]
impl Chain for Nowhere {
    fn head(&self) -> Option<Head> {
        None
    }

    async fn genesis(&self) -> Result<Genesis, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn key(&self) -> Result<VerifierKey, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn block(&self, _height: u64) -> Result<Option<Block>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn latest(&self, _before: Option<u64>, _limit: usize) -> Result<Vec<BlockSummary>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn anchor(&self, _session: SessionId) -> Result<Option<(u64, u32)>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn evidence(&self, _session: SessionId, _also: &[String]) -> Result<Option<Evidence>, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn checkpoint(&self) -> Result<String, ChainError> {
        Err(ChainError::Unavailable)
    }

    async fn consistency(&self, _old: u64, _new: u64) -> Result<Vec<Hash>, ChainError> {
        Err(ChainError::Unavailable)
    }

    fn validation(&self) -> Validation {
        Validation::default()
    }

    async fn validate(&self) -> Result<(), ChainError> {
        Err(ChainError::Unavailable)
    }
}
