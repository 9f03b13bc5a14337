//! The time that tokens live by.
//!
//! Promises: it never goes back while nobody trustworthy says so, neither while running nor over a restart, so that a
//! clock set back by hand or by a dead battery brings no expired token back to life. A clock that a time server has set
//! is believed in both directions: one that once claimed the year 2040 must not hold the box there.

use std::sync::{Arc, Mutex, PoisonError};

use lucid_device::{Clock, ClockTrust};

/// The clock behind a floor.
pub(crate) struct Time {
    clock: Arc<dyn Clock>,
    floor: Mutex<Floor>,
}

/// The latest time told, and when that was on the monotonic clock.
struct Floor {
    unix_ms: u64,
    monotonic_ms: u64,
}

impl Time {
    /// Time that begins at `floor_ms` or later: the latest that the store has seen.
    pub(crate) fn new(clock: Arc<dyn Clock>, floor_ms: u64) -> Self {
        let floor = Floor { unix_ms: floor_ms, monotonic_ms: clock.monotonic_ms() };
        Self { clock, floor: Mutex::new(floor) }
    }

    /// Milliseconds of Unix time.
    pub(crate) fn now_ms(&self) -> u64 {
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, monotonic_ms) = (self.clock.now(), self.clock.monotonic_ms());
        let held_ms = floor.unix_ms + monotonic_ms.saturating_sub(floor.monotonic_ms);
        let unix_ms = if now.trust == ClockTrust::Synchronized { now.unix_ms } else { now.unix_ms.max(held_ms) };
        *floor = Floor { unix_ms, monotonic_ms };
        unix_ms
    }

    /// Milliseconds since some moment, for durations.
    pub(crate) fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }
}

#[cfg(test)]
mod tests;
