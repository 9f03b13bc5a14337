//! What to do when `accept` fails: wait and say so once, never give up.
//!
//! Typical is EMFILE or ENFILE, no file descriptor left: trying again at once would burn a core and fill the log.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// First pause after a failed accept.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause: a port must answer again soon after descriptors are free.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Pauses between failing accepts, and which kinds of failure have been logged.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    /// Raw error numbers logged since the listener started. Bounded by the number of error numbers.
    logged: Vec<Option<i32>>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { pause: PAUSE_MIN, logged: Vec::new() }
    }

    /// A connection was accepted.
    pub(super) fn reset(&mut self) {
        self.pause = PAUSE_MIN;
    }

    /// How long to wait after `error`. Logs the first error of each kind.
    pub(super) fn after(&mut self, error: &io::Error, address: SocketAddr) -> Duration {
        if is_of_one_connection(error) {
            return Duration::ZERO;
        }
        let kind = error.raw_os_error();
        if !self.logged.contains(&kind) {
            self.logged.push(kind);
            tracing::warn!(%error, %address, "can't accept connections; trying again, this kind is not logged again");
        }
        let pause = self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        pause
    }
}

/// The client was gone before it was accepted: the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests;
