//! What is told of updates: one value, for the page, the command line and everybody who watches.

use lucid_agent_protocol::update::{ChannelReport, UpdateReport};
use serde::Serialize;

use super::settings::{Settings, UpdateUrl};

/// How updates are, as of the last look. Its JSON is `GET /api/update/status`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct UpdateStatus {
    /// What the agent says; nothing while it can't be asked.
    pub agent: Option<UpdateReport>,
    /// Why the agent can't be asked, and what to do.
    pub agent_problem: Option<String>,
    /// The settings in force.
    pub settings: Settings,
    /// What is known of new releases.
    pub channel: ChannelStatus,
    /// The bundle that is on its way, or the last one that was, until something newer happens.
    pub transfer: Option<Transfer>,
    /// What an installation waits for; nothing if none is wanted, or nothing is in the way.
    pub waiting: Option<String>,
    /// Whether there is an agent at all, so that one that does not answer is a fault.
    #[serde(skip)]
    pub is_agent_due: bool,
}

/// What is known of the channel.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ChannelStatus {
    /// In one word.
    pub state: ChannelState,
    /// When it was last asked for, in milliseconds of Unix time.
    pub checked_ms: Option<u64>,
    /// From when the newest news is that the agent trusted, in milliseconds of Unix time.
    pub news_ms: Option<u64>,
    /// The same in words for the owner.
    pub text: String,
    /// The newest news that the agent trusted.
    pub report: Option<ChannelReport>,
}

/// How a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelState {
    /// There is none, or it was never asked.
    #[default]
    None,
    /// Its news are trusted and in date.
    Fresh,
    /// The newest trusted news have expired: whoever answers in its place may hold back a newer release.
    Stale,
    /// It could not be asked, or its answer was not trusted, and there are no news in date.
    Failed,
}

/// A bundle on its way to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Who brings it.
    pub source: Source,
    /// Where it is fetched from; nothing for an upload.
    pub url: Option<String>,
    /// Bytes of the bundle that went to the agent; how many are safe there, the agent's report says.
    pub done_bytes: u64,
    /// Of so many, where that is known.
    pub of_bytes: Option<u64>,
    /// Whether it goes on now.
    pub active: bool,
    /// Why it does not, if it ended badly or waits to be tried again.
    pub problem: Option<String>,
}

impl Transfer {
    /// One that begins.
    pub(crate) fn new(source: Source, url: Option<&UpdateUrl>, of_bytes: Option<u64>) -> Self {
        let url = url.map(UpdateUrl::to_string);
        Self { source, url, done_bytes: 0, of_bytes, active: true, problem: None }
    }
}

/// Who brings a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Somebody sends it.
    Upload,
    /// It is fetched, because somebody asked for it.
    Pull,
    /// It is fetched, because the channel offers it.
    Automatic,
}
