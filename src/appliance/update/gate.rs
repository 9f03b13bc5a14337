//! What the supervisor says of itself while a new release is on trial.
//!
//! Fit means: every critical service does its work, asked just now; the data disk that the agent has mounted is in use;
//! the dashboard answers on each of the box's addresses. A service that is degraded does its work: heat, a full disk or
//! a weak supply are the box's own trouble, and the former release would have it, too.
//!
//! Promises: a report every few seconds, whatever hangs, because silence ends the trial. Must never decide: the agent
//! does.

use std::time::Duration;

use futures_util::future::{join, join_all};
use lucid_agent_protocol::update::{Cause, Fault, GateAnswer, GateReport, LOG_LINES_MAX, WHY_BYTES_MAX};
use lucid_agent_protocol::{FRAME_BYTES_MAX, Reply, Request, SsdState};
use lucid_kit::{Board, Health, ServiceReport};
use lucid_ports::Storage;
use tokio::sync::watch;

use super::own_page::OwnPage;
use crate::AgentLink;
use crate::admin_interface::Logs;
use crate::agent_link::AgentError;

/// Between two reports. The agent bears 20 s of silence; checking takes 10 s at worst, and asking [`ANSWER_MAX`].
const PERIOD: Duration = Duration::from_secs(2);
/// The agent only takes note.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Faults in a report.
const FAULTS_MAX: usize = 16;
/// Longest line of a log in bytes.
const LINE_BYTES_MAX: usize = 300;
/// What a request takes beside its report.
const ENVELOPE_BYTES: usize = 64;

/// What is looked at.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) link: AgentLink,
    pub(crate) board: Board,
    pub(crate) logs: std::sync::Arc<dyn Logs>,
    pub(crate) page: OwnPage,
    /// The data disk, as the services see it.
    pub(crate) storage: watch::Receiver<Storage>,
    /// See [`GateReport::supervisor`].
    pub(crate) supervisor: String,
}

impl Gate {
    /// Reports until the agent says that no trial goes on, or that this one has ended.
    pub(crate) async fn keep(self) {
        let mut failing = false;
        loop {
            match self.tell().await {
                Ok(GateAnswer::Soaking) => failing = false,
                Ok(answer) => return tracing::info!(?answer, "the agent takes no more reports of the trial"),
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the agent does not hear how this release does; will go on telling it");
                    }
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn tell(&self) -> Result<GateAnswer, AgentError> {
        let report = self.report().await;
        match self.link.ask(Request::Gate { report }, ANSWER_MAX).await? {
            Reply::Gate { answer } => Ok(answer),
            _ => Err(AgentError::Unfit),
        }
    }

    /// How the box is, asked now.
    pub(crate) async fn report(&self) -> GateReport {
        let critical: Vec<_> = self.board.snapshot().into_iter().filter(|service| service.spec.critical).collect();
        let asked = join_all(critical.iter().map(|service| self.board.check(service.spec.name)));
        let ((healths, mounted), page) = join(join(asked, self.is_data_disk_mounted()), self.page.faults()).await;
        let mut faults = Vec::new();
        if mounted && let Some(reason) = self.storage.borrow().waiting() {
            faults.push(fault(Cause::DataDisk, None, reason, Vec::new()));
        }
        for (service, health) in critical.iter().zip(healths) {
            let waits_for_disk = service.spec.storage && !mounted;
            faults.extend(health.and_then(|health| self.judge(service, &health, waits_for_disk)));
        }
        faults.extend(page.iter().map(|why| fault(Cause::Network, None, why, Vec::new())));
        let restarts = critical.iter().map(|service| service.restarts).sum();
        fitted(GateReport { supervisor: self.supervisor.clone(), restarts, faults })
    }

    /// Whether the agent has a data disk mounted. While it does not say so, services may wait for one: whether there
    /// was one before the trial, the agent knows itself.
    async fn is_data_disk_mounted(&self) -> bool {
        match self.link.status(ANSWER_MAX).await {
            Ok(status) => status.ssd.state == SsdState::Mounted,
            Err(error) => {
                tracing::debug!(%error, "whether a data disk is mounted is not known");
                false
            }
        }
    }

    fn judge(&self, service: &ServiceReport, health: &Health, waits_for_disk: bool) -> Option<Fault> {
        let name = service.spec.name;
        let why = match health {
            Health::Healthy | Health::Degraded { .. } => return None,
            Health::Waiting { .. } if waits_for_disk => return None,
            Health::Starting => format!("{name} is still starting"),
            Health::Waiting { reason } => format!("{name} waits: {reason}"),
            Health::Unhealthy { reason } => format!("{name} does not do its work: {reason}"),
        };
        Some(fault(Cause::Service, Some(name), &why, self.log(name)))
    }

    fn log(&self, service: &str) -> Vec<String> {
        let lines = self.logs.recent(service, LOG_LINES_MAX).into_iter();
        lines.map(|line| cut(&format!("{} {:?} {}", line.time, line.level, said(&line)), LINE_BYTES_MAX)).collect()
    }
}

/// A line's message with its fields: the reason of a failure stands there.
fn said(line: &lucid_observe::Line) -> String {
    let fields = line.fields.iter().map(|(name, value)| format!(" {name}={value:?}"));
    format!("{}{}", line.message, fields.collect::<String>())
}

fn fault(cause: Cause, service: Option<&str>, why: &str, log: Vec<String>) -> Fault {
    Fault { cause, service: service.map(str::to_owned), why: cut(why, WHY_BYTES_MAX), log }
}

/// The first bytes of a text, to the last whole character.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    text[..end].to_owned()
}

/// The report, cut so that it fits into one message: logs go first, from the last fault on, because the first fault is
/// mostly the cause of the others.
fn fitted(mut report: GateReport) -> GateReport {
    report.faults.truncate(FAULTS_MAX);
    while bytes(&report) + ENVELOPE_BYTES > FRAME_BYTES_MAX {
        match report.faults.iter_mut().rfind(|fault| !fault.log.is_empty()) {
            Some(fault) => fault.log.clear(),
            None => drop(report.faults.pop()),
        }
    }
    report
}

fn bytes(report: &GateReport) -> usize {
    serde_json::to_vec(report).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests;
