//! Services that are told what to do wrong, under paused time.

mod backing_off;
mod blocking;
mod checking;
mod events;
mod lending;
mod lives;
mod obstacles;
mod pool;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{Board, Ctx, Event, Gate, Handle, Health, Life, Reply, Service, Spec, Unavailable, supervise, wire};

const NAMES: [&str; 3] = ["probe", "other", "third"];
const PERIOD: Duration = Duration::from_secs(10);
const BUSY_MAX: Duration = Duration::from_secs(5);
const START_MAX: Duration = Duration::from_secs(40);
const QUEUE_MAX: usize = 8;
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What a test asks of a probe.
enum Ask {
    /// Answers with which incarnation it is, from 1.
    Incarnation(Reply<u64>),
    /// Answers with the ticks of this incarnation.
    Ticks(Reply<u64>),
    /// Panics with the reply in hand.
    Panic(Reply<()>),
    Fail(Reply<()>),
    Return(Reply<()>),
    /// Awaits for so long before it answers.
    Sleep(Duration, Reply<()>),
    Publish(u64, Reply<()>),
    /// Runs work beside itself; the flag is true while it lives.
    Spawn(Arc<AtomicBool>, Reply<()>),
}

/// What tests and probes share.
#[derive(Default)]
struct Script {
    starts: AtomicU64,
    /// Starts that are still to fail.
    failing_starts: AtomicU64,
    /// Starts that are still to fail for something that the owner has to do.
    refused_starts: AtomicU64,
    /// The next start awaits for ever.
    hanging_start: AtomicBool,
    /// The next start takes a second.
    slow_start: AtomicBool,
    /// Does not stop when asked.
    deaf: AtomicBool,
    /// Panics when asked to stop.
    panics_at_stop: AtomicBool,
    /// Incarnations that live.
    alive: AtomicU64,
    ticks: AtomicU64,
    served: AtomicU64,
}

/// An error with two causes below it.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("opening the store of `probe`")]
    Open(#[source] Box<ProbeError>),
    #[error("reading block 7")]
    Read(#[source] std::fmt::Error),
    #[error("asked to fail")]
    Asked,
    #[error("the disk is another's: put it back")]
    Foreign,
}

struct Probe<const N: usize> {
    incarnation: u64,
    ticks: u64,
    script: Arc<Script>,
}

impl<const N: usize> Service for Probe<N> {
    const NAME: &'static str = NAMES[N];
    const PERIOD: Duration = PERIOD;
    const START_MAX: Duration = START_MAX;
    const BUSY_MAX: Duration = BUSY_MAX;
    const QUEUE_MAX: usize = QUEUE_MAX;
    type Config = ();
    type Deps = Arc<Script>;
    type Request = Ask;
    type Status = u64;
    type Error = ProbeError;

    async fn start((): &(), script: &Arc<Script>) -> Result<Self, ProbeError> {
        let incarnation = script.starts.fetch_add(1, Ordering::SeqCst) + 1;
        if script.hanging_start.swap(false, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if script.slow_start.swap(false, Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if script.failing_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(ProbeError::Open(Box::new(ProbeError::Read(std::fmt::Error))));
        }
        if script.refused_starts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Err(ProbeError::Foreign);
        }
        script.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Self { incarnation, ticks: 0, script: script.clone() })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), ProbeError> {
        loop {
            match ctx.next().await {
                Event::Tick => {
                    self.ticks += 1;
                    self.script.ticks.fetch_add(1, Ordering::SeqCst);
                }
                Event::Request(ask) => {
                    self.script.served.fetch_add(1, Ordering::SeqCst);
                    if self.answer(ask, ctx).await? {
                        return Ok(());
                    }
                }
                Event::Stop if self.script.deaf.load(Ordering::SeqCst) => std::future::pending().await,
                Event::Stop if self.script.panics_at_stop.load(Ordering::SeqCst) => panic!("at the stop"),
                Event::Stop => return Ok(()),
            }
        }
    }

    fn awaits_owner(error: &ProbeError) -> bool {
        matches!(error, ProbeError::Foreign)
    }

    /// 0 is healthy, 1 degraded, all else unhealthy.
    fn health(status: &u64) -> Health {
        match status {
            0 => Health::Healthy,
            1 => Health::Degraded { reason: "one".to_owned() },
            more => Health::Unhealthy { reason: more.to_string() },
        }
    }
}

