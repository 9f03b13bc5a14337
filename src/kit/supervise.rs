//! The loop that keeps one service running.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::select_all};
use lucid_error::chain;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{Backoff, Board, Ctx, Gate, Handle, Life, Service, Spec, beat::Beat, board::Entry, ctx};

/// How often the loop looks whether the service still comes back.
const BEAT_CHECK: Duration = Duration::from_millis(500);
/// How long the work beside a service may take to be dropped when its incarnation ends. It is dropped where it awaits,
/// so that longer means a blocked thread; the next incarnation then starts all the same.
const CHILDREN_MAX: Duration = Duration::from_secs(1);

/// Makes the two ends of a service: the handle for others, the context for itself.
pub fn wire<S: Service>() -> (Handle<S>, Wired<S>) {
    let (requests_in, requests) = mpsc::channel(S::QUEUE_MAX);
    let (pings_in, pings) = mpsc::channel(1);
    let (status, status_out) = watch::channel(Arc::new(S::Status::default()));
    let (life, life_out) = watch::channel(Life::Stopped);
    let handle = Handle { requests: requests_in, status: status_out, life: life_out };
    let ctx = Ctx {
        requests,
        pings,
        status,
        beat: Arc::new(Beat::new()),
        stop: CancellationToken::new(),
        children: TaskTracker::new(),
        ticks: ctx::ticks::<S>(),
        streak: 0,
    };
    (handle.clone(), Wired { ctx, life, handle, pings: pings_in })
}

/// A service that is wired and not yet supervised. Must be given to [`supervise`].
#[must_use = "a wired service runs only once it is supervised"]
pub struct Wired<S: Service> {
    ctx: Ctx<S>,
    life: watch::Sender<Life>,
    handle: Handle<S>,
    pings: mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
}

/// Keeps `S` running until `stop`: waits for its needs and gates, starts it, restarts it with backoff, contains its
/// panics, and stops it within `spec.stop_grace_s`, by force after that. Puts it on the `board`.
pub fn supervise<S: Service>(
    spec: Spec,
    wired: Wired<S>,
    config: S::Config,
    deps: S::Deps,
    gates: Vec<Gate>,
    board: &Board,
    stop: CancellationToken,
) -> JoinHandle<()> {
    debug_assert_eq!(spec.name, S::NAME, "the table and the service disagree about the name");
    let Wired { ctx, life, handle, pings } = wired;
    let beat = ctx.beat.clone();
    let (restart, restarts_asked) = mpsc::channel(1);
    let needs = spec.needs.iter().map(|&need| (need, life_of(need, board))).collect();
    let restarts = Arc::new(std::sync::atomic::AtomicU64::new(0));
    board.add(Entry::new::<S>(spec, handle, beat.clone(), pings, restart, restarts.clone()));
    let life = LifeTeller { sender: life, beat };
    let backoff = Backoff::default();
    let awaits_owner = false;
    let keeper =
        Keeper { spec, config, deps, life, gates, needs, stop, restarts_asked, restarts, backoff, awaits_owner };
    tokio::spawn(keeper.keep(ctx).instrument(tracing::info_span!("service", name = S::NAME)))
}

/// The life of a need. One that is not on the board, because it comes later in the table or not at all, never runs:
/// who needs it waits, and says for what.
fn life_of(need: &'static str, board: &Board) -> watch::Receiver<Life> {
    board.life(need).unwrap_or_else(|| {
        tracing::error!(need, "is needed, but nothing before it in the table has this name");
        watch::channel(Life::Stopped).1
    })
}

/// Tells everyone about a service's life, and since when.
#[derive(Clone)]
struct LifeTeller {
    sender: watch::Sender<Life>,
    beat: Arc<Beat>,
}

impl LifeTeller {
    fn tell(&self, life: Life) {
        self.beat.life_changed();
        self.sender.send_replace(life);
    }
}

