//! The loop that keeps one service running.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::select_all};
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
    let needs = spec.needs.iter().filter_map(|&need| Some((need, board.life(need)?))).collect();
    let restarts = Arc::new(std::sync::atomic::AtomicU64::new(0));
    board.add(Entry::new::<S>(spec, handle, beat, pings, restart, restarts.clone()));
    let keeper =
        Keeper { spec, config, deps, life, gates, needs, stop, restarts_asked, restarts, backoff: Backoff::default() };
    tokio::spawn(keeper.keep(ctx).instrument(tracing::info_span!("service", name = S::NAME)))
}

/// Everything one supervised service needs beside its context.
struct Keeper<S: Service> {
    spec: Spec,
    config: S::Config,
    deps: S::Deps,
    life: watch::Sender<Life>,
    gates: Vec<Gate>,
    needs: Vec<(&'static str, watch::Receiver<Life>)>,
    stop: CancellationToken,
    restarts_asked: mpsc::Receiver<()>,
    restarts: Arc<std::sync::atomic::AtomicU64>,
    backoff: Backoff,
}

/// Why an incarnation ended.
enum End {
    /// It returned by itself, failed or panicked.
    Failed(String),
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
                End::Asked => {}
                End::Failed(cause) => self.back_off(cause, started.elapsed()).await,
            }
            self.restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            metrics::counter!("lucid_service_restarts_total", "service" => S::NAME).increment(1);
        }
        self.life.send_replace(Life::Stopped);
    }

    /// Waits for needs and gates, and says for which.
    async fn wait_until_startable(&mut self) {
        while let Some(reason) = self.obstacle() {
            self.life.send_replace(Life::Waiting { reason });
            self.obstacle_changed().await;
        }
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
        self.life.send_replace(Life::Starting);
        let life = self.life.clone();
        let (config, deps) = (&self.config, &self.deps);
        let work = AssertUnwindSafe(async move {
            let mut service = S::start(config, deps).await?;
            life.send_replace(Life::Running);
            tracing::info!("running");
            service.run(ctx).await
        })
        .catch_unwind();
        tokio::pin!(work);
        let watchman = Watchman { gates: &mut self.gates, asked: &mut self.restarts_asked, stop: &self.stop };
        let end = tokio::select! {
            done = &mut work => ended::<S>(done),
            end = watchman.end() => {
                self.life.send_replace(Life::Stopping);
                incarnation_stop.cancel();
                let grace = Duration::from_secs(self.spec.stop_grace_s);
                if tokio::time::timeout(grace, &mut work).await.is_err() {
                    tracing::warn!(grace_s = grace.as_secs(), "did not stop in time: ended by force");
                }
                end
            }
            busy = stuck(&beat, S::BUSY_MAX) => {
                let busy_ms = u64::try_from(busy.as_millis()).unwrap_or(u64::MAX);
                self.life.send_replace(Life::Stuck { busy_ms });
                End::Failed(format!("did not come back from one event for {} s: given up", busy.as_secs()))
            }
        };
        incarnation_stop.cancel();
        children.close();
        end
    }
    // select!: sleep and recv are cancel-safe.
    async fn back_off(&mut self, cause: String, lived: Duration) {
        let now = Instant::now();
        let wait = self.backoff.failed(lived, now);
        let limited = self.backoff.limited(now);
        tracing::error!(%cause, retry_in_ms = wait.as_millis(), limited, "ended; will be started again");
        let cause = if limited { format!("restarting too often; {cause}") } else { cause };
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.life.send_replace(Life::Backoff { cause, retry_in_ms });
        let () = tokio::select! {
            () = tokio::time::sleep(wait) => (),
            () = self.stop.cancelled() => (),
            _ = self.restarts_asked.recv() => (),
        };
    }
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
        let closed = async {
            if self.gates.is_empty() {
                std::future::pending::<()>().await;
            }
            while self.gates.iter().all(|gate| gate.closed().is_none()) {
                select_all(self.gates.iter_mut().map(|gate| gate.changed().boxed())).await;
            }
        };
        let end = tokio::select! {
            () = self.stop.cancelled() => End::Stop,
            () = closed => End::Asked,
            Some(()) = self.asked.recv() => End::Asked,
        };
        end
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

type Done<S> = Result<Result<(), <S as Service>::Error>, Box<dyn Any + Send>>;

fn ended<S: Service>(done: Done<S>) -> End {
    End::Failed(match done {
        Ok(Ok(())) => "returned without being asked to".to_owned(),
        Ok(Err(error)) => chain(&error),
        Err(panic) => format!("panicked: {}", panic_text(&*panic)),
    })
}

/// The error and all its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
