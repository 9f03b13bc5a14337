//! Whole-box policy: when the box is ready, whether it is alive, and in which order it stops. Names no service.
//!
//! [`Supervisor::run`] tells the service manager what the [`Board`] shows (*ready*, a line of status, the watchdog) and,
//! once asked to stop, stops every service after those that need it, within a stated time.
//!
//! *Ready* and *alive* are not mixed: a service that waits for a disk makes the box neither less ready nor less alive.
//! Restarting one service is kit's work; here is decided only when the whole process is beyond help. Then the watchdog
//! is no longer fed and the service manager starts the process anew.
//!
//! Must never: know what a service does, restart one, or end the process itself.

mod notify;
mod pulse;
mod stop;
mod watch;

use std::{future::Future, sync::Arc, time::Duration};

use lucid_kit::Board;
use tokio::{runtime::Handle, sync::watch as watch_channel, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use pulse::Pulse;

pub use notify::Notifier;
pub use stop::{SHUTDOWN_MARGIN, Shutdown};

/// One supervised service, as `lucid_kit::supervise` leaves it.
pub struct Supervised {
    /// The name under which it stands on the board.
    pub name: &'static str,
    /// Cancelled to stop it.
    pub stop: CancellationToken,
    /// Its keeper, which ends when the service has stopped.
    pub task: JoinHandle<()>,
}

/// Watches over the whole process.
pub struct Supervisor {
    board: Board,
    notifier: Arc<Notifier>,
    stop_grace: Duration,
    ready: watch_channel::Sender<bool>,
}

impl Supervisor {
    /// A supervisor of the services on `board` that reports to `notifier`. All services together get `stop_grace` to
    /// stop in order; past it, all that still run are told at once, and ended by force [`SHUTDOWN_MARGIN`] later at most.
    pub fn new(board: Board, notifier: Notifier, stop_grace: Duration) -> Self {
        Self { board, notifier: Arc::new(notifier), stop_grace, ready: watch_channel::Sender::new(false) }
    }

    /// Whether the box has become ready; once it has, it stays so.
    pub fn ready(&self) -> watch_channel::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Watches until `shutdown` completes, then stops all services in the reverse order of their needs.
    ///
    /// Whatever the services do, this returns within the stop grace and [`SHUTDOWN_MARGIN`] after `shutdown`. A thread
    /// that is blocked for good outlives even that: the caller ends its runtime with `shutdown_timeout`, not by dropping it.
    pub async fn run(self, services: Vec<Supervised>, shutdown: impl Future<Output = ()>) -> Shutdown {
        let stopping = CancellationToken::new();
        let keepers = services.iter().map(|service| (service.name, service.task.abort_handle())).collect();
        let watch = watch::Watch::new(self.board.clone(), self.notifier.clone(), keepers, self.ready.clone());
        // Dropping this future ends both: nothing goes on feeding a watchdog that nobody answers for.
        let _watching = AbortOnDropHandle::new(tokio::spawn(watch.run(stopping.clone())));
        let board = self.board.clone();
        let _checking = AbortOnDropHandle::new(tokio::spawn(async move { board.watch_health().await }));
        let _pulse = Pulse::start(Handle::current()).inspect_err(
            |error| tracing::warn!(%error, "no thread for the pulse: a service that blocks will hold up the others"),
        );
        shutdown.await;
        tracing::info!(services = services.len(), "stopping");
        stopping.cancel();
        self.notifier.stopping();
        stop::all(&self.board, services, self.stop_grace).await
    }
}

#[cfg(test)]
mod tests;