/// Everything one supervised service needs beside its context.
struct Keeper<S: Service> {
    spec: Spec,
    config: S::Config,
    deps: S::Deps,
    life: LifeTeller,
    gates: Vec<Gate>,
    needs: Vec<(&'static str, watch::Receiver<Life>)>,
    stop: CancellationToken,
    restarts_asked: mpsc::Receiver<()>,
    restarts: Arc<std::sync::atomic::AtomicU64>,
    backoff: Backoff,
    /// The last incarnation ended with [`Service::awaits_owner`].
    awaits_owner: bool,
}

/// Why an incarnation ended by itself.
struct Failure {
    /// In words, with all that it comes from.
    cause: String,
    /// [`Service::awaits_owner`]
    awaits_owner: bool,
}

impl Failure {
    const fn new(cause: String) -> Self {
        Self { cause, awaits_owner: false }
    }
}

/// Why an incarnation ended.
enum End {
    /// It returned by itself, failed or panicked.
    Failed(Failure),
    /// A gate closed, or somebody asked for a restart: start again as soon as possible.
    Asked,
    /// The box stops.
    Stop,
}

impl<S: Service> Keeper<S> {
    async fn keep(mut self, mut ctx: Ctx<S>) {
        let stop = self.stop.clone();
        while stop.run_until_cancelled(self.wait_until_startable()).await.is_some() {
            let started = Instant::now();
            self.backoff.started(started);
            let end = self.incarnation(&mut ctx).await;
            ctx.ended();
            match end {
                End::Stop => break,
                End::Asked => self.awaits_owner = false,
                End::Failed(failure) => self.back_off(failure, started.elapsed()).await,
            }
            self.restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            metrics::counter!("lucid_service_restarts_total", "service" => S::NAME).increment(1);
        }
        self.life.tell(Life::Stopped);
    }

    /// Waits for needs and gates, and says for which.
    async fn wait_until_startable(&mut self) {
        while let Some(reason) = self.obstacle() {
            self.awaits_owner = false;
            self.life.tell(Life::Waiting { reason });
            self.obstacle_changed().await;
        }
        // What was asked before is done by this start.
        while self.restarts_asked.try_recv().is_ok() {}
    }

    /// The first thing that stands against a start.
    fn obstacle(&self) -> Option<String> {
        let need = self.needs.iter().find(|(_, life)| *life.borrow() != Life::Running);
        self.gates.iter().find_map(Gate::closed).or_else(|| need.map(|(name, _)| format!("waiting for {name}")))
    }

    async fn obstacle_changed(&mut self) {
        let gates = self.gates.iter_mut().map(|gate| gate.changed().boxed());
        let needs = self.needs.iter_mut().map(|(_, life)| {
            async {
                if life.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        });
        select_all(gates.chain(needs)).await;
    }

    /// Makes and runs one incarnation to its end.
    // select!: work is pinned outside and polled again below; the rest only observes.
    async fn incarnation(&mut self, ctx: &mut Ctx<S>) -> End {
        let incarnation_stop = CancellationToken::new();
        ctx.renew(incarnation_stop.clone());
        let beat = ctx.beat.clone();
        let children = ctx.children.clone();
        // Who waits for the owner goes on waiting while it is looked whether that is over.
        if !self.awaits_owner {
            self.life.tell(Life::Starting);
        }
        let life = self.life.clone();
        let (config, deps) = (&self.config, &self.deps);
        let work = AssertUnwindSafe(async move { live(config, deps, ctx, &life).await }).catch_unwind();
        tokio::pin!(work);
        let watchman = Watchman { gates: &mut self.gates, asked: &mut self.restarts_asked, stop: &self.stop };
        let end = tokio::select! {
            done = &mut work => {
                End::Failed(failure(done).unwrap_or_else(|| Failure::new("returned without being asked to".to_owned())))
            }
            end = watchman.end() => {
                self.life.tell(Life::Stopping);
                incarnation_stop.cancel();
                stopped(work, Duration::from_secs(self.spec.stop_grace_s)).await;
                end
            }
            busy = stuck(&beat, S::BUSY_MAX) => {
                let busy_ms = u64::try_from(busy.as_millis()).unwrap_or(u64::MAX);
                self.life.tell(Life::Stuck { busy_ms });
                let cause = format!("did not come back from one event for {} s: given up", busy.as_secs());
                End::Failed(Failure::new(cause))
            }
        };
        incarnation_stop.cancel();
        children_ended(&children).await;
        end
    }

    /// Waits for the next start. A gate that closes ends the wait: then the service waits for the gate, says so, and
    /// starts as soon as it opens, since what closed it mostly was the cause.
    // select!: sleep, cancelled, recv and closed are cancel-safe.
    async fn back_off(&mut self, failure: Failure, lived: Duration) {
        let Failure { cause, awaits_owner } = failure;
        self.awaits_owner = awaits_owner;
        let now = Instant::now();
        let wait = self.backoff.failed(lived, now);
        let limited = self.backoff.limited(now);
        tracing::error!(%cause, retry_in_ms = wait.as_millis(), limited, "ended; will be started again");
        let cause = if limited && !awaits_owner { format!("restarting too often; {cause}") } else { cause };
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.life.tell(match awaits_owner {
            true => Life::Waiting { reason: cause },
            false => Life::Backoff { cause, retry_in_ms },
        });
        let () = tokio::select! {
            () = tokio::time::sleep(wait) => (),
            () = self.stop.cancelled() => (),
            () = closed(&mut self.gates) => (),
            // Nobody can ask any more once the board is gone: that must not end the wait.
            Some(()) = self.restarts_asked.recv() => (),
        };
    }
}

/// An incarnation, from its start to where it ends by itself or was asked to.
async fn live<S: Service>(
    config: &S::Config,
    deps: &S::Deps,
    ctx: &mut Ctx<S>,
    life: &LifeTeller,
) -> Result<(), Failure> {
    let started = tokio::time::timeout(S::START_MAX, S::start(config, deps)).await;
    let started = started.map_err(|_| Failure::new(late_start::<S>()))?;
    let mut service = started.map_err(|error| not_started::<S>(&error))?;
    if ctx.stop.is_cancelled() {
        // What it waited for has gone while it started: it never ran, and what it lends it takes back.
        return Ok(());
    }
    life.tell(Life::Running);
    tracing::info!("running");
    service.run(ctx).await.map_err(|error| Failure::new(chain(&error)))
}

/// What may end an incarnation from outside.
struct Watchman<'a> {
    gates: &'a mut Vec<Gate>,
    asked: &'a mut mpsc::Receiver<()>,
    stop: &'a CancellationToken,
}

impl Watchman<'_> {
    // select!: every arm only observes.
    async fn end(self) -> End {
        let end = tokio::select! {
            () = self.stop.cancelled() => End::Stop,
            () = closed(self.gates) => End::Asked,
            Some(()) = self.asked.recv() => End::Asked,
        };
        end
    }
}

