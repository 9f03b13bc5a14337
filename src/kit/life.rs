//! How a service is doing: its life, set by kit, and its health, derived from life and status.

use serde::Serialize;

/// Where a service is in its life. Set by kit alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Life {
    /// Something outside the service is missing; it starts by itself once that is there.
    Waiting {
        /// For what, in words for the owner.
        reason: String,
    },
    /// An incarnation is being made.
    Starting,
    /// It runs.
    Running,
    /// It does not come back from an event; kit gives up on this incarnation.
    Stuck {
        /// How long it has been busy, in milliseconds.
        busy_ms: u64,
    },
    /// It failed and will be started again.
    Backoff {
        /// Why the last incarnation ended: the whole chain of causes.
        cause: String,
        /// Time until the next start, in milliseconds, when this was set.
        retry_in_ms: u64,
    },
    /// It was asked to stop.
    Stopping,
    /// It has stopped.
    Stopped,
}

/// A service's health, for `/health`, the dashboard and the update gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum Health {
    /// All is well.
    Healthy,
    /// In its start period.
    Starting,
    /// Waiting for something outside itself.
    Waiting {
        /// For what.
        reason: String,
    },
    /// It does its work, but something needs attention.
    Degraded {
        /// What.
        reason: String,
    },
    /// It does not do its work.
    Unhealthy {
        /// Why.
        reason: String,
    },
}

impl Health {
    /// The one word for it, as `/health` gives it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Waiting { .. } => "waiting",
            Self::Degraded { .. } => "degraded",
            Self::Unhealthy { .. } => "unhealthy",
        }
    }

    /// Why, where there is anything to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Healthy | Self::Starting => None,
            Self::Waiting { reason } | Self::Degraded { reason } | Self::Unhealthy { reason } => Some(reason),
        }
    }

    /// Whether the service does its work now.
    pub fn works(&self) -> bool {
        matches!(self, Self::Healthy | Self::Degraded { .. })
    }
}
