//! What is told of a box in rescue, to people and to programs.
//!
//! Must never hold the last lines of a service or of the kernel: those are for whoever has the code.

use std::time::Duration;

use lucid_agent_protocol::update::{Outcome, UpdateReport};
use lucid_agent_protocol::{Reply, Request};
use serde::Serialize;

use super::{Rescue, reason};
use crate::AgentError;
use crate::update::Transfer;

/// The agent answers from memory.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// How the box is. Its JSON is `GET /api/rescue/status`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RescueStatus {
    /// Of the release that runs.
    pub version: &'static str,
    /// Why the box is in rescue.
    pub reason: String,
    /// What else went wrong in this boot, each with what to do.
    pub problems: Vec<String>,
    /// Why the box does not show its own certificate, if it does not.
    pub certificate_problem: Option<String>,
    /// What the agent says of slots and updates, without logs; nothing while it can't be asked.
    pub agent: Option<UpdateReport>,
    /// Why the agent can't be asked, and what to do.
    pub agent_problem: Option<String>,
    /// The bundle that is on its way, or the last one that was.
    pub transfer: Option<Transfer>,
}

/// How things are, asked now.
pub(super) async fn look(rescue: &Rescue) -> RescueStatus {
    let (agent, agent_problem) = match report(rescue).await {
        Ok(report) => (Some(without_logs(report)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    RescueStatus {
        version: env!("CARGO_PKG_VERSION"),
        reason: reason(&rescue.boot),
        problems: rescue.boot.problems(),
        certificate_problem: rescue.certificate_problem.clone(),
        agent,
        agent_problem,
        transfer: rescue.bundles.transfer(),
    }
}

/// What the agent says, logs included.
pub(super) async fn report(rescue: &Rescue) -> Result<UpdateReport, AgentError> {
    match rescue.agent.ask(Request::UpdateStatus {}, LOOK_MAX).await? {
        Reply::Update(report) => Ok(*report),
        _ => Err(AgentError::Unfit),
    }
}

fn without_logs(mut report: UpdateReport) -> UpdateReport {
    for attempt in &mut report.history {
        if let Outcome::RolledBack { log, .. } = &mut attempt.outcome {
            log.clear();
        }
    }
    report
}
