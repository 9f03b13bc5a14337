//! Stops every service: first those that nobody needs, last those that all need.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use lucid_kit::Board;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::Supervised;

/// Beyond a service's own grace: kit ends it by force at the grace, and needs a moment to put its things away.
const GRACE_MARGIN: Duration = Duration::from_secs(2);
/// What a service gets that is told to stop only when the time is up.
const LAST_CALL_MAX: Duration = Duration::from_secs(2);
/// How long an aborted task may take to drop what it holds. One that takes longer blocks its thread.
const FORCE_MAX: Duration = Duration::from_secs(1);
/// How much longer than its grace the whole stop may take. The unit's `TimeoutStopSec` must be longer than both.
pub const SHUTDOWN_MARGIN: Duration = Duration::from_secs(LAST_CALL_MAX.as_secs() + FORCE_MAX.as_secs());

/// How the stop went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// Services that stopped by themselves.
    pub stopped: usize,
    /// Services that had to be ended by force, in the order of their table.
    pub forced: Vec<&'static str>,
}

impl Shutdown {
    /// Whether every service stopped by itself.
    pub fn is_clean(&self) -> bool {
        self.forced.is_empty()
    }
}

/// One service's part in the stop.
struct Stop {
    service: Supervised,
    grace: Duration,
    /// Cancelled when this service has ended, however it did.
    ended: CancellationToken,
    /// The same of all services that need this one.
    dependents: Vec<CancellationToken>,
}

/// Stops `services` in the reverse order of the needs on `board`, those that are left after `grace` at once.
pub(crate) async fn all(board: &Board, services: Vec<Supervised>, grace: Duration) -> Shutdown {
    let deadline = Instant::now() + grace;
    let stops = plan(board, services);
    let names: Vec<_> = stops.iter().map(|stop| stop.service.name).collect();
    let clean = join_all(stops.into_iter().map(|stop| stop.run(deadline))).await;
    let forced: Vec<_> = names.iter().zip(&clean).filter(|(_, clean)| !**clean).map(|(name, _)| *name).collect();
    let stopped = clean.len() - forced.len();
    tracing::info!(stopped, ?forced, "stopped");
    Shutdown { stopped, forced }
}

/// Who waits for whom.
fn plan(board: &Board, services: Vec<Supervised>) -> Vec<Stop> {
    let ended: HashMap<_, _> = services.iter().map(|service| (service.name, CancellationToken::new())).collect();
    let specs: HashMap<_, _> = board.snapshot().into_iter().map(|report| (report.spec.name, report.spec)).collect();
    let dependents = |name| {
        let needy = specs.values().filter(|spec| spec.needs.contains(&name));
        needy.filter_map(|spec| ended.get(spec.name).cloned()).collect()
    };
    let stop = |service: Supervised| Stop {
        grace: specs.get(service.name).map_or(LAST_CALL_MAX, |spec| Duration::from_secs(spec.stop_grace_s)),
        ended: ended[service.name].clone(),
        dependents: dependents(service.name),
        service,
    };
    services.into_iter().map(stop).collect()
}

impl Stop {
    /// Stops the service once nobody needs it any more. Says whether it stopped by itself.
    async fn run(mut self, deadline: Instant) -> bool {
        let in_order = timeout_at(deadline, join_all(self.dependents.iter().map(|ended| ended.cancelled()))).await;
        let until = match in_order {
            Ok(_) => (Instant::now() + self.grace + GRACE_MARGIN).min(deadline + LAST_CALL_MAX),
            Err(_) => deadline + LAST_CALL_MAX,
        };
        self.service.stop.cancel();
        let clean = match timeout_at(until, &mut self.service.task).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => self.broken(&error),
            Err(_) => self.force().await,
        };
        self.ended.cancel();
        clean
    }

    fn broken(&self, error: &tokio::task::JoinError) -> bool {
        tracing::error!(service = self.service.name, %error, "its keeper ended by itself");
        false
    }

    async fn force(&mut self) -> bool {
        let name = self.service.name;
        tracing::error!(service = name, "did not stop in time: ended by force");
        self.service.task.abort();
        if timeout(FORCE_MAX, &mut self.service.task).await.is_err() {
            tracing::error!(service = name, "blocks its thread: it ends only with the process");
        }
        false
    }
}
