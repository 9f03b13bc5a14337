//! Why something about an update was not done.

use lucid_agent_protocol::RefusalCode;
use lucid_kit::Unavailable;

use super::fetch::FetchError;
use crate::agent_link::AgentError;

/// Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The service does not run.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The agent refused, or could not be asked.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Another bundle is on its way.
    #[error("another bundle is on its way: wait for its end, or discard it")]
    Busy,
    /// The agent wants bytes that do not come.
    #[error("the bundle is to be sent from byte {wanted} on: send it again from there")]
    WrongOffset {
        /// From where.
        wanted: u64,
    },
    /// The bytes ended before the bundle.
    #[error("the bundle broke off: send the rest of it")]
    BrokenOff(#[source] std::io::Error),
    /// More bytes than a bundle can have.
    #[error("no bundle is that large: check the file")]
    TooLarge,
    /// A server did not deliver.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What lies there is no bundle.
    #[error("what lies at the address is no bundle: check the address")]
    NoBundle(#[source] lucid_bundle::ReadError),
    /// Somebody discarded it.
    #[error("it was discarded")]
    GivenUp,
    /// No channel is set.
    #[error("no channel is set: set `update.channel` in lucid.toml, or send a bundle")]
    NoChannel,
    /// No window is set.
    #[error("no window is set: set `update.window` in lucid.toml, or install it now or when nothing is recorded")]
    NoWindow,
    /// Nothing is there that could be installed.
    #[error("no release is written that could be installed: send a bundle first")]
    NothingWritten,
    /// What it keeps could not be kept.
    #[error("what was ordered can't be kept over a restart: the box's own disk refuses to be written")]
    Keep(#[source] std::io::Error),
    /// A part of the program panicked.
    #[error("handing the bundle on failed: try again")]
    Failed(#[source] tokio::task::JoinError),
}

impl UpdateError {
    /// Whether the same may work a little later.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_worth_a_retry(),
            Self::Agent(AgentError::Refused(refusal)) => refusal.code == RefusalCode::Busy,
            Self::Agent(AgentError::Absent | AgentError::Unfit) => false,
            Self::NoBundle(error) => matches!(error, lucid_bundle::ReadError::Io(_)),
            Self::Agent(_) | Self::BrokenOff(_) | Self::WrongOffset { .. } => true,
            Self::Unavailable(_) | Self::Busy | Self::TooLarge | Self::NoChannel | Self::NoWindow => false,
            Self::NothingWritten | Self::Keep(_) | Self::Failed(_) | Self::GivenUp => false,
        }
    }
}
