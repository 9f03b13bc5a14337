//! What the tests of this crate share: a chain without services, and a bench with all three services.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use ed25519_dalek::SigningKey;
use lucid_device::{Clock, ClockTrust, Now};
use lucid_kit::{Board, Handle, Pool, Service, Slot, Spec, slot, supervise, wire};
use lucid_ports::SessionId;
use lucid_proof::{
    block::{Anchor, SignedTransaction, Transaction},
    time::{TimeTrust, Timestamp},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    AnchoringDeps, AnchoringPort, BlockManager, BlockManagerDeps, BlockchainEngine, ChainPort, ChainStore,
    EngineConfig, EngineDeps, EngineStatus, FILE_NAME, Producer, SessionAnchoring,
};

/// 2026-01-01T00:00:00Z.
pub(crate) const BEGIN_MS: u64 = 1_767_225_600_000;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn at(offset_ms: u64) -> Timestamp {
    Timestamp { unix_ms: BEGIN_MS + offset_ms, trust: TimeTrust::Synchronized }
}

pub(crate) fn session(number: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// The anchor of session `number`.
pub(crate) fn anchor(number: u64) -> Anchor {
    Anchor {
        session: session(number).bytes(),
        root: [1; 32],
        manifest: [2; 32],
        chunks: number,
        bytes: 1000,
        started_ms: BEGIN_MS,
        ended_ms: BEGIN_MS + 1,
    }
}

/// Another anchor of the same session.
pub(crate) fn other_anchor(number: u64) -> Anchor {
    Anchor { root: [9; 32], ..anchor(number) }
}

/// A chain and its producer, without services.
pub(crate) struct TestChain {
    pub(crate) producer: Producer,
}

impl TestChain {
    /// Begins a chain in `dir`.
    pub(crate) fn begin(dir: &Path) -> Self {
        let store = ChainStore::open_store(&dir.join(FILE_NAME)).unwrap();
        Self { producer: Producer::begin(store, "test/chain", at(0), &key(1)).unwrap() }
    }

    /// Opens the chain in `dir`.
    pub(crate) fn open(dir: &Path) -> Self {
        let store = ChainStore::open_store(&dir.join(FILE_NAME)).unwrap();
        let chain = ChainStore::load(store, &key(1).verifying_key().to_bytes()).unwrap().unwrap();
        Self { producer: Producer::new(Arc::new(chain), &key(1)).unwrap() }
    }

    pub(crate) fn chain(&self) -> &ChainStore {
        self.producer.chain()
    }

    pub(crate) fn sign(&self, anchor: Anchor) -> SignedTransaction {
        SignedTransaction::sign(Transaction::Anchor(anchor), self.chain().chain_id(), &key(1))
    }

    /// Makes blocks of these numbers of anchors, of sessions counted from `first`, ten seconds apart.
    pub(crate) fn grow(&self, sizes: &[u64], first: u64) {
        let mut number = first;
        for size in sizes {
            for _ in 0..*size {
                self.chain().submit(self.sign(anchor(number))).unwrap();
                number += 1;
            }
            let height = self.chain().head().unwrap().height + 1;
            self.producer.produce(at(height * 10_000)).unwrap();
        }
    }
}

/// A clock that follows the runtime's, so that it obeys paused time, and can be set back.
pub(crate) struct TestClock {
    begin: Instant,
    step_ms: AtomicI64,
}

impl TestClock {
    pub(crate) fn step(&self, ms: i64) {
        self.step_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let unix_ms = BEGIN_MS + self.monotonic_ms();
        let unix_ms = unix_ms.saturating_add_signed(self.step_ms.load(Ordering::Relaxed));
        Now { unix_ms, trust: ClockTrust::Synchronized }
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap()
    }
}

/// The disks and the clock of one appliance; survives crashes.
pub(crate) struct Bench {
    pub(crate) data: tempfile::TempDir,
    pub(crate) state: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) key: SigningKey,
    pub(crate) accept_rollback: Option<String>,
}

