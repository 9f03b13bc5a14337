//! What is said of the channel.

use super::*;

const DAY_S: u64 = 24 * 3600;

fn kept(offers: Vec<Offer>) -> Kept {
    let news = ChannelReport { sequence: 3, issued_s: 100 * DAY_S, expires_s: 107 * DAY_S, offers };
    Kept { checked_ms: Some(101 * DAY_MS), news: Some(news), order: None }
}

fn on_day(day: u64, trust: ClockTrust) -> Now {
    Now { unix_ms: day * DAY_MS, trust }
}

/// What is kept, the last problem, whether a channel is set, the time; and what is told.
type Row<'a> = (&'a Kept, Option<&'a str>, bool, Now, ChannelState, &'a str);

#[test]
fn each_state_is_told_apart_and_explained() {
    use ClockTrust::{Synchronized, Unsynchronized};
    let never = Kept::default();
    let known = kept(Vec::new());
    let table: [Row<'_>; 9] = [
        (&known, None, false, on_day(101, Synchronized), ChannelState::None, "no channel is set"),
        (&never, None, true, on_day(101, Synchronized), ChannelState::None, "not asked yet"),
        (&never, Some("no way"), true, on_day(101, Synchronized), ChannelState::Failed, "no trusted news yet: no way"),
        (&known, None, true, on_day(101, Synchronized), ChannelState::Fresh, "nothing newer"),
        (&known, Some("no way"), true, on_day(101, Synchronized), ChannelState::Fresh, "last look failed: no way"),
        (&known, None, true, on_day(107, Synchronized), ChannelState::Stale, "no trusted news for 7 days"),
        (&known, Some("it is replayed"), true, on_day(130, Synchronized), ChannelState::Stale, "30 days"),
        (&known, None, true, on_day(130, Unsynchronized), ChannelState::Stale, "a clock that no time server has set"),
        (&known, None, true, on_day(1, Unsynchronized), ChannelState::Fresh, "nothing newer"),
    ];
    for (kept, problem, is_set, now, state, part) in table {
        let status = judge(kept, problem, is_set, now);
        assert!(status.state == state && status.text.contains(part), "{status:?}");
        assert_eq!(status.report.is_some(), is_set && kept.news.is_some());
        assert_eq!(status.news_ms, status.report.map(|_| 100 * DAY_MS));
    }
}