/// Completes when a gate is closed. Cancel-safe.
async fn closed(gates: &mut [Gate]) {
    if gates.is_empty() {
        std::future::pending::<()>().await;
    }
    while gates.iter().all(|gate| gate.closed().is_none()) {
        select_all(gates.iter_mut().map(|gate| gate.changed().boxed())).await;
    }
}

/// Completes when the service has been at one event for longer than `busy_max`.
async fn stuck(beat: &Beat, busy_max: Duration) -> Duration {
    loop {
        tokio::time::sleep(BEAT_CHECK.min(busy_max)).await;
        let busy = beat.busy();
        if busy > busy_max {
            return busy;
        }
    }
}

/// What an incarnation comes to: nothing, the cause of its failure, or a panic.
type Done = Result<Result<(), Failure>, Box<dyn Any + Send>>;

fn late_start<S: Service>() -> String {
    format!("did not start within {} s", S::START_MAX.as_secs())
}

/// Why an incarnation that came to its end did so, unless it simply returned.
fn failure(done: Done) -> Option<Failure> {
    match done {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(panic) => Some(Failure::new(format!("panicked: {}", panic_text(&*panic)))),
    }
}

fn not_started<S: Service>(error: &S::Error) -> Failure {
    Failure { cause: chain(error), awaits_owner: S::awaits_owner(error) }
}

/// Waits for an incarnation that was asked to stop, at most for `grace`.
async fn stopped(work: Pin<&mut impl Future<Output = Done>>, grace: Duration) {
    match tokio::time::timeout(grace, work).await.map(failure) {
        Ok(None) => {}
        Ok(Some(Failure { cause, .. })) => tracing::error!(%cause, "failed while it stopped"),
        Err(_) => tracing::warn!(grace_s = grace.as_secs(), "did not stop in time: ended by force"),
    }
}

/// Waits for the work beside an incarnation, which is dropped where it awaits.
async fn children_ended(children: &TaskTracker) {
    children.close();
    if tokio::time::timeout(CHILDREN_MAX, children.wait()).await.is_err() {
        tracing::warn!(left = children.len(), "work beside the service has not ended with it");
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
