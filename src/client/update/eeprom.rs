//! The board's EEPROM: what is there, what the image carries, and what the owner is told before it is installed.

use time::OffsetDateTime;

use super::show::{date, told};
use super::status::{Agent, EepromAttempt, EepromRelease, Fact, UpdateStatus};
use crate::api::escaped;

/// What has to be known before somebody consents.
const WHAT_HAPPENS: &str = "\
The appliance restarts twice, which takes about a minute. Between the two restarts the board's
firmware finds the release in the slot that does not run, and writes it into its EEPROM. The
settings on the board are lost: those above take their place; the dashboard shows those on the
board, on the page Updates.
The power must NOT fail while it writes: a board whose EEPROM is half written starts nothing until
it is made good by hand. With Raspberry Pi Imager, write \"Misc utility images\", \"Bootloader
(Pi 5 family)\" to another SD card, start the Pi from it once until its light blinks evenly, then
put the appliance's card or disk back.
This has not been tried on a real board yet: it was played by the bench, from Raspberry Pi's
documentation.";

/// The release that the appliance carries, if it was built on this day in UTC, as `2026-05-26`: naming it is how an
/// owner consents to it.
pub fn carried_on<'a>(status: &'a UpdateStatus, typed: &str) -> Option<&'a EepromRelease> {
    let release = status.agent.as_ref()?.eeprom.carried.present()?;
    (day(release.build_s).as_deref() == Some(typed)).then_some(release)
}

/// Everything about it, for people.
pub fn eeprom_text(status: &UpdateStatus) -> String {
    let Some(agent) = &status.agent else {
        let why = status.agent_problem.as_deref().unwrap_or("no reason is given");
        return format!("EEPROM: not known: {}\n", escaped(why));
    };
    let mut lines = vec![format!("on the board now: {}", on_board(agent))];
    lines.extend(in_the_image(&agent.eeprom.carried));
    lines.extend(agent.eeprom.last.as_ref().map(attempt_line));
    lines.extend(can_be_installed(agent));
    lines.join("\n") + "\n"
}

/// The same in one line of the status.
pub(super) fn eeprom_line(agent: &Agent) -> String {
    let now = on_board(agent);
    let Some(release) = agent.eeprom.carried.present() else { return now };
    let carried = format!("{now}, the image carries that of {}", day_text(release.build_s));
    match (failed(agent), &agent.eeprom.hindrance) {
        (Some(last), _) => format!("{carried}; NOT installed: {}", escaped(&last.text)),
        (None, Some(_)) => carried,
        (None, None) => format!("{carried}; `lucid update eeprom` says how to install it"),
    }
}

/// The last attempt, if it failed and the board has not come by that release in another way since.
fn failed(agent: &Agent) -> Option<&EepromAttempt> {
    let last = agent.eeprom.last.as_ref().filter(|last| !last.done)?;
    let has_it = agent.eeprom_s.present().is_some_and(|build_s| *build_s >= last.build_s);
    (!has_it).then_some(last)
}

fn on_board(agent: &Agent) -> String {
    told(&agent.eeprom_s, |build_s| day_text(*build_s))
}

fn in_the_image(carried: &Fact<EepromRelease>) -> Vec<String> {
    let text = match carried {
        Fact::Present(release) => format!("{}, version {}", day_text(release.build_s), escaped(&release.version)),
        Fact::Absent { reason } => format!("none ({})", escaped(reason)),
        Fact::Failed { reason } => format!("can't be read ({})", escaped(reason)),
        Fact::Untold => "not known".to_owned(),
    };
    let mut lines = vec![format!("in the image:     {text}")];
    if let Some(release) = carried.present() {
        lines.push("its settings:".to_owned());
        lines.extend(release.settings.lines().map(|line| format!("  {}", escaped(line))));
    }
    lines
}

fn attempt_line(last: &EepromAttempt) -> String {
    let word = if last.done { "installed" } else { "NOT installed" };
    format!("last attempt:     {}, {}: {word}: {}", date(last.at_ms), day_text(last.build_s), escaped(&last.text))
}

/// How it is installed, or why it can't be.
fn can_be_installed(agent: &Agent) -> Vec<String> {
    match (&agent.eeprom.carried, &agent.eeprom.hindrance) {
        (_, Some(hindrance)) => vec![format!("it can't be installed now: {}", escaped(hindrance))],
        (Fact::Present(release), None) => vec![
            String::new(),
            WHAT_HAPPENS.to_owned(),
            format!("If you consent, run `lucid update eeprom --install {}`.", day_text(release.build_s)),
        ],
        (_, None) => Vec::new(),
    }
}

/// The day in UTC; nothing past the year 9999.
fn day(build_s: u64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(build_s).ok()?).ok()?;
    Some(time.date().to_string())
}

fn day_text(build_s: u64) -> String {
    day(build_s).unwrap_or_else(|| format!("{build_s} s since 1970"))
}
