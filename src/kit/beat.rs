//! The heartbeat of one service: when it last came back, and how often it was slow.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// An event that takes longer is counted and logged as slow: a person waiting would notice.
pub(crate) const SLOW: Duration = Duration::from_secs(1);

/// Told by [`crate::Ctx`], read by anyone.
#[derive(Debug)]
pub(crate) struct Beat {
    origin: Instant,
    /// Milliseconds since `origin`, plus one, at which the current event began; 0 while idle.
    busy_since: AtomicU64,
    slow: AtomicU64,
    /// Milliseconds since `origin` at which the service's life last changed.
    life_since: AtomicU64,
}

impl Beat {
    pub(crate) fn new() -> Self {
        let (busy_since, slow, life_since) = Default::default();
        Self { origin: Instant::now(), busy_since, slow, life_since }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// An event is handed to the service.
    pub(crate) fn begin(&self) {
        self.busy_since.store(self.now_ms() + 1, Ordering::Relaxed);
    }

    /// The service came back for the next one; returns how long the last took.
    pub(crate) fn end(&self) -> Duration {
        let took = self.busy();
        self.busy_since.store(0, Ordering::Relaxed);
        if took >= SLOW {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
        took
    }

    /// How long the service has been at its current event; zero while idle.
    pub(crate) fn busy(&self) -> Duration {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now_ms().saturating_sub(since - 1)),
        }
    }

    /// The service's life has changed.
    pub(crate) fn life_changed(&self) {
        self.life_since.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Time since the service's life last changed.
    pub(crate) fn in_life(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.life_since.load(Ordering::Relaxed)))
    }

    /// Events that took longer than [`SLOW`].
    pub(crate) fn slow(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }
}
