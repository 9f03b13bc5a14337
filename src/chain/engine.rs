//! blockchain-engine: makes a block every interval, empty or not, and keeps the chain.
//!
//! Owns the store `blockchain-engine.redb` in the data directory and `chain-head` in the state directory. Promises:
//! what it acknowledges is on disk; a block and all it changes is one transaction of the store; time never runs back in
//! the chain, even if the clock does; blocks missed while the box was off are not made up.
//!
//! Must never begin a chain over one that is there, nor sign on top of an older copy of it: it then runs, lends the
//! chain for reading, takes nothing, and is unhealthy with both heads (see [`witness`]). Degraded while the clock is
//! behind the chain or `chain-head` can't be written.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ed25519_dalek::SigningKey;
use lucid_device::{Clock, ClockTrust};
use lucid_kit::{Ctx, Event, Health, Lease, Lender, Reply, Service};
use lucid_ports::Head;
use lucid_proof::{
    block::SignedTransaction,
    hash::sha256,
    time::{TimeTrust, Timestamp},
};
use lucid_store::{Options, StoreError};
use serde::Serialize;
use tokio::{task::JoinError, time::Instant};

use crate::{
    ChainStore, OpenError, ProduceError, Produced, Producer, ReadError, SubmitError, Submitted,
    view::hex,
    witness::{self, Refusal, WITNESS_BLOCKS, WitnessError},
};

/// The store's file in the data directory.
pub const FILE_NAME: &str = "blockchain-engine.redb";
/// The file with the head last seen, in the state directory.
pub const HEAD_FILE_NAME: &str = "chain-head";

/// Settings.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Directory of the store, on the data disk. It must be there: it is never made, since it may be an empty mount
    /// point.
    pub data_dir: PathBuf,
    /// Directory of the identity, on the boot disk.
    pub state_dir: PathBuf,
    /// Time between two blocks, from 1 s.
    pub block_interval_s: u64,
    /// The head on the data disk that the owner accepts although it is not the newest one seen: its hash in lower-case
    /// hexadecimal, or `new` to begin a chain on a disk without one. Void for every other head.
    pub accept_rollback: Option<String>,
    /// See [`lucid_store::Options::migrate`].
    pub migrate: bool,
}

/// What the engine may use.
pub struct EngineDeps {
    /// The appliance's identity; validator and signer of checkpoints.
    pub key: SigningKey,
    /// The time of blocks.
    pub clock: Arc<dyn Clock>,
    /// Lends the chain to its readers.
    pub lender: Lender<ChainStore>,
}

/// What others may ask of the engine.
pub enum EngineRequest {
    /// Queue a transaction durably.
    Submit {
        /// The transaction.
        transaction: Box<SignedTransaction>,
        /// Where the answer goes.
        reply: Reply<Result<Submitted, SubmitError>>,
    },
    /// The chain was validated and is right.
    Validated {
        /// Where the acknowledgement goes.
        reply: Reply<()>,
    },
}

/// What the engine says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EngineStatus {
    /// The newest block.
    pub head: Option<Head>,
    /// The chain's name.
    pub chain: Option<String>,
    /// Why nothing is signed.
    pub refused: Option<String>,
    /// Why `chain-head` could not be written.
    pub witness_error: Option<String>,
    /// The last stop was not orderly, and the chain was not validated since.
    pub validation_due: bool,
}

