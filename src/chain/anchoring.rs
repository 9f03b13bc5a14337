//! session-anchoring: takes the anchors of finished recordings, signs them and sees them into a block.
//!
//! Has no store of its own: the engine's mempool is durable, and an anchor is acknowledged only once it is there. What
//! waits is read from the chain afresh at every tick. Degraded when an anchor waits far longer than a block takes. Must
//! never sign for another chain than the one that the engine runs, nor answer before the anchor is on disk.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use lucid_kit::{Ctx, Event, Handle, Health, Reply, Service, Slot};
use lucid_ports::{AnchorError, AnchorState, Anchoring, SessionId};
use lucid_proof::block::{Anchor, SignedTransaction, Transaction};
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};

use crate::{BlockchainEngine, ChainStore, EngineRequest, SubmitError, Submitted, chain_store::read};

/// Anchors that are being submitted at once; more are told to try again. As many as the engine queues.
const IN_FLIGHT_MAX: usize = 64;
/// An anchor that waits longer than this is worth the owner's attention: twelve blocks at the usual interval.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// What session-anchoring may use.
#[derive(Clone)]
pub struct AnchoringDeps {
    /// The appliance's identity: the sender of its anchors.
    pub key: SigningKey,
    /// Takes the transactions.
    pub engine: Handle<BlockchainEngine>,
    /// Tells the chain and what waits.
    pub chain: Slot<ChainStore>,
}

/// What others may ask of session-anchoring.
pub enum AnchoringRequest {
    /// Sign and queue an anchor.
    Submit {
        /// The anchor.
        anchor: Anchor,
        /// Where the answer goes.
        reply: Reply<Result<Submitted, SignError>>,
    },
}

/// Why an anchor was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The engine does not run.
    #[error("blockchain-engine is not available: try again in a moment")]
    Unavailable,
    /// Too many anchors are being submitted.
    #[error("{IN_FLIGHT_MAX} anchors are being submitted already: try again in a moment")]
    Busy,
    /// The engine refused.
    #[error("submitting the anchor")]
    Submit(#[source] SubmitError),
}

/// What session-anchoring says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AnchoringStatus {
    /// Anchors that wait for a block.
    pub pending: u64,
    /// Anchors in the chain.
    pub anchored: u64,
    /// How long the first of the waiting ones has been seen waiting, in seconds.
    pub waiting_s: u64,
    /// Whether the chain could be read at the last tick.
    pub chain_readable: bool,
}

/// The service.
pub struct SessionAnchoring {
    deps: AnchoringDeps,
    in_flight: Arc<Semaphore>,
    /// The first in the queue at the last tick, and since when it has been.
    first: Option<(u64, Instant)>,
}

impl Service for SessionAnchoring {
    const NAME: &'static str = "session-anchoring";
    const PERIOD: Duration = Duration::from_secs(2);

    type Config = ();
    type Deps = AnchoringDeps;
    type Request = AnchoringRequest;
    type Status = AnchoringStatus;
    type Error = Infallible;

    async fn start(_config: &(), deps: &AnchoringDeps) -> Result<Self, Infallible> {
        Ok(Self { deps: deps.clone(), in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)), first: None })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Infallible> {
        loop {
            match ctx.next().await {
                Event::Tick => self.reconcile(ctx).await,
                Event::Request(AnchoringRequest::Submit { anchor, reply }) => self.submit(ctx, anchor, reply),
                Event::Stop => return Ok(()),
            }
        }
    }

    fn health(status: &AnchoringStatus) -> Health {
        if status.waiting_s > WAIT_MAX.as_secs() {
            let AnchoringStatus { pending, waiting_s, .. } = status;
            let reason = format!("{pending} recordings wait for a block, the first for {waiting_s} s");
            return Health::Degraded { reason };
        }
        if !status.chain_readable {
            return Health::Waiting { reason: "waiting for blockchain-engine".to_owned() };
        }
        Health::Healthy
    }
}

