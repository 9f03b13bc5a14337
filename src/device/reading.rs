//! One fact about the hardware: known, not there, or not readable.
//!
//! Must never hide an error as absence: what the kernel refused for any reason but "there is no such thing" is
//! [`Reading::Failed`].

use serde::{Deserialize, Serialize};

/// A fact, or why there is none.
///
/// In JSON: `{"present": …}`, `{"absent": {"reason": "…"}}` or `{"failed": {"reason": "…"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// The value, read just now.
    Present(T),
    /// This system doesn't have it, or doesn't show it to an ordinary process. Not a fault.
    Absent {
        /// What is missing, in words for the owner.
        reason: String,
    },
    /// It should be there, but reading or understanding it failed. A fault worth showing.
    Failed {
        /// What was attempted on what, and what came back.
        reason: String,
    },
}

impl<T> Reading<T> {
    /// An absent fact.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent { reason: reason.into() }
    }

    /// A fact that could not be read.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into() }
    }

    /// The value, if there is one.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent { .. } | Self::Failed { .. } => None,
        }
    }

    /// Why there is no value; `None` if there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Present(_) => None,
            Self::Absent { reason } | Self::Failed { reason } => Some(reason),
        }
    }

    /// Whether the fact is not there, as opposed to not readable.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Whether reading failed, as opposed to the fact not being there.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// Converts the value and keeps the reason.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Reading<U> {
        self.and_then(|value| Reading::Present(convert(value)))
    }

    /// Goes on with the value and keeps the reason.
    pub fn and_then<U>(self, next: impl FnOnce(T) -> Reading<U>) -> Reading<U> {
        match self {
            Self::Present(value) => next(value),
            Self::Absent { reason } => Reading::Absent { reason },
            Self::Failed { reason } => Reading::Failed { reason },
        }
    }

    /// Takes the second source when this one is absent. A failure stands: it must not be papered over.
    pub(crate) fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Absent { .. } => other(),
            Self::Present(_) | Self::Failed { .. } => self,
        }
    }
}
