//! A blocking look at hardware that may never come back.
//!
//! A dying drive holds a file read for as long as the kernel's own time-out, minutes at times. So looks run on the
//! blocking pool, one at a time, and whoever asked waits for a stated time only. A look that is late is waited for
//! again at the next tick; a second one is never started beside it, so a dead disk costs one thread and no more.

use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};

/// Looks of one kind, at most one under way.
#[derive(Debug)]
pub(crate) struct Looks<T> {
    under_way: Option<JoinHandle<T>>,
    wait_max: Duration,
}

/// Why a look gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// It has not come back yet.
    #[error("the hardware has not answered for {} s", waited.as_secs())]
    Late {
        /// How long this wait was; earlier ones are not counted.
        waited: Duration,
    },
    /// It panicked.
    #[error("looking at the hardware failed")]
    Failed(#[source] JoinError),
}

impl<T: Send + 'static> Looks<T> {
    /// Looks that are waited for at most `wait_max` each.
    pub(crate) fn new(wait_max: Duration) -> Self {
        Self { under_way: None, wait_max }
    }

    /// What `look` sees, or what an earlier look that was late has seen by now.
    pub(crate) async fn take(&mut self, look: impl FnOnce() -> T + Send + 'static) -> Result<T, LookError> {
        let under_way = self.under_way.get_or_insert_with(|| tokio::task::spawn_blocking(look));
        let Ok(seen) = tokio::time::timeout(self.wait_max, under_way).await else {
            return Err(LookError::Late { waited: self.wait_max });
        };
        self.under_way = None;
        seen.map_err(LookError::Failed)
    }
}
