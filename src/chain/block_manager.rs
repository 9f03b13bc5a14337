//! block-manager: reads of the chain, and the validation of all of it.
//!
//! Reads go past the loop, straight to the chain that the engine lends. A validation runs beside the loop on the pool's
//! background thread, a bounded number of blocks at a time: it is paused while the box sheds load, never delays a block,
//! and lets go of the chain between steps. It starts on demand, and by itself after a stop of the engine that was not
//! orderly. Unhealthy once a block was found wrong. Must never write to the chain.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use lucid_device::Clock;
use lucid_kit::{Class, Ctx, Event, Handle, Health, Pool, PoolError, Reply, Service, Slot};
use lucid_ports::{BlockSummary, Chain, ChainError, Evidence, Head, SessionId, Validation, ValidationState};
use lucid_proof::{
    block::{Block, Genesis},
    hash::Hash,
    note::VerifierKey,
};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    BlockchainEngine, ChainStore, Cursor, EngineRequest, Fault, LogProof, Place, ReadError, Step, StepError,
    chain_store::read, validation::step,
};

/// Blocks a step: some 50 ms on a Pi 5, so that shedding takes effect at once and other background work gets its turn.
const STEP_BLOCKS: u64 = 128;
/// Wait before a step that could not be done is tried again: the engine reopens its store, or the disk comes back.
const RETRY: Duration = Duration::from_secs(1);

/// What block-manager may use.
#[derive(Clone)]
pub struct BlockManagerDeps {
    /// The chain.
    pub chain: Slot<ChainStore>,
    /// Says whether a validation is due, and is told when the chain was found right.
    pub engine: Handle<BlockchainEngine>,
    /// Where validations run.
    pub pool: Pool,
    /// Tells when they ended.
    pub clock: Arc<dyn Clock>,
}

/// What others may ask of block-manager.
pub enum BlockManagerRequest {
    /// Start a validation; one that runs goes on.
    Validate {
        /// Where the acknowledgement goes.
        reply: Reply<()>,
    },
}

/// What block-manager says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BlockManagerStatus {
    /// The last or running validation.
    pub validation: Validation,
    /// Whether the chain is there to be read.
    pub chain_readable: bool,
}

/// block-manager has no errors that end it: what fails is tried again.
pub type BlockManagerError = Infallible;

/// The service.
pub struct BlockManager {
    deps: BlockManagerDeps,
    progress: Arc<watch::Sender<Validation>>,
}

impl Service for BlockManager {
    const NAME: &'static str = "block-manager";
    /// How fresh the published progress is.
    const PERIOD: Duration = Duration::from_millis(500);

    type Config = ();
    type Deps = BlockManagerDeps;
    type Request = BlockManagerRequest;
    type Status = BlockManagerStatus;
    type Error = BlockManagerError;

    async fn start(_config: &(), deps: &BlockManagerDeps) -> Result<Self, Infallible> {
        Ok(Self { deps: deps.clone(), progress: Arc::new(watch::Sender::new(Validation::default())) })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Infallible> {
        loop {
            match ctx.next().await {
                Event::Tick => self.reconcile(ctx),
                Event::Request(BlockManagerRequest::Validate { reply }) => {
                    self.validate(ctx);
                    self.publish(ctx);
                    reply.send(());
                }
                Event::Stop => return Ok(()),
            }
        }
    }

    fn health(status: &BlockManagerStatus) -> Health {
        match &status.validation.state {
            ValidationState::Invalid { height, reason } => Health::Unhealthy {
                reason: format!("block {height} of the chain is wrong ({reason}): restore a backup of the chain"),
            },
            _ if !status.chain_readable => Health::Waiting { reason: "waiting for blockchain-engine".to_owned() },
            _ => Health::Healthy,
        }
    }
}

impl BlockManager {
    /// Starts the validation that is due, unless this incarnation has begun one already.
    fn reconcile(&self, ctx: &Ctx<Self>) {
        let due = self.deps.engine.status().is_some_and(|status| status.validation_due);
        if due && self.progress.borrow().state == ValidationState::Never {
            tracing::info!("the last stop was not orderly: validating the chain");
            self.validate(ctx);
        }
        self.publish(ctx);
    }

    fn validate(&self, ctx: &Ctx<Self>) {
        let running = matches!(self.progress.borrow().state, ValidationState::Running { .. });
        if running {
            return;
        }
        let validator = Validator {
            blocks: self.deps.engine.status().and_then(|status| Some(status.head.as_ref()?.height + 1)).unwrap_or(0),
            deps: self.deps.clone(),
            progress: self.progress.clone(),
        };
        validator.report(ValidationState::Running { checked: 0 });
        ctx.spawn(validator.run());
    }

    fn publish(&self, ctx: &Ctx<Self>) {
        let validation = self.progress.borrow().clone();
        ctx.publish(BlockManagerStatus { validation, chain_readable: self.deps.chain.get().is_ok() });
    }
}

/// One validation, beside the loop.
struct Validator {
    deps: BlockManagerDeps,
    progress: Arc<watch::Sender<Validation>>,
    blocks: u64,
}

/// What one step came to.
enum Outcome {
    More(Cursor),
    Valid(u64),
    Fault(Fault),
    /// Nothing could be learned: again, later.
    Later,
}

impl Validator {
    async fn run(mut self) {
        let mut cursor = Cursor::new();
        let mut chain_id = None;
        loop {
            match self.step(&mut chain_id, cursor.clone()).await {
                Outcome::More(next) => {
                    cursor = next;
                    self.report(ValidationState::Running { checked: cursor.checked() });
                }
                Outcome::Valid(blocks) => {
                    self.blocks = blocks;
                    return self.found_valid().await;
                }
                Outcome::Fault(Fault { height, reason }) => {
                    tracing::error!(height, reason, "the chain is damaged");
                    return self.report(ValidationState::Invalid { height, reason });
                }
                Outcome::Later => tokio::time::sleep(RETRY).await,
            }
            if self.is_another(chain_id) {
                cursor = Cursor::new();
                chain_id = None;
            }
        }
    }

