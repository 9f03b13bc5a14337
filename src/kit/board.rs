//! The board: every service, its life and its health, in one place.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{Handle, Health, Life, Service, Spec, beat::Beat};

/// Health is checked this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// A check that takes longer has failed.
const CHECK_MAX: Duration = Duration::from_secs(10);
/// Failed checks in a row until a service counts as unhealthy.
const CHECK_RETRIES: u32 = 3;
/// Time from a service's first start until a failure counts.
const START_PERIOD: Duration = Duration::from_secs(40);

/// All services. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Vec<Arc<Entry>>>>);

/// There is no such service.
#[derive(Debug, thiserror::Error)]
#[error("there is no service `{0}`")]
pub struct UnknownService(pub String);

/// One service as others may see it.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// What the wiring decided.
    #[serde(flatten)]
    pub spec: Spec,
    /// Its life.
    pub life: Life,
    /// Its health.
    pub health: Health,
    /// Restarts since the box started.
    pub restarts: u64,
    /// Seconds since its life last changed.
    pub since_s: u64,
    /// How long it has been at its current event, in milliseconds.
    pub busy_ms: u64,
    /// Events that took longer than a second.
    pub slow_events: u64,
    /// Requests that wait.
    pub queued: usize,
    /// What it published about itself.
    pub status: serde_json::Value,
}

/// What the board keeps of one service.
pub(crate) struct Entry {
    spec: Spec,
    life: watch::Receiver<Life>,
    beat: Arc<Beat>,
    busy_max: Duration,
    pings: mpsc::Sender<oneshot::Sender<()>>,
    restart: mpsc::Sender<()>,
    restarts: Arc<AtomicU64>,
    failed_checks: AtomicU64,
    born: Instant,
    status: Box<dyn Fn() -> (serde_json::Value, Health, usize) + Send + Sync>,
}

impl Entry {
    pub(crate) fn new<S: Service>(
        spec: Spec,
        handle: Handle<S>,
        beat: Arc<Beat>,
        pings: mpsc::Sender<oneshot::Sender<()>>,
        restart: mpsc::Sender<()>,
        restarts: Arc<AtomicU64>,
    ) -> Self {
        let life = handle.life.clone();
        let status = move || {
            let status = handle.status.borrow().clone();
            let json = serde_json::to_value(&*status).unwrap_or_else(
                |error| serde_json::json!({ "error": format!("the status has no JSON form: {error}") }),
            );
            (json, S::health(&status), handle.requests.max_capacity() - handle.requests.capacity())
        };
        let now = Instant::now();
        let failed_checks = AtomicU64::new(0);
        Self {
            spec,
            life,
            beat,
            busy_max: S::BUSY_MAX,
            pings,
            restart,
            restarts,
            failed_checks,
            born: now,
            status: Box::new(status),
        }
    }

    /// Asks the service itself: does it come back, and what does it say?
    async fn check(&self) -> Health {
        if *self.life.borrow() == Life::Running {
            let answered = tokio::time::timeout(CHECK_MAX, self.ping()).await.unwrap_or(false);
            let failed = if answered { 0 } else { self.failed_checks.load(Ordering::Relaxed) + 1 };
            self.failed_checks.store(failed, Ordering::Relaxed);
        }
        self.health()
    }

    async fn ping(&self) -> bool {
        let (sender, pong) = oneshot::channel();
        self.pings.send(sender).await.is_ok() && pong.await.is_ok()
    }

    /// Health as known now.
    fn health(&self) -> Health {
        let failed = self.failed_checks.load(Ordering::Relaxed);
        let in_start_period = self.born.elapsed() < START_PERIOD && self.restarts.load(Ordering::Relaxed) == 0;
        match self.life.borrow().clone() {
            Life::Running if failed >= u64::from(CHECK_RETRIES) => {
                Health::Unhealthy { reason: format!("no answer to {failed} health checks in a row") }
            }
            Life::Running if self.blocked(Duration::ZERO) => stuck(self.beat.busy()),
            Life::Running => (self.status)().1,
            Life::Waiting { reason } => Health::Waiting { reason },
            Life::Starting if in_start_period => Health::Starting,
            Life::Starting => Health::Unhealthy { reason: self.still_starting() },
            Life::Stuck { busy_ms } => stuck(Duration::from_millis(busy_ms)),
            Life::Backoff { cause, .. } => Health::Unhealthy { reason: cause },
            Life::Stopping | Life::Stopped => Health::Unhealthy { reason: "stopped".to_owned() },
        }
    }

