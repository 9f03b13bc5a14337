//! The way to the agent, which mounts the data disk and restarts the box.
//!
//! Promises: whoever asks waits for a stated time only, whatever the agent does; at most [`UNDER_WAY_MAX`] threads wait
//! for it; an agent that is gone is a reason to show, and nothing else fails for it. Must never decide what the agent
//! may do: it decides itself.

use std::{path::Path, sync::Arc, time::Duration};

use lucid_agent_protocol::{Client, ClientError, Refusal, Reply, Request, SsdState, Status, Work};
use tokio::{sync::Semaphore, task::JoinError};

/// Questions under way. A question that is late goes on until the agent's own time is over (a minute), and holds a
/// thread; pages ask one or two.
const UNDER_WAY_MAX: usize = 4;

/// The way to the agent. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AgentLink {
    client: Option<Client>,
    places: Arc<Semaphore>,
}

/// Why there is no answer. A [`AgentError::Refused`] is one that was given.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no agent.
    #[error("this machine has no agent: it keeps its own disks, and restarts as its owner likes")]
    Absent,
    /// Too many ask.
    #[error("the agent has not answered earlier questions yet: try again in a minute")]
    Busy,
    /// No answer in time.
    #[error("the agent has not answered for {} s: look again in a minute what became of it", waited.as_secs())]
    Late {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The agent refused, in its own words.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// It can't be asked.
    #[error("{0}")]
    Client(#[source] ClientError),
    /// It answered something else than was asked.
    #[error("the agent's answer does not fit the question: both must be of the same release, so restart the appliance")]
    Unfit,
    /// Asking panicked.
    #[error("asking the agent failed: try again")]
    Failed(#[source] JoinError),
}

impl AgentLink {
    /// To the agent that listens at `socket`; to none without one.
    pub fn new(socket: Option<&Path>) -> Self {
        Self { client: socket.map(Client::new), places: Arc::new(Semaphore::new(UNDER_WAY_MAX)) }
    }

    /// To the same agent, for one who asks often: at most `under_way_max` questions, beside those of others, so that a
    /// hanging agent does not make others wait for this one's.
    pub(crate) fn apart(&self, under_way_max: usize) -> Self {
        Self { client: self.client.clone(), places: Arc::new(Semaphore::new(under_way_max)) }
    }

    /// For what takes longer than a question: whoever has it sees to its own threads.
    pub(crate) fn client(&self) -> Option<Client> {
        self.client.clone()
    }

    /// Whether there should be an agent.
    pub fn is_there(&self) -> bool {
        self.client.is_some()
    }

    /// Asks, and waits for `patience` at most.
    ///
    /// # Errors
    /// See [`AgentError`]. After [`AgentError::Late`] what was asked may be done all the same.
    pub async fn ask(&self, request: Request, patience: Duration) -> Result<Reply, AgentError> {
        let client = self.client.clone().ok_or(AgentError::Absent)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| AgentError::Busy)?;
        let asking = tokio::task::spawn_blocking(move || {
            let _place = place;
            client.ask(&request)
        });
        let answered = tokio::time::timeout(patience, asking).await;
        let answered = answered.map_err(|_| AgentError::Late { waited: patience })?.map_err(AgentError::Failed)?;
        answered.map_err(|error| match error {
            ClientError::Refused(refusal) => AgentError::Refused(refusal),
            error => AgentError::Client(error),
        })
    }

    /// How things are.
    ///
    /// # Errors
    /// As [`AgentLink::ask`].
    pub async fn status(&self, patience: Duration) -> Result<Status, AgentError> {
        match self.ask(Request::Status {}, patience).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(AgentError::Unfit),
        }
    }
}

/// What the agent said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AgentView {
    /// There is no agent: a developer's machine.
    #[default]
    Absent,
    /// It should be there, and can't be asked.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// How things are.
    Known(Box<Status>),
}

impl AgentView {
    /// What came of asking.
    pub(crate) fn of(asked: Result<Status, AgentError>) -> Self {
        match asked {
            Ok(status) => Self::Known(Box::new(status)),
            Err(AgentError::Absent) => Self::Absent,
            Err(error) => Self::Unreachable { reason: error.to_string() },
        }
    }

    /// How it is.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Known(status) => Some(status),
            Self::Absent | Self::Unreachable { .. } => None,
        }
    }

    /// Why the data disk can't be used, where the agent knows better than `seen` from outside.
    pub(crate) fn explain(&self, seen: String) -> String {
        match self {
            Self::Absent => seen,
            Self::Unreachable { reason } => format!("{seen}; what is in the way is not known: {reason}"),
            Self::Known(status) => explained(status).unwrap_or(seen),
        }
    }
}

/// Nothing for a disk that is mounted: then the trouble is not the agent's.
fn explained(status: &Status) -> Option<String> {
    let ssd = &status.ssd;
    let reason = || ssd.reason.clone();
    match &ssd.state {
        SsdState::Mounted => None,
        // Without the time it takes so far: what is published changes only when there is news.
        SsdState::Working { work, .. } => Some(format!("the data disk is being {}: wait", doing(*work))),
        SsdState::NotAdopted => {
            reason().or_else(|| Some("no data disk is adopted: adopt one on the page Storage".to_owned()))
        }
        SsdState::Absent => reason().or_else(|| Some("the data disk is not connected: connect it".to_owned())),
        SsdState::Detached => {
            reason().or_else(|| Some("the data disk was detached: mount it on the page Storage".to_owned()))
        }
        SsdState::ReadOnly | SsdState::Failed => reason(),
    }
}

/// What is being done to the disk, as it completes “is being”.
pub(crate) fn doing(work: Work) -> &'static str {
    match work {
        Work::Partitioning => "partitioned",
        Work::Formatting => "formatted",
        Work::Checking => "checked",
        Work::Repairing => "repaired",
        Work::Mounting => "mounted",
        Work::Unmounting => "unmounted",
    }
}

#[cfg(test)]
pub(crate) mod tests;
