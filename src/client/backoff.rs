//! How long to wait between attempts, and when to give up. No clock of its own: time is handed in.

use std::time::{Duration, Instant};

/// How patient the client is. The defaults suit people; tests shorten them.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Give up after failing this long without a byte of progress.
    pub no_progress_max: Duration,
    /// Wait after the first failure; doubles with each further one.
    pub pause_min: Duration,
    /// The longest wait between two attempts.
    pub pause_max: Duration,
    /// How often the server is asked how much is durable, while bytes flow.
    pub poll: Duration,
    /// Without any answer for this long the connection counts as dead, even if the system has not noticed.
    pub silence_max: Duration,
    /// Without durable progress for this long, although bytes are under way, a new connection is made. Longer than
    /// the longest time after which the server closes a chunk (60 s).
    pub standstill_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            no_progress_max: Duration::from_secs(600),
            pause_min: Duration::from_millis(500),
            pause_max: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            silence_max: Duration::from_secs(30),
            standstill_max: Duration::from_secs(120),
        }
    }
}

/// Counts failures since the last progress.
pub(crate) struct Backoff {
    patience: Patience,
    failures: u32,
    failing_since: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, failures: 0, failing_since: None }
    }

    /// Something was achieved: the next failure is the first again.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
        self.failing_since = None;
    }

    /// How long to wait now that an attempt failed; `None`: give up. The wait is drawn between half and the whole of
    /// the doubling pause, so that many clients don't come back in the same moment.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let left = self.patience.no_progress_max.checked_sub(now.duration_since(since))?;
        if left.is_zero() {
            return None;
        }
        let doubled = self.patience.pause_min.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled.min(self.patience.pause_max);
        Some(pause.mul_f64(0.5 + 0.5 * fastrand::f64()).min(left))
    }

    /// Waits as [`Backoff::failed`] says. `false`: give up.
    pub(crate) async fn wait(&mut self) -> bool {
        match self.failed(Instant::now()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
