//! How long to wait before the next start.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// First wait after a failure.
const BASE: Duration = Duration::from_millis(200);
/// No wait is longer, so that a cured cause is noticed within a minute.
const DELAY_MAX: Duration = Duration::from_secs(30);
/// An incarnation that lived this long has proved itself: the next failure starts from the base again.
const PROVEN: Duration = Duration::from_secs(60);
/// At most this many starts in [`RATE_WINDOW`]: a loop of restarts must not become the box's main work.
const RATE_MAX: usize = 10;
/// The window of the rate limit.
const RATE_WINDOW: Duration = Duration::from_secs(300);
/// Jitter as a fraction of the delay: services that fell together don't come back together.
const JITTER: f64 = 0.2;

/// The restart policy of one service: exponential backoff with jitter under a rate limit.
#[derive(Debug, Default)]
pub struct Backoff {
    /// Failures in a row without a proven incarnation between.
    failures: u32,
    /// Starts within the window, oldest first.
    starts: VecDeque<Instant>,
}

impl Backoff {
    /// Notes a start at `now`.
    pub fn started(&mut self, now: Instant) {
        self.starts.push_back(now);
        while self.starts.front().is_some_and(|&at| now - at > RATE_WINDOW) {
            self.starts.pop_front();
        }
    }

    /// How long to wait after an incarnation that lived for `lived` failed at `now`.
    pub fn failed(&mut self, lived: Duration, now: Instant) -> Duration {
        self.failures = if lived >= PROVEN { 1 } else { self.failures.saturating_add(1) };
        let jitter = 1.0 + JITTER * (2.0 * fastrand::f64() - 1.0);
        delay(self.failures).mul_f64(jitter).max(self.rate_wait(now))
    }

    /// Whether the rate limit, rather than the backoff, decides the wait.
    pub fn limited(&self, now: Instant) -> bool {
        !self.rate_wait(now).is_zero()
    }

    /// Time until the rate limit allows another start.
    fn rate_wait(&self, now: Instant) -> Duration {
        if self.starts.len() < RATE_MAX {
            return Duration::ZERO;
        }
        let oldest_that_counts = self.starts[self.starts.len() - RATE_MAX];
        (oldest_that_counts + RATE_WINDOW).saturating_duration_since(now)
    }
}

/// The wait after the `failures`-th failure in a row, before jitter.
fn delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (BASE * 2u32.pow(doublings)).min(DELAY_MAX)
}
