//! The time, and how far it can be trusted.
//!
//! A Pi without a battery starts in the past. [`SystemClock`] keeps a floor on disk and never tells a time before it.
//! Promises: time told to anyone is never below the floor; the floor survives power loss; a damaged floor file is set
//! aside and reported, and the clock works all the same.
//! Must never set the system's clock: that is systemd-timesyncd's.
//!
//! Two floors are kept. `floor_ms` is the latest time seen at all, `synchronized_ms` the latest seen while
//! synchronized. A synchronized clock may go below the first, so that a real-time clock that once claimed the year 2040
//! doesn't hold the box there for good; nothing goes below the second.

mod fake;
mod floor;
mod system;

pub use fake::FakeClock;
pub use floor::ClockError;
pub use system::SystemClock;

use serde::{Deserialize, Serialize};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Wall-clock time and how far it can be trusted. It may step in both directions, but not below the floor.
    fn now(&self) -> Now;

    /// Milliseconds since some moment; never goes back. For durations.
    fn monotonic_ms(&self) -> u64;
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
    /// How far this can be trusted.
    pub trust: ClockTrust,
}

/// How far the time can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockTrust {
    /// The system's clock, never compared with a time server since boot.
    Unsynchronized,
    /// The system's clock is behind the floor; this is the floor and what has passed since.
    Held,
    /// The system's clock, set by a time server since boot.
    Synchronized,
}

#[cfg(test)]
mod tests;
