//! How updates are, in lines for people. Whatever the appliance says is shown with control characters escaped.

use time::OffsetDateTime;
use time::macros::format_description;

use super::eeprom::eeprom_line;
use super::status::{
    Agent, Attempt, Channel, Fact, Incoming, Outcome, Phase, Settings, SlotReport, Standing, UpdateStatus,
};
use crate::api::escaped;

/// What is being done, in one line.
pub(super) fn phase_line(status: &UpdateStatus) -> String {
    let Some(agent) = &status.agent else {
        let why = status.agent_problem.as_deref().unwrap_or("no reason is given");
        return format!("not known: {}", escaped(why));
    };
    match (&agent.phase, &status.waiting) {
        (Phase::Written { .. }, Some(waiting)) => format!("{}: {}", phase(&agent.phase), escaped(waiting)),
        (other, _) => phase(other),
    }
}

fn phase(phase: &Phase) -> String {
    let name = |incoming: &Option<Incoming>| {
        incoming.as_ref().map_or_else(|| "the other slot".to_owned(), |incoming| escaped(&incoming.version))
    };
    match phase {
        Phase::Idle {} => "no update is under way".to_owned(),
        Phase::Writing { incoming, offset, bundle_bytes, active } => {
            let word = if *active { "coming in" } else { "interrupted" };
            format!("{} is {word}: {offset} of {bundle_bytes} bytes are safe", escaped(&incoming.version))
        }
        Phase::Checking { incoming, checked_bytes, of_bytes } => {
            format!("{} is read back: {checked_bytes} of {of_bytes} bytes", escaped(&incoming.version))
        }
        Phase::Written { incoming } => {
            format!("{} is written to slot {}, not yet installed", escaped(&incoming.version), letter(&incoming.slot))
        }
        Phase::Armed { incoming } => format!("the appliance restarts into {}, on trial", name(incoming)),
        Phase::Trying { incoming, fit_for_s, soak_s, waiting_for } => {
            let how = match (fit_for_s, waiting_for.as_slice()) {
                (Some(fit_for_s), _) => format!("fit for {fit_for_s} of {soak_s} s"),
                (None, []) => "not fit yet".to_owned(),
                (None, reasons) => format!("waits for {}", escaped(&reasons.join("; "))),
            };
            format!("{} is on trial: {how}", name(incoming))
        }
        Phase::Unknown => "something that this program does not know: use the newer `lucid`".to_owned(),
    }
}

/// Everything, for people.
pub fn update_text(status: &UpdateStatus) -> String {
    let mut lines = Vec::new();
    if let Some(agent) = &status.agent {
        lines.push(format!("{:4}  {:16}  {:10}  STANDING", "SLOT", "VERSION", "STATE"));
        lines.extend(agent.slots.iter().map(|slot| slot_line(agent, slot)));
        lines.extend(agent.remark.as_deref().map(|remark| format!("note: {}", escaped(remark))));
    }
    lines.push(format!("now: {}", phase_line(status)));
    lines.extend(transfer_line(status));
    lines.push(format!("channel: {}", channel_text(&status.channel)));
    lines.push(format!("by itself: {}", automatic_text(&status.settings)));
    if let Some(agent) = &status.agent {
        lines.extend(trust_lines(agent));
        lines.push(format!("EEPROM: {}", eeprom_line(agent)));
        if let Some(selftest) = &agent.selftest {
            let word = if selftest.passed { "passed" } else { "failed" };
            lines.push(format!("self-test {}: {word}: {}", date(selftest.at_ms), escaped(&selftest.text)));
        }
        lines.extend(agent.history.iter().map(attempt_line));
    }
    lines.join("\n") + "\n"
}

fn slot_line(agent: &Agent, slot: &SlotReport) -> String {
    let is = |found: Option<&String>| found == Some(&slot.slot);
    let mut state = Vec::new();
    if is(agent.running.as_ref()) {
        state.push(if agent.trial { "on trial" } else { "runs" });
    }
    if is(agent.committed.present()) {
        state.push("kept");
    }
    let version = told(&slot.release, |release| escaped(&release.version));
    let standing = match &slot.standing {
        Standing::Good { .. } => "good".to_owned(),
        Standing::Unfit { reason } => format!("unfit: {}", escaped(reason)),
        Standing::Unknown => "not known".to_owned(),
    };
    format!("{:4}  {version:16}  {:10}  {standing}", letter(&slot.slot), state.join(", "))
}