impl<const N: usize> Probe<N> {
    /// Whether the probe is to return.
    async fn answer(&self, ask: Ask, ctx: &Ctx<Self>) -> Result<bool, ProbeError> {
        match ask {
            Ask::Incarnation(reply) => reply.send(self.incarnation),
            Ask::Ticks(reply) => reply.send(self.ticks),
            Ask::Panic(_reply) => panic!("asked to {}", "panic"),
            Ask::Fail(_reply) => return Err(ProbeError::Asked),
            Ask::Return(_reply) => return Ok(true),
            Ask::Sleep(time, reply) => {
                tokio::time::sleep(time).await;
                reply.send(());
            }
            Ask::Publish(status, reply) => {
                ctx.publish(status);
                reply.send(());
            }
            Ask::Spawn(flag, reply) => {
                let alive = Alive::new(flag);
                ctx.spawn(async move {
                    let _alive = alive;
                    std::future::pending::<()>().await;
                });
                reply.send(());
            }
        }
        Ok(false)
    }
}

impl<const N: usize> Drop for Probe<N> {
    fn drop(&mut self) {
        self.script.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Its flag is true while it lives.
struct Alive(Arc<AtomicBool>);

impl Alive {
    fn new(flag: Arc<AtomicBool>) -> Self {
        flag.store(true, Ordering::SeqCst);
        Self(flag)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// One supervised probe.
struct Bench<const N: usize> {
    handle: Handle<Probe<N>>,
    script: Arc<Script>,
    board: Board,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A critical probe without needs on a board of its own.
fn probe() -> Bench<0> {
    start(&Board::default(), spec::<0>(), vec![], Arc::default())
}

fn spec<const N: usize>() -> Spec {
    Spec {
        name: NAMES[N],
        purpose: "test",
        needs: &[],
        critical: true,
        storage: false,
        stop_grace_s: STOP_GRACE.as_secs(),
    }
}

fn start<const N: usize>(board: &Board, spec: Spec, gates: Vec<Gate>, script: Arc<Script>) -> Bench<N> {
    let (handle, wired) = wire();
    let stop = CancellationToken::new();
    let task = supervise(spec, wired, (), script.clone(), gates, board, stop.clone());
    Bench { handle, script, board: board.clone(), stop, task }
}

impl<const N: usize> Bench<N> {
    async fn becomes(&self, wanted: impl Fn(&Life) -> bool) -> Life {
        let mut life = self.handle.life();
        life.wait_for(|life| wanted(life)).await.unwrap().clone()
    }

    /// Waits until the `count`-th start. A life that passes within one poll can't be waited for.
    async fn started(&self, count: u64) {
        while self.script.starts.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn runs(&self) {
        self.becomes(|life| *life == Life::Running).await;
    }

    /// Waits for the next backoff; gives its cause and wait.
    async fn backs_off(&self) -> (String, Duration) {
        match self.becomes(|life| matches!(life, Life::Backoff { .. })).await {
            Life::Backoff { cause, retry_in_ms } => (cause, Duration::from_millis(retry_in_ms)),
            other => panic!("{other:?}"),
        }
    }

    async fn incarnation(&self) -> u64 {
        self.handle.ask(Ask::Incarnation).await.unwrap()
    }

    fn health(&self) -> Health {
        self.board.health(NAMES[N]).unwrap()
    }
}

/// A gate that is closed while the value gives a reason.
fn gate(closed: &watch::Sender<Option<&'static str>>) -> Gate {
    Gate::new(closed.subscribe(), |reason| reason.map(str::to_owned))
}
