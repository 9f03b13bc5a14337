//! Tells the agent that the box is ready, so that this boot does not count as a failed one.

use std::time::Duration;

use lucid_agent_protocol::Request;
use lucid_appliance::AgentLink;
use tokio::sync::watch;

/// The agent writes and flushes one small file.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// An agent that is not up yet, or is started anew, is there after a few of these.
const RETRY: Duration = Duration::from_secs(5);

/// Waits until the box is ready, and tells the agent until it has heard.
pub(crate) async fn tell_agent(agent: AgentLink, mut ready: watch::Receiver<bool>) {
    if !agent.is_there() || ready.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    let mut failing = false;
    while let Err(error) = agent.ask(Request::Ready {}, ANSWER_MAX).await {
        if !std::mem::replace(&mut failing, true) {
            tracing::warn!(%error, "the agent does not know that the box is ready; will go on telling it");
        }
        tokio::time::sleep(RETRY).await;
    }
    tracing::debug!("the agent knows that the box is ready");
}
