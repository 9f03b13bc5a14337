//! Logs and their levels as the dashboard needs them.

use lucid_observe::{LevelFilter, Line, Observe};

/// Levels that can be chosen, from silent to everything.
pub(super) const LEVELS: [LevelFilter; 5] =
    [LevelFilter::ERROR, LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];

/// Reads the newest lines of a service and sets how much it logs.
pub trait Logs: Send + Sync {
    /// The last `count` lines, oldest first.
    fn recent(&self, service: &str, count: usize) -> Vec<Line>;
    /// The level in force, where it is known.
    fn level(&self, service: &str) -> Option<LevelFilter>;
    /// Sets the level from now on, until the process ends.
    fn set_level(&self, service: &str, level: LevelFilter);
}

impl Logs for Observe {
    fn recent(&self, service: &str, count: usize) -> Vec<Line> {
        Self::recent(self, service, count)
    }

    fn level(&self, service: &str) -> Option<LevelFilter> {
        self.levels().get(service).copied()
    }

    fn set_level(&self, service: &str, level: LevelFilter) {
        Self::set_level(self, service, level);
    }
}
