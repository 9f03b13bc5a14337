//! Tells the service manager how the box is: ready, status, and the watchdog.
//!
//! The watchdog is fed from a task of the runtime, so it also proves that the runtime turns. It is withheld when the
//! process can't help itself any more: a critical service blocks its thread past anything that kit can end, or a
//! service's keeper, the loop that restarts it, is gone.

use std::{sync::Arc, time::Duration};

use lucid_kit::{Board, ServiceReport};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::Notifier;

/// The board is looked at this often: a person who reads the status sees it change at once.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Until it is ready it is looked at this often: the rest of the boot waits for that word.
const LOOK_INTERVAL_STARTING: Duration = Duration::from_millis(100);
/// How long past its own limit a service may block its thread. Kit needs half a second to give up on a service that
/// awaits; one that still sits there after this does not await.
const BLOCKED_MARGIN: Duration = Duration::from_secs(5);

/// Looks at the board and reports what it sees.
pub(crate) struct Watch {
    board: Board,
    notifier: Arc<Notifier>,
    keepers: Vec<(&'static str, AbortHandle)>,
    ready: watch::Sender<bool>,
    status: String,
    fed: Option<Instant>,
    withheld: bool,
}

impl Watch {
    pub(crate) fn new(
        board: Board,
        notifier: Arc<Notifier>,
        keepers: Vec<(&'static str, AbortHandle)>,
        ready: watch::Sender<bool>,
    ) -> Self {
        Self { board, notifier, keepers, ready, status: String::new(), fed: None, withheld: false }
    }

    /// Looks until it is dropped. From `stopping` on it only feeds: a stop is bounded, and services end in it.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let half = self.notifier.watchdog().map(|period| period / 2);
        let look = half.map_or(LOOK_INTERVAL, |half| half.min(LOOK_INTERVAL));
        loop {
            if stopping.is_cancelled() {
                self.feed(half, look);
            } else if let Some(reason) = beyond_help(&self.board, &self.keepers) {
                self.withhold(&reason);
            } else {
                self.report();
                self.feed(half, look);
            }
            let is_ready = *self.ready.borrow();
            sleep(if is_ready { look } else { look.min(LOOK_INTERVAL_STARTING) }).await;
        }
    }

    fn report(&mut self) {
        if !*self.ready.borrow() && self.board.ready() {
            self.notifier.ready();
            self.ready.send_replace(true);
            tracing::info!("ready");
        }
        let status = status_line(&self.board.snapshot());
        if status != self.status {
            self.notifier.status(&status);
            self.status = status;
        }
    }

    /// Feeds the watchdog when waiting for the next look would make it later than half its period.
    fn feed(&mut self, half: Option<Duration>, look: Duration) {
        let Some(half) = half else { return };
        self.withheld = false;
        if self.fed.is_none_or(|at| at.elapsed() + look > half) {
            self.notifier.alive();
            self.fed = Some(Instant::now());
        }
    }

    fn withhold(&mut self, reason: &str) {
        if !self.withheld {
            self.withheld = true;
            // Should the service come back after all, its status is told again.
            self.status.clear();
            tracing::error!(reason, "the watchdog is no longer fed: only a new process helps");
            self.notifier.status(&format!("beyond help, waiting to be restarted: {reason}"));
        }
    }
}

/// Why only a new process helps.
fn beyond_help(board: &Board, keepers: &[(&'static str, AbortHandle)]) -> Option<String> {
    let blocked = board.blocked(BLOCKED_MARGIN).map(|name| format!("{name} blocks its thread"));
    let gone = keepers.iter().find(|(_, keeper)| keeper.is_finished());
    blocked.or_else(|| gone.map(|(name, _)| format!("the keeper of {name} has ended")))
}

/// How many services are healthy, and the first reason why one is not: a critical one's before any other's.
pub(crate) fn status_line(reports: &[ServiceReport]) -> String {
    let healthy = reports.iter().filter(|report| report.health.works()).count();
    let with_reason = |critical: bool| {
        let mut asked = reports.iter().filter(move |report| report.spec.critical == critical);
        asked.find_map(|report| Some(format!("; {}: {}", report.spec.name, report.health.reason()?)))
    };
    let reason = with_reason(true).or_else(|| with_reason(false)).unwrap_or_default();
    format!("{healthy} of {} healthy{reason}", reports.len())
}