fn transfer_line(status: &UpdateStatus) -> Option<String> {
    let transfer = status.transfer.as_ref()?;
    let of = transfer.of_bytes.map(|bytes| format!(" of {bytes}")).unwrap_or_default();
    let end = match &transfer.problem {
        Some(problem) => format!(", ended: {}", escaped(problem)),
        None if transfer.active => ", under way".to_owned(),
        None => String::new(),
    };
    let from = transfer.url.as_deref().map(|url| format!(" from {}", escaped(url))).unwrap_or_default();
    Some(format!("transfer ({}{from}): {}{of} bytes{end}", escaped(&transfer.source), transfer.done_bytes))
}

fn channel_text(channel: &Channel) -> String {
    let mut text = if channel.text.is_empty() { escaped(&channel.state) } else { escaped(&channel.text) };
    for offer in channel.report.iter().flat_map(|report| &report.offers) {
        let remark = match (&offer.refused, offer.hold) {
            (Some(why), _) => format!(" (not for this box: {})", escaped(why)),
            (None, true) => " (held back by its makers)".to_owned(),
            (None, false) => String::new(),
        };
        text.push_str(&format!("\n  offers {}{remark}", escaped(&offer.version)));
    }
    text
}

fn automatic_text(settings: &Settings) -> String {
    if !settings.automatic {
        return "nothing is installed".to_owned();
    }
    let pinned = settings.pinned.as_deref().map(|version| format!(", only {}", escaped(version)));
    let zone = settings.zone.as_deref().unwrap_or("UTC");
    let window = settings.window.as_deref().map(|window| format!(", between {} ({})", escaped(window), escaped(zone)));
    format!("new releases are installed{}{}", pinned.unwrap_or_default(), window.unwrap_or_default())
}

fn trust_lines(agent: &Agent) -> Vec<String> {
    let trust = &agent.trust;
    let number = |version: Option<u64>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
    let mut lines =
        vec![format!("trust: root keys {}, release keys {}", number(trust.root_version), number(trust.keys_version))];
    if trust.is_test {
        lines.push("trust: TEST KEYS, this is no release".to_owned());
    }
    lines.extend(trust.problem.as_deref().map(|problem| format!("trust: {}", escaped(problem))));
    lines
}

fn attempt_line(attempt: &Attempt) -> String {
    let version = escaped(&attempt.version);
    let text = match &attempt.outcome {
        Outcome::Committed {} => format!("{version} was installed and is kept"),
        Outcome::RolledBack { why, .. } => format!("{version} was tried and taken back: {}", escaped(why)),
        Outcome::LeftAfterFailedBoots { failed_boots } => {
            format!("{version} was left after {failed_boots} boots that did not become ready")
        }
        Outcome::Returned {} => format!("went back to {version}"),
        Outcome::Repaired { why } => format!("put right: {}", escaped(why)),
        Outcome::Discarded { why } => format!("{version} was given up: {}", escaped(why)),
        Outcome::Unknown => format!("{version} ended in a way that this program does not know"),
    };
    format!("{}  slot {}  {text}", date(attempt.at_ms), letter(&attempt.slot))
}

fn letter(slot: &str) -> String {
    escaped(slot).to_uppercase()
}

pub(super) fn told<T>(fact: &Fact<T>, show: impl FnOnce(&T) -> String) -> String {
    match fact {
        Fact::Present(value) => show(value),
        Fact::Absent { reason } | Fact::Failed { reason } => format!("not known ({})", escaped(reason)),
        Fact::Untold => "not known".to_owned(),
    }
}

pub(super) fn date(unix_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let time = i64::try_from(unix_ms / 1000).ok().and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| "-".to_owned())
}
