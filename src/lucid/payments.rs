//! The payments plane as a process of its own: idle in this release. It has no network, holds no key, and answers the
//! supervisor how it is.
//!
//! One connection carries one [`Request`] and its [`Reply`], framed as the agent's messages are (`lucid_agent_protocol`).
//! Must never: open a socket of its own, read the settings, or answer anybody but the supervisor.

mod ask;
mod peer;
mod serve;

use serde::{Deserialize, Serialize};

pub(crate) use ask::watch;
pub(crate) use serve::run;

/// What the supervisor may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// How the plane is.
    Status {},
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case", deny_unknown_fields)]
enum Reply {
    /// How the plane is.
    Status(PlaneStatus),
}

/// How the plane is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaneStatus {
    plane: PlaneName,
    state: PlaneState,
    /// Of the release.
    version: String,
}

/// Who answers, so that another process on the same socket is not taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlaneName {
    Payments,
}

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlaneState {
    /// Nothing.
    Idle,
}

impl PlaneStatus {
    /// As it is in this release.
    fn idle() -> Self {
        Self { plane: PlaneName::Payments, state: PlaneState::Idle, version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

#[cfg(test)]
mod tests;