    fn still_starting(&self) -> String {
        match self.restarts.load(Ordering::Relaxed) {
            0 => format!("has been starting for {} s", self.beat.in_life().as_secs()),
            _ => "is being started again".to_owned(),
        }
    }

    /// Whether the service sits in one event past its own limit and `margin`, so that even kit can't take it down.
    fn blocked(&self, margin: Duration) -> bool {
        self.beat.busy() > self.busy_max + margin
    }

    fn report(&self) -> ServiceReport {
        let life = self.life.borrow().clone();
        let (status, _, queued) = (self.status)();
        ServiceReport {
            spec: self.spec,
            health: self.health(),
            restarts: self.restarts.load(Ordering::Relaxed),
            since_s: self.beat.in_life().as_secs(),
            busy_ms: u64::try_from(self.beat.busy().as_millis()).unwrap_or(u64::MAX),
            slow_events: self.beat.slow(),
            queued,
            status,
            life,
        }
    }
}

fn stuck(busy: Duration) -> Health {
    Health::Unhealthy { reason: format!("stuck for {} s", busy.as_secs()) }
}

impl Board {
    pub(crate) fn add(&self, entry: Entry) {
        self.entries_mut().push(Arc::new(entry));
    }

    /// Every service, in the order of their start.
    pub fn snapshot(&self) -> Vec<ServiceReport> {
        self.entries().iter().map(|entry| entry.report()).collect()
    }

    /// One service.
    pub fn report(&self, name: &str) -> Option<ServiceReport> {
        self.find(name).map(|entry| entry.report())
    }

    /// Health of one service as known now.
    pub fn health(&self, name: &str) -> Option<Health> {
        self.find(name).map(|entry| entry.health())
    }

    /// Asks a service for its health freshly; at most 10 s.
    pub async fn check(&self, name: &str) -> Option<Health> {
        Some(self.find(name)?.check().await)
    }

    /// Watches a service's life.
    pub fn life(&self, name: &str) -> Option<watch::Receiver<Life>> {
        self.find(name).map(|entry| entry.life.clone())
    }

    /// Stops a service gracefully and starts it again.
    ///
    /// # Errors
    /// When there is no such service. Asking twice at once is one restart.
    pub fn restart(&self, name: &str) -> Result<(), UnknownService> {
        let entry = self.find(name).ok_or_else(|| UnknownService(name.to_owned()))?;
        // A full channel means that a restart is on its way already.
        let _ = entry.restart.try_send(());
        Ok(())
    }

    /// *Ready*: every critical service runs, or waits with a reason.
    pub fn ready(&self) -> bool {
        let settled = |life: &Life| matches!(life, Life::Running | Life::Waiting { .. });
        let entries = self.entries();
        !entries.is_empty()
            && entries.iter().filter(|entry| entry.spec.critical).all(|entry| settled(&entry.life.borrow()))
    }

    /// A critical service that has been at one event for `margin` longer than its [`Service::BUSY_MAX`]. Kit ends one
    /// that awaits within half a second, so this one blocks its thread: nothing but a new process helps.
    pub fn blocked(&self, margin: Duration) -> Option<&'static str> {
        let entries = self.entries();
        entries.iter().find(|entry| entry.spec.critical && entry.blocked(margin)).map(|entry| entry.spec.name)
    }

    /// Checks every service every 30 s, for ever. Services are asked side by side: a slow one delays nobody.
    pub async fn watch_health(&self) {
        let mut ticks = tokio::time::interval(CHECK_INTERVAL);
        loop {
            ticks.tick().await;
            let entries = self.entries();
            futures_util::future::join_all(entries.iter().map(|entry| entry.check())).await;
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries_mut().iter().find(|entry| entry.spec.name == name).cloned()
    }

    fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries_mut().clone()
    }

    fn entries_mut(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Entry>>> {
        // The list is only ever pushed to: a poisoned lock leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