    /// One step, holding the chain no longer than that.
    async fn step(&self, chain_id: &mut Option<Hash>, cursor: Cursor) -> Outcome {
        let Ok(chain) = self.deps.chain.get() else { return Outcome::Later };
        *chain_id = Some(*chain.chain_id());
        let height = cursor.checked();
        match self.deps.pool.run(Class::Background, move || step(&chain, cursor, STEP_BLOCKS)).await {
            Ok(Ok(Step::More(cursor))) => Outcome::More(cursor),
            Ok(Ok(Step::Valid { blocks })) => Outcome::Valid(blocks),
            Ok(Err(StepError::Fault(fault))) => Outcome::Fault(fault),
            Ok(Err(error @ StepError::Store(_))) => {
                tracing::warn!(error = lucid_error::chain(&error), "a step of the validation could not read the chain");
                Outcome::Later
            }
            // Bytes that make the store's engine panic are damage, too.
            Err(PoolError::Panicked(message)) => {
                Outcome::Fault(Fault { height, reason: format!("reading from here on failed: {message}") })
            }
            Err(PoolError::Stopped) => Outcome::Later,
        }
    }

    /// Whether the engine meanwhile lends another chain.
    fn is_another(&self, chain_id: Option<Hash>) -> bool {
        let lent = self.deps.chain.get().ok().map(|chain| *chain.chain_id());
        chain_id.is_some() && lent.is_some() && lent != chain_id
    }

    async fn found_valid(&self) {
        tracing::info!(blocks = self.blocks, "the chain is valid");
        self.report(ValidationState::Valid);
        if self.deps.engine.ask(|reply| EngineRequest::Validated { reply }).await.is_err() {
            tracing::warn!("blockchain-engine did not hear that the chain is valid: it will be validated again");
        }
    }

    fn report(&self, state: ValidationState) {
        let at_ms = self.deps.clock.now().unix_ms;
        self.progress.send_replace(Validation { state, blocks: self.blocks, at_ms });
    }
}

/// [`Chain`] over the lent chain and the two services.
#[derive(Clone)]
pub struct ChainPort {
    chain: Slot<ChainStore>,
    engine: Handle<BlockchainEngine>,
    manager: Handle<BlockManager>,
}

impl ChainPort {
    /// A port over these.
    #[must_use]
    pub fn new(chain: Slot<ChainStore>, engine: Handle<BlockchainEngine>, manager: Handle<BlockManager>) -> Self {
        Self { chain, engine, manager }
    }

    /// Proof that the header at `height` is in the log, against the present head.
    ///
    /// # Errors
    /// [`ChainError::OutOfRange`] above the head.
    pub async fn log_proof(&self, height: u64) -> Result<LogProof, ChainError> {
        self.read(move |chain| chain.log_proof(height)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ChainStore) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ChainError> {
        let chain = self.chain.get().map_err(|_| ChainError::Unavailable)?;
        match read(chain, work).await.ok_or(ChainError::Unavailable)? {
            Ok(answer) => Ok(answer),
            Err(ReadError::OutOfRange(problem)) => Err(ChainError::OutOfRange(problem)),
            Err(error) => {
                tracing::error!(error = lucid_error::chain(&error), "the chain could not be read");
                Err(ChainError::Unavailable)
            }
        }
    }
}

#[async_trait]
impl Chain for ChainPort {
    fn head(&self) -> Option<Head> {
        self.engine.status()?.head.clone()
    }

    async fn genesis(&self) -> Result<Genesis, ChainError> {
        Ok(self.chain.get().map_err(|_| ChainError::Unavailable)?.genesis().clone())
    }

    async fn key(&self) -> Result<VerifierKey, ChainError> {
        Ok(self.chain.get().map_err(|_| ChainError::Unavailable)?.key().clone())
    }

    async fn block(&self, height: u64) -> Result<Option<Block>, ChainError> {
        self.read(move |chain| chain.block(height)).await
    }

    async fn latest(&self, before: Option<u64>, limit: usize) -> Result<Vec<BlockSummary>, ChainError> {
        self.read(move |chain| chain.latest(before, limit)).await
    }

    async fn anchor(&self, session: SessionId) -> Result<Option<(u64, u32)>, ChainError> {
        let place = self.read(move |chain| chain.anchor(&session.bytes())).await?;
        Ok(place.map(|Place { height, index }| (height, index)))
    }

    async fn evidence(&self, session: SessionId, also: &[String]) -> Result<Option<Evidence>, ChainError> {
        let also = also.to_vec();
        self.read(move |chain| chain.evidence(&session.bytes(), &also)).await
    }

    async fn checkpoint(&self) -> Result<String, ChainError> {
        self.read(ChainStore::checkpoint).await
    }

    async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ChainError> {
        self.read(move |chain| chain.consistency(old, new)).await
    }

    fn validation(&self) -> Validation {
        self.manager.status().map(|status| status.validation.clone()).unwrap_or_default()
    }

    async fn validate(&self) -> Result<(), ChainError> {
        let asked = self.manager.ask(|reply| BlockManagerRequest::Validate { reply }).await;
        asked.map_err(|_| ChainError::Unavailable)
    }
}

#[cfg(test)]
mod tests;
