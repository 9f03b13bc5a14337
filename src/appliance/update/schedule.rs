//! When the channel is asked, and a broken transfer tried again. Pure: `chance` is a random number from 0 to 1, by
//! which a thousand boxes that start together don't ask together.

use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// After a start the box has other things to do; and many start together after a power cut in their street.
const AFTER_START_MAX: Duration = Duration::from_secs(900);
/// The regular wait is up to this part longer.
const SPREAD: f64 = 0.125;
/// First wait after a look that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(600);
/// First wait after a transfer that broke.
const AFTER_BREAK: Duration = Duration::from_secs(10);
/// Longest wait after a transfer that broke.
const AFTER_BREAK_MAX: Duration = Duration::from_secs(1800);

/// Until the first look after a start at `now_ms`, where the last one was at `checked_ms`. A time in the future is a
/// clock's mistake, and counts as none.
pub(crate) fn after_start(checked_ms: Option<u64>, now_ms: u64, check_h: u64, chance: f64) -> Duration {
    let since = checked_ms.and_then(|checked_ms| now_ms.checked_sub(checked_ms)).map(Duration::from_millis);
    let due = since.map_or(Duration::ZERO, |since| hours(check_h).saturating_sub(since));
    due + AFTER_START_MAX.mul_f64(chance)
}

/// Until the next look, after so many that failed in a row.
pub(crate) fn after_look(failures: u32, check_h: u64, chance: f64) -> Duration {
    let regular = hours(check_h);
    let wait = match failures {
        0 => regular,
        _ => doubled(AFTER_FAILURE, failures).min(regular),
    };
    wait.mul_f64(1.0 + SPREAD * chance)
}

/// Until a transfer is tried again that broke so many times in a row without getting on.
pub(crate) fn after_break(breaks: u32, chance: f64) -> Duration {
    doubled(AFTER_BREAK, breaks).min(AFTER_BREAK_MAX).mul_f64(1.0 + SPREAD * chance)
}

fn doubled(first: Duration, nth: u32) -> Duration {
    first.saturating_mul(2u32.saturating_pow(nth.saturating_sub(1).min(16)))
}

fn hours(count: u64) -> Duration {
    HOUR.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
