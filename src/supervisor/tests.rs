//! The supervisor with real services, a service manager that records, and paused time.

mod stopping;
mod watching;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use lucid_kit::{Board, Ctx, Event, Gate, Handle, Service, Spec, supervise, wire};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{Shutdown, Supervised, Supervisor, notify::tests::Recorder};

const NAMES: [&str; 4] = ["base", "middle", "top", "aside"];
const GRACE: Duration = Duration::from_secs(20);

/// The names of services in the order in which they ended.
type Log = Arc<Mutex<Vec<&'static str>>>;

/// What a service does when it is asked to stop or to work.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Obedient,
    /// Takes this long to stop.
    Slow(Duration),
    /// Never stops.
    Deaf,
    /// Sits at its first event for this long, blocking its thread.
    Blocks(Duration),
    /// Never starts.
    Broken,
}

struct Plain<const N: usize> {
    manner: Manner,
    log: Log,
}

impl<const N: usize> Service for Plain<N> {
    const NAME: &'static str = NAMES[N];
    const PERIOD: Duration = Duration::from_secs(1);
    const BUSY_MAX: Duration = Duration::from_secs(1);
    type Config = Manner;
    type Deps = Log;
    type Request = ();
    type Status = ();
    type Error = std::fmt::Error;

    async fn start(manner: &Manner, log: &Log) -> Result<Self, std::fmt::Error> {
        if *manner == Manner::Broken {
            return Err(std::fmt::Error);
        }
        Ok(Self { manner: *manner, log: log.clone() })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), std::fmt::Error> {
        loop {
            match (ctx.next().await, self.manner) {
                (Event::Stop, Manner::Slow(time)) => tokio::time::sleep(time).await,
                (Event::Stop, Manner::Deaf) => std::future::pending().await,
                (Event::Tick, Manner::Blocks(time)) => block(time),
                (Event::Tick | Event::Request(()), _) => continue,
                (Event::Stop, _) => {}
            }
            return Ok(());
        }
    }
}

impl<const N: usize> Drop for Plain<N> {
    fn drop(&mut self) {
        self.log.lock().unwrap().push(NAMES[N]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a blocked thread is what is tested")]
fn block(time: Duration) {
    std::thread::sleep(time);
}

/// A box with a service manager that listens.
struct Bench {
    board: Board,
    log: Log,
    services: Vec<Supervised>,
    manager: Recorder,
    shutdown: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let (board, log, services, manager, shutdown) = Default::default();
        Self { board, log, services, manager, shutdown }
    }

    fn start<const N: usize>(&mut self, needs: &'static [&'static str], manner: Manner) -> Handle<Plain<N>> {
        self.start_behind(needs, manner, vec![])
    }

    fn start_behind<const N: usize>(
        &mut self,
        needs: &'static [&'static str],
        manner: Manner,
        gates: Vec<Gate>,
    ) -> Handle<Plain<N>> {
        let name = NAMES[N];
        // «aside» is the one that decides nothing.
        let critical = name != "aside";
        let spec = Spec { name, purpose: "test", needs, critical, storage: false, stop_grace_s: 5 };
        let (handle, wired) = wire::<Plain<N>>();
        let stop = CancellationToken::new();
        let task = supervise(spec, wired, manner, self.log.clone(), gates, &self.board, stop.clone());
        self.services.push(Supervised { name, stop, task });
        handle
    }

    /// Runs the supervisor under a watchdog of `watchdog_us` until `shutdown` is cancelled.
    fn supervise(&mut self, watchdog_us: Option<u64>) -> JoinHandle<Shutdown> {
        let notifier = self.manager.notifier(watchdog_us.map(Duration::from_micros));
        let supervisor = Supervisor::new(self.board.clone(), notifier, GRACE);
        let shutdown = self.shutdown.clone();
        let services = std::mem::take(&mut self.services);
        tokio::spawn(async move { supervisor.run(services, shutdown.cancelled_owned()).await })
    }

    /// Everything that the service manager heard since it was last asked.
    fn heard(&self) -> String {
        self.manager.heard()
    }

    /// Waits until the service manager heard `what`; gives everything heard until then.
    async fn hears(&self, what: &str) -> String {
        let mut all = String::new();
        for _ in 0..10_000 {
            all.push_str(&self.heard());
            if all.contains(what) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the service manager never heard `{what}`, only:\n{all}");
    }
}

/// A gate that is closed while the value is true.
fn gate(closed: &watch::Sender<bool>) -> Gate {
    Gate::new(closed.subscribe(), |closed| closed.then(|| "no disk".to_owned()))
}
