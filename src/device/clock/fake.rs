//! A clock that stands still until it is told otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Clock, ClockTrust, Now};

/// A clock set by hand. Clone an `Arc` of it to whoever should see the same time.
#[derive(Debug)]
pub struct FakeClock {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    now: Now,
    monotonic_ms: u64,
}

impl FakeClock {
    /// A synchronized clock at this time, in milliseconds since 1970; the monotonic clock begins at 0.
    pub fn new(unix_ms: u64) -> Self {
        let now = Now { unix_ms, trust: ClockTrust::Synchronized };
        Self { state: Mutex::new(State { now, monotonic_ms: 0 }) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, elapsed_ms: u64) {
        let mut state = self.lock();
        state.now.unix_ms = state.now.unix_ms.saturating_add(elapsed_ms);
        state.monotonic_ms = state.monotonic_ms.saturating_add(elapsed_ms);
    }

    /// Steps the wall clock, in either direction; no time passes on the monotonic one.
    pub fn step_to(&self, now: Now) {
        self.lock().now = now;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Now {
        self.lock().now
    }

    fn monotonic_ms(&self) -> u64 {
        self.lock().monotonic_ms
    }
}
