//! What the channel's news are worth, in words. Pure.

use lucid_agent_protocol::update::{ChannelReport, Offer};
use lucid_device::{ClockTrust, Now};

use super::kept::Kept;
use super::status::{ChannelState, ChannelStatus};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// How the channel is at `now`. `problem` says why the last look at it failed; `is_set`, whether there is one.
pub(crate) fn judge(kept: &Kept, problem: Option<&str>, is_set: bool, now: Now) -> ChannelStatus {
    let report = kept.news.clone().filter(|_| is_set);
    let news_ms = report.as_ref().map(|news| news.issued_s.saturating_mul(1000));
    let (state, text) = match &report {
        _ if !is_set => (ChannelState::None, "no channel is set: updates come by hand".to_owned()),
        None => never(kept, problem),
        Some(news) => known(news, problem, now),
    };
    ChannelStatus { state, checked_ms: kept.checked_ms.filter(|_| is_set), news_ms, text, report }
}

fn never(kept: &Kept, problem: Option<&str>) -> (ChannelState, String) {
    match (problem, kept.checked_ms) {
        (Some(problem), _) => (ChannelState::Failed, format!("no trusted news yet: {problem}")),
        (None, _) => (ChannelState::None, "the channel was not asked yet".to_owned()),
    }
}

fn known(news: &ChannelReport, problem: Option<&str>, now: Now) -> (ChannelState, String) {
    let age = age(news, now);
    let because = problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
    if has_expired(news, now) {
        return (
            ChannelState::Stale,
            format!("no trusted news for {age}: whoever answers may hold back a newer release{because}"),
        );
    }
    let offers = offered(&news.offers);
    match problem {
        Some(problem) => (ChannelState::Fresh, format!("{offers} The last look failed: {problem}")),
        None => (ChannelState::Fresh, offers),
    }
}

/// By a clock that is behind its floor nothing has expired, and by one that was never set it may have.
fn has_expired(news: &ChannelReport, now: Now) -> bool {
    now.unix_ms / 1000 >= news.expires_s
}

fn age(news: &ChannelReport, now: Now) -> String {
    let days = now.unix_ms.saturating_sub(news.issued_s.saturating_mul(1000)) / DAY_MS;
    let age = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    match now.trust {
        ClockTrust::Synchronized => age,
        ClockTrust::Unsynchronized | ClockTrust::Held => format!("{age}, by a clock that no time server has set"),
    }
}

fn offered(offers: &[Offer]) -> String {
    let open: Vec<_> =
        offers.iter().filter(|offer| offer.refused.is_none()).map(|offer| offer.version.as_str()).collect();
    match open.as_slice() {
        [] => "The channel offers nothing newer for this box.".to_owned(),
        versions => format!("The channel offers {}.", versions.join(", ")),
    }
}

#[cfg(test)]
mod tests;
