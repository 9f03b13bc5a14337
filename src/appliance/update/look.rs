//! Looks at the channel, and has the agent check what it says.

use data_encoding::BASE64;
use lucid_agent_protocol::update::ChannelReport;
use lucid_agent_protocol::{Reply, Request};

use super::desk::{Desk, described};
use super::error::UpdateError;
use crate::agent_link::AgentError;

/// Largest file of a channel in bytes. In base64 it fits into a message to the agent.
const FILE_BYTES_MAX: u64 = 10 * 1024;
/// The agent checks a few signatures and writes one small file.
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(15);

impl Desk {
    /// Asks the channel, and keeps what the agent trusts. Whether it did.
    pub(crate) async fn look_at_channel(&self) -> bool {
        let looked = self.news().await;
        let problem = looked.as_ref().err().map(described);
        if let Some(problem) = &problem {
            tracing::warn!(problem, "the channel gave no news");
        }
        let is_good = problem.is_none();
        self.set_channel_problem(problem);
        let now_ms = self.clock.now().unix_ms;
        let kept = self.keep(|kept| {
            kept.checked_ms = Some(now_ms);
            if let Ok(news) = looked {
                kept.news = Some(news);
            }
        });
        match kept.await {
            Ok(()) => is_good,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the channel's news are lost");
                self.set_channel_problem(Some(described(&error)));
                false
            }
        }
    }

    async fn news(&self) -> Result<ChannelReport, UpdateError> {
        let url = self.settings.channel.as_ref().ok_or(UpdateError::NoChannel)?;
        let file = BASE64.encode(&self.fetcher.whole(url, FILE_BYTES_MAX).await?);
        match self.link.ask(Request::Channel { file }, ANSWER_MAX).await? {
            Reply::Channel(report) => Ok(*report),
            _ => Err(AgentError::Unfit.into()),
        }
    }
}
