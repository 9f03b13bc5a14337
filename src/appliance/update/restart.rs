//! When a release that is written is installed. Pure.

use lucid_device::{ClockTrust, Now};
use serde::{Deserialize, Serialize};

use super::settings::{Window, Zone};

/// In the last minutes of a window the restart waits for no recording any more: it is paused, and goes on afterwards.
const FORCED_MIN: u32 = 15;

/// When somebody wants a release installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// At once, whatever is being recorded.
    Now,
    /// As soon as nothing is being recorded, or at the end of the window.
    Quiet,
    /// In the window, as soon as nothing is being recorded, or at its end.
    Window,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Go {
    /// Restart into it.
    Ahead,
    /// Wait, for this reason.
    Wait(String),
}

/// Whether the time has come, with so many `recordings` under way. `window` is needed for [`When::Window`].
pub(crate) fn decide(when: When, window: Option<(Window, &Zone)>, now: Now, recordings: usize) -> Go {
    let is_told = now.trust == ClockTrust::Synchronized;
    let left_min = window.filter(|_| is_told).and_then(|(window, zone)| window.left_min(zone, now.unix_ms));
    let is_forced = left_min.is_some_and(|left_min| left_min <= FORCED_MIN);
    match (when, window) {
        (When::Now, _) => Go::Ahead,
        (When::Window, None) => Go::Wait("no window is set: install it now, or when nothing is recorded".to_owned()),
        (When::Window, Some((window, zone))) if !is_told => Go::Wait(format!(
            "no time server has set the clock yet, so the window {window} ({zone}) can't be kept: install it now, or \
             when nothing is recorded"
        )),
        (When::Window, Some((window, zone))) if left_min.is_none() => {
            Go::Wait(format!("the restart waits for the window, {window} ({zone})"))
        }
        _ if recordings == 0 || is_forced => Go::Ahead,
        _ => Go::Wait(running(recordings)),
    }
}

fn running(recordings: usize) -> String {
    match recordings {
        1 => "1 recording is running: the restart waits for it".to_owned(),
        _ => format!("{recordings} recordings are running: the restart waits for them"),
    }
}

#[cfg(test)]
mod tests;