impl SessionAnchoring {
    /// Re-reads what waits.
    async fn reconcile(&mut self, ctx: &Ctx<Self>) {
        let Some((pending, first, anchored)) = self.look().await else {
            ctx.publish(AnchoringStatus { chain_readable: false, ..(*ctx.status()).clone() });
            return;
        };
        self.first = first.map(|first| match self.first {
            Some((former, since)) if former == first => (first, since),
            _ => (first, Instant::now()),
        });
        let waiting_s = self.first.map_or(0, |(_, since)| since.elapsed().as_secs());
        ctx.publish(AnchoringStatus { pending, anchored, waiting_s, chain_readable: true });
    }

    /// Number of waiting anchors, the first's place in the queue, number of anchors in the chain.
    async fn look(&self) -> Option<(u64, Option<u64>, u64)> {
        let chain = self.deps.chain.get().ok()?;
        let looked = read(chain, |chain| {
            let (pending, first) = chain.waiting()?;
            Ok((pending, first, chain.head()?.anchors))
        });
        looked.await?.inspect_err(|error| tracing::warn!(%error, "the waiting anchors could not be read")).ok()
    }

    /// Signs, and leaves the waiting for the disk to a task beside the loop.
    fn submit(&self, ctx: &Ctx<Self>, anchor: Anchor, reply: Reply<Result<Submitted, SignError>>) {
        let Ok(chain) = self.deps.chain.get() else { return reply.send(Err(SignError::Unavailable)) };
        let Ok(permit) = self.in_flight.clone().try_acquire_owned() else { return reply.send(Err(SignError::Busy)) };
        let transaction = Transaction::Anchor(anchor);
        let transaction = Box::new(SignedTransaction::sign(transaction, chain.chain_id(), &self.deps.key));
        // The engine may have to reopen its store: nothing here may hold on to it.
        drop(chain);
        let engine = self.deps.engine.clone();
        ctx.spawn(async move {
            let answer = engine.ask(|reply| EngineRequest::Submit { transaction, reply }).await;
            drop(permit);
            reply.send(match answer {
                Ok(answer) => answer.map_err(SignError::Submit),
                Err(_) => Err(SignError::Unavailable),
            });
        });
    }
}

/// [`Anchoring`] over the service and the lent chain.
#[derive(Clone)]
pub struct AnchoringPort {
    service: Handle<SessionAnchoring>,
    chain: Slot<ChainStore>,
}

impl AnchoringPort {
    /// A port over these.
    #[must_use]
    pub fn new(service: Handle<SessionAnchoring>, chain: Slot<ChainStore>) -> Self {
        Self { service, chain }
    }

    /// As [`Anchoring::submit`], with every reason told apart, and with what became of the anchor.
    ///
    /// # Errors
    /// [`SignError`].
    pub async fn anchor(&self, anchor: Anchor) -> Result<Submitted, SignError> {
        let answer = self.service.ask(|reply| AnchoringRequest::Submit { anchor, reply }).await;
        answer.unwrap_or(Err(SignError::Unavailable))
    }
}

fn submitted(submitted: Submitted) -> AnchorState {
    match submitted {
        Submitted::Pending => AnchorState::Pending,
        Submitted::Anchored { height } => AnchorState::Anchored { height },
    }
}

#[async_trait]
impl Anchoring for AnchoringPort {
    async fn submit(&self, anchor: Anchor) -> Result<AnchorState, AnchorError> {
        self.anchor(anchor).await.map(submitted).map_err(|error| match error {
            SignError::Submit(SubmitError::Conflict(session)) => AnchorError::Conflict(session),
            error => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an anchor was not taken");
                AnchorError::Unavailable
            }
        })
    }

    async fn state(&self, session: SessionId) -> Result<AnchorState, AnchorError> {
        let chain = self.chain.get().map_err(|_| AnchorError::Unavailable)?;
        let state = read(chain, move |chain| chain.submitted(&session.bytes())).await;
        match state.ok_or(AnchorError::Unavailable)? {
            Ok(None) => Ok(AnchorState::Unknown),
            Ok(Some(state)) => Ok(submitted(state)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the state of an anchor could not be read");
                Err(AnchorError::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests;