/// The three services of one start.
pub(crate) struct Running {
    pub(crate) engine: Handle<BlockchainEngine>,
    pub(crate) anchoring_service: Handle<SessionAnchoring>,
    pub(crate) manager: Handle<BlockManager>,
    pub(crate) anchoring: AnchoringPort,
    pub(crate) chain: ChainPort,
    pub(crate) slot: Slot<ChainStore>,
    pub(crate) background_allowed: watch::Sender<bool>,
    pub(crate) board: Board,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            data: tempfile::tempdir().unwrap(),
            state: tempfile::tempdir().unwrap(),
            clock: Arc::new(TestClock { begin: Instant::now(), step_ms: AtomicI64::new(0) }),
            key: key(1),
            accept_rollback: None,
        }
    }

    /// Wires the services as the appliance does.
    pub(crate) fn start(&self) -> Running {
        let (board, stop) = (Board::default(), CancellationToken::new());
        let (background_allowed, allowed) = watch::channel(true);
        let (lender, slot) = slot(BlockchainEngine::NAME);
        let (engine, engine_wired) = wire::<BlockchainEngine>();
        let (anchoring_service, anchoring_wired) = wire::<SessionAnchoring>();
        let (manager, manager_wired) = wire::<BlockManager>();
        let config = EngineConfig {
            migrate: true,
            data_dir: self.data.path().to_path_buf(),
            state_dir: self.state.path().to_path_buf(),
            block_interval_s: 10,
            accept_rollback: self.accept_rollback.clone(),
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let deps = EngineDeps { key: self.key.clone(), clock: clock.clone(), lender };
        let engine_spec = spec(BlockchainEngine::NAME, &[]);
        let mut tasks = vec![supervise(engine_spec, engine_wired, config, deps, Vec::new(), &board, stop.clone())];
        let deps = AnchoringDeps { key: self.key.clone(), engine: engine.clone(), chain: slot.clone() };
        tasks.push(supervise(
            spec(SessionAnchoring::NAME, NEEDS),
            anchoring_wired,
            (),
            deps,
            Vec::new(),
            &board,
            stop.clone(),
        ));
        let pool = Pool::new(allowed).unwrap();
        let deps = BlockManagerDeps { chain: slot.clone(), engine: engine.clone(), pool, clock };
        tasks.push(supervise(
            spec(BlockManager::NAME, NEEDS),
            manager_wired,
            (),
            deps,
            Vec::new(),
            &board,
            stop.clone(),
        ));
        Running {
            anchoring: AnchoringPort::new(anchoring_service.clone(), slot.clone()),
            chain: ChainPort::new(slot.clone(), engine.clone(), manager.clone()),
            engine,
            anchoring_service,
            manager,
            slot,
            background_allowed,
            board,
            stop,
            tasks,
        }
    }
}

const NEEDS: &[&str] = &[BlockchainEngine::NAME];

fn spec(name: &'static str, needs: &'static [&'static str]) -> Spec {
    Spec { name, purpose: "a test", needs, critical: true, storage: true, stop_grace_s: 30 }
}

impl Running {
    /// Waits for the engine to say so.
    pub(crate) async fn engine_until(&self, right: impl Fn(&EngineStatus) -> bool) -> EngineStatus {
        let mut watch = self.engine.watch();
        let status = watch.wait_for(|status| right(status)).await.unwrap();
        (**status).clone()
    }

    /// Waits for the block at `height`.
    pub(crate) async fn height_until(&self, height: u64) -> EngineStatus {
        self.engine_until(|status| status.head.as_ref().is_some_and(|head| head.height >= height)).await
    }

    /// Waits until the three services run.
    pub(crate) async fn up(&self) {
        for name in [BlockchainEngine::NAME, SessionAnchoring::NAME, BlockManager::NAME] {
            let mut life = self.board.life(name).unwrap();
            life.wait_for(|life| *life == lucid_kit::Life::Running).await.unwrap();
        }
    }

    /// Stops all in an orderly way.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    /// Ends all as a power cut does: nothing gets a chance to tidy up.
    pub(crate) async fn crash(self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
        }
        // What was begun on blocking threads ends by itself, and lets go of the file.
        while self.slot.get().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