/// Why the engine could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The chain could not be opened.
    #[error("opening the chain")]
    Open(#[from] OpenError),
    /// The store failed.
    #[error("using the chain's store")]
    Store(#[from] StoreError),
    /// The chain could not be read.
    #[error("reading the chain")]
    Read(#[from] ReadError),
    /// No block could be made.
    #[error("making a block")]
    Produce(#[from] ProduceError),
    /// A computation was lost.
    #[error("a computation panicked")]
    Lost(#[from] JoinError),
}

/// The service.
pub struct BlockchainEngine {
    mode: Mode,
    /// Takes the chain back when the incarnation ends.
    _lease: Option<Lease<ChainStore>>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    due: Instant,
    head_file: PathBuf,
    witness_error: Option<String>,
    validation_due: bool,
}

/// What this incarnation does.
enum Mode {
    /// Makes blocks.
    Producing(Arc<Producer>),
    /// Only lends what there is.
    Refusing { chain: Option<Arc<ChainStore>>, reason: String },
}

impl Service for BlockchainEngine {
    const NAME: &'static str = "blockchain-engine";
    /// The precision of the block interval.
    const PERIOD: Duration = Duration::from_millis(500);
    /// An SSD that wakes up or collects garbage can take long over one sync.
    const BUSY_MAX: Duration = Duration::from_secs(60);

    type Config = EngineConfig;
    type Deps = EngineDeps;
    type Request = EngineRequest;
    type Status = EngineStatus;
    type Error = EngineError;

    async fn start(config: &EngineConfig, deps: &EngineDeps) -> Result<Self, EngineError> {
        let (owned, key, now) = (config.clone(), deps.key.clone(), now(&*deps.clock));
        let mode = blocking(move || open(&owned, &key, now)).await??;
        let mut engine = Self {
            mode,
            _lease: None,
            clock: deps.clock.clone(),
            interval: Duration::from_secs(config.block_interval_s.max(1)),
            due: Instant::now(),
            head_file: config.state_dir.join(HEAD_FILE_NAME),
            witness_error: None,
            validation_due: false,
        };
        if let Mode::Producing(producer) = &engine.mode {
            let chain = producer.chain().clone();
            let (unclean, head) = blocking(move || mark_running(&chain)).await??;
            engine.validation_due = unclean;
            engine.due += first_wait(head.time.unix_ms, now.unix_ms, engine.interval);
        }
        engine._lease = engine.chain().map(|chain| deps.lender.lend(chain.clone()));
        Ok(engine)
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), EngineError> {
        self.publish(ctx).await?;
        loop {
            match ctx.next().await {
                Event::Tick => self.tick(ctx).await?,
                Event::Request(EngineRequest::Submit { transaction, reply }) => {
                    let answer = self.submit(*transaction).await?;
                    self.publish(ctx).await?;
                    reply.send(answer);
                    self.give_up_after_failure()?;
                }
                Event::Request(EngineRequest::Validated { reply }) => {
                    self.validation_due = false;
                    self.publish(ctx).await?;
                    reply.send(());
                }
                Event::Stop => return self.stop().await,
            }
        }
    }

    fn awaits_owner(error: &Self::Error) -> bool {
        matches!(error, EngineError::Open(OpenError::Foreign { .. }))
    }

    fn health(status: &EngineStatus) -> Health {
        if let Some(reason) = &status.refused {
            return Health::Unhealthy { reason: reason.clone() };
        }
        let Some(head) = &status.head else { return Health::Starting };
        if let Some(reason) = &status.witness_error {
            return Health::Degraded { reason: reason.clone() };
        }
        if head.time.trust == TimeTrust::Held {
            let reason = "the clock is behind the newest block: block times are held until it has caught up".to_owned();
            return Health::Degraded { reason };
        }
        Health::Healthy
    }
}

impl BlockchainEngine {
    async fn tick(&mut self, ctx: &mut Ctx<Self>) -> Result<(), EngineError> {
        let Mode::Producing(producer) = &self.mode else { return Ok(()) };
        if Instant::now() < self.due {
            return Ok(());
        }
        let (producer, now) = (producer.clone(), now(&*self.clock));
        let started = std::time::Instant::now();
        let produced = blocking(move || producer.produce(now)).await??;
        metrics::histogram!("lucid_chain_block_seconds").record(started.elapsed().as_secs_f64());
        metrics::counter!("lucid_chain_transactions_total").increment(produced.transactions as u64);
        tracing::debug!(height = produced.height, transactions = produced.transactions, "block");
        self.due = next_due(self.due, Instant::now(), self.interval);
        if produced.transactions > 0 || produced.height.is_multiple_of(WITNESS_BLOCKS) {
            self.keep_witness(produced).await?;
        }
        self.publish(ctx).await
    }

    /// Keeps the head beside the identity. A boot disk that can't be written must not stop the chain.
    async fn keep_witness(&mut self, produced: Produced) -> Result<(), EngineError> {
        let path = self.head_file.clone();
        let saved = blocking(move || witness::save(&path, &produced.checkpoint)).await?;
        let failed = saved.err().map(|error| error.to_string());
        if let (Some(error), None) = (&failed, &self.witness_error) {
            tracing::warn!(%error, "the head of the chain could not be kept");
        }
        self.witness_error = failed;
        Ok(())
    }

    async fn submit(&self, transaction: SignedTransaction) -> Result<Result<Submitted, SubmitError>, EngineError> {
        match &self.mode {
            Mode::Producing(producer) => {
                let chain = producer.chain().clone();
                Ok(blocking(move || chain.submit(transaction)).await?)
            }
            Mode::Refusing { reason, .. } => Ok(Err(SubmitError::Refused(reason.clone()))),
        }
    }

    /// A store that failed takes no writes until it is opened again: the next incarnation does that.
    fn give_up_after_failure(&self) -> Result<(), EngineError> {
        let failure = self.chain().and_then(|chain| chain.store().failure());
        failure.map_or(Ok(()), |failure| Err(EngineError::Store(failure)))
    }

    async fn stop(&mut self) -> Result<(), EngineError> {
        let Mode::Producing(producer) = &self.mode else { return Ok(()) };
        let (chain, path, keep_mark) = (producer.chain().clone(), self.head_file.clone(), self.validation_due);
        blocking(move || {
            witness::save(&path, &chain.checkpoint()?)?;
            if !keep_mark {
                chain.mark_clean()?;
            }
            Ok(())
        })
        .await?
    }

    async fn publish(&self, ctx: &Ctx<Self>) -> Result<(), EngineError> {
        let chain = self.chain().cloned();
        let head = match chain.clone() {
            Some(chain) => Some(blocking(move || chain.head()).await??),
            None => None,
        };
        if let Some(head) = &head {
            metrics::gauge!("lucid_chain_height").set(head.height as f64);
            metrics::gauge!("lucid_chain_mempool").set(head.mempool as f64);
        }
        ctx.publish(EngineStatus {
            head,
            chain: chain.map(|chain| chain.genesis().chain().to_owned()),
            refused: match &self.mode {
                Mode::Producing(_) => None,
                Mode::Refusing { reason, .. } => Some(reason.clone()),
            },
            witness_error: self.witness_error.clone(),
            validation_due: self.validation_due,
        });
        Ok(())
    }

    fn chain(&self) -> Option<&Arc<ChainStore>> {
        match &self.mode {
            Mode::Producing(producer) => Some(producer.chain()),
            Mode::Refusing { chain, .. } => chain.as_ref(),
        }
    }
}

/// Opens the chain, begins one where none ever was, and decides whether it may be continued. Blocking.
fn open(config: &EngineConfig, key: &SigningKey, now: Timestamp) -> Result<Mode, EngineError> {
    let own = key.verifying_key().to_bytes();
    let head_file = config.state_dir.join(HEAD_FILE_NAME);
    let options = Options { migrate: config.migrate, ..Options::default() };
    let store = ChainStore::open_store_with(&config.data_dir.join(FILE_NAME), options)?;
    let chain = ChainStore::load(store.clone(), &own)?.map(Arc::new);
    let refusal = refusal(chain.as_deref(), witness::load(&head_file, &own))?;
    let settled = refusal.is_none() && chain.is_some();
    if let Some(refusal) = refusal {
        if config.accept_rollback.as_deref() != Some(refusal.acceptance()) {
            let reason = lucid_error::chain(&refusal);
            tracing::error!(%reason, "the chain is not continued");
            return Ok(Mode::Refusing { chain, reason });
        }
        tracing::warn!(accepted = refusal.acceptance(), "continuing on the owner's word: {refusal}");
    }
    let producer = match chain {
        Some(chain) => Producer::new(chain, key)?,
        None => Producer::begin(store, &chain_name(&own, head_file.exists(), now), now, key)?,
    };
    if !settled {
        // A new beginning must be known from here on, or an old disk could take its place.
        witness::save(&head_file, &producer.chain().checkpoint()?)?;
    }
    Ok(Mode::Producing(Arc::new(producer)))
}

/// Why the chain must not be continued, if it must not.
fn refusal(
    chain: Option<&ChainStore>,
    seen: Result<Option<lucid_proof::checkpoint::Checkpoint>, WitnessError>,
) -> Result<Option<Refusal>, ReadError> {
    match (chain, seen) {
        (_, Ok(None)) => Ok(None),
        (None, Ok(Some(seen))) => Ok(Some(witness::gone(&seen))),
        (Some(chain), Ok(Some(seen))) => Ok(witness::check(chain, &seen)?.err()),
        (chain, Err(source)) => {
            let head = chain.map_or(Ok("new".to_owned()), |chain| Ok::<_, ReadError>(chain.head()?.hash))?;
            Ok(Some(Refusal::Unknown { head, source }))
        }
    }
}

/// `lucid-` and the first eight digits of the SHA-256 of the key. A chain begun after another one by the same key bears
/// the time of its beginning, too: two logs of one name would look like a fork.
fn chain_name(own: &[u8; 32], another: bool, now: Timestamp) -> String {
    let name = format!("lucid-{}/chain", hex(&sha256(&[own])[..4]));
    if another { format!("{name}-{}", now.unix_ms) } else { name }
}

/// Sets the mark of a running engine; tells whether it was set, and the head. Blocking.
fn mark_running(chain: &ChainStore) -> Result<(bool, Head), EngineError> {
    let unclean = chain.is_unclean()?;
    chain.mark_unclean()?;
    Ok((unclean, chain.head()?))
}

/// What the clock says, as blocks say it.
fn now(clock: &dyn Clock) -> Timestamp {
    let now = clock.now();
    let trust = match now.trust {
        ClockTrust::Unsynchronized => TimeTrust::Unsynchronized,
        ClockTrust::Held => TimeTrust::Held,
        ClockTrust::Synchronized => TimeTrust::Synchronized,
    };
    Timestamp { unix_ms: now.unix_ms, trust }
}

/// Time until the first block of this incarnation: what is left of the interval. A clock that was set back can't
/// stretch it beyond one interval.
fn first_wait(parent_ms: u64, now_ms: u64, interval: Duration) -> Duration {
    let due_ms = parent_ms.saturating_add(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
    Duration::from_millis(due_ms.saturating_sub(now_ms)).min(interval)
}

/// When the block after the one that was due at `due` is due. Blocks that were missed are not made up.
fn next_due(due: Instant, now: Instant, interval: Duration) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}

/// Runs what waits for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await
}

#[cfg(test)]
mod tests;
