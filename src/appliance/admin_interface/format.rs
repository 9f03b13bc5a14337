//! Numbers, times and words as people read them.

use std::{fmt::Write, time::Duration};

use lucid_ports::{RecordingState, Role};
use lucid_proof::time::{TimeTrust, Timestamp, rfc3339};
use maud::{Markup, html};

/// Bytes in decimal units, as drive makers and file managers count: `1.2 GB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be written as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration in its two largest units: `3 d 4 h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A moment in UTC, to the second, readable by people and programs.
pub(super) fn time(unix_ms: u64) -> Markup {
    match rfc3339(unix_ms) {
        Ok(exact) => {
            let readable = format!("{} {} UTC", &exact[..10], &exact[11..19]);
            html! { time datetime=(exact) { (readable) } }
        }
        Err(_) => html! { "after the year 9999" },
    }
}

/// A moment, and how far it can be believed where that is not far.
pub(super) fn timestamp(timestamp: Timestamp) -> Markup {
    html! {
        (time(timestamp.unix_ms))
        @match timestamp.trust {
            TimeTrust::Synchronized => {}
            TimeTrust::Held => { " " span.muted { "(clock held)" } }
            TimeTrust::Unsynchronized => { " " span.muted { "(clock never set)" } }
        }
    }
}

/// Thousandths of a degree Celsius: `48.2 °C`.
pub(super) fn temperature(temperature_mc: i32) -> String {
    format!("{:.1} °C", f64::from(temperature_mc) / 1000.0)
}

/// Permille as percent: `4.9 %`.
pub(super) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// The role as it is called everywhere.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Developer => "developer",
        Role::Admin => "admin",
    }
}

/// The role with this name.
pub(super) fn parse_role(word: &str) -> Option<Role> {
    [Role::User, Role::Developer, Role::Admin].into_iter().find(|found| role(*found) == word)
}

/// A recording's state as it is called everywhere.
pub(super) fn state(state: RecordingState) -> &'static str {
    match state {
        RecordingState::Recording => "recording",
        RecordingState::Sealing => "sealing",
        RecordingState::Anchoring => "anchoring",
        RecordingState::Anchored => "anchored",
    }
}

/// A long hash in few characters, whole on demand.
pub(super) fn hash(hex: &str) -> Markup {
    let short = hex.get(..16).filter(|_| hex.len() > 20);
    html! { code title=(hex) { @if let Some(short) = short { (short) "…" } @else { (hex) } } }
}

/// An error as a sentence: capital first, full stop last.
pub(crate) fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return text };
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    // A name in backticks or a code stays as it is.
    format!("{}{}{stop}", first.to_uppercase(), chars.as_str())
}

/// A text as a value in a query string (RFC 3986: everything but the unreserved characters is escaped).
pub(super) fn query_value(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        escaped
    })
}

/// The path to go to after log-in: one of this appliance, or the start page. A browser takes `//host` and `/\host` for
/// another host.
pub(super) fn local_path(wanted: &str) -> &str {
    let mut chars = wanted.chars();
    let is_rooted = chars.next() == Some('/') && !matches!(chars.next(), Some('/' | '\\'));
    let is_plain = wanted.len() <= 1024 && wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_rooted && is_plain { wanted } else { "/" }
}
