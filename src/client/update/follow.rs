//! Staying with an update until it is known what became of it, over the restarts of the appliance.

use std::time::{Duration, Instant};

use super::show::phase_line;
use super::status::{Attempt, Outcome, Phase, UpdateStatus};
use super::update_status;
use crate::api::escaped;
use crate::connection::Client;
use crate::console::Console;
use crate::error::ClientError;

/// How long to stay.
#[derive(Clone, Debug)]
pub struct FollowLimits {
    /// Between two questions.
    pub poll: Duration,
    /// Without any answer for this long the appliance is taken for lost. Longer than two boots of which the first one
    /// is ended by its deadline (20 min) and the second one comes up.
    pub silence_max: Duration,
    /// After the restart was begun. Longer than the deadline to become fit (10 min), the longest soak time (60 min) and
    /// both boots together.
    pub outcome_max: Duration,
    /// The appliance answers, is at nothing, and has nothing to tell of it: a moment between two of its steps.
    pub settle_max: Duration,
}

impl Default for FollowLimits {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            silence_max: Duration::from_secs(30 * 60),
            outcome_max: Duration::from_secs(120 * 60),
            settle_max: Duration::from_secs(120),
        }
    }
}

/// What became of it. Texts are the appliance's, safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The release runs, and is kept.
    Kept {
        /// Its version.
        version: String,
    },
    /// It went back to the other slot, and stays there.
    Returned {
        /// The version that runs.
        version: String,
    },
    /// It was tried, and the former release runs again.
    RolledBack {
        /// The version that was tried.
        version: String,
        /// Why it was taken back.
        why: String,
        /// The last lines that were said.
        log: Vec<String>,
    },
    /// It was given up before it was tried.
    Discarded {
        /// The version.
        version: String,
        /// Why.
        why: String,
    },
    /// The self-test is over.
    Selftest {
        /// Whether a trial boot works.
        passed: bool,
        /// What was seen.
        text: String,
    },
    /// The attempt to install an EEPROM is over.
    Eeprom {
        /// Whether the board has it.
        done: bool,
        /// What was seen, and what to do.
        text: String,
    },
    /// Nobody can say here.
    Unknown {
        /// Why not, and what to do.
        why: String,
    },
}

/// Asks until it is known what became of an order that was given after `before`, and tells the steps on the way.
///
/// # Errors
/// The appliance refuses to tell. That it does not answer is none: it restarts.
pub async fn follow(
    client: &Client,
    console: &dyn Console,
    before: &UpdateStatus,
    limits: &FollowLimits,
) -> Result<Ending, ClientError> {
    let mut stay = Stay::new(before, limits);
    loop {
        match update_status(client).await {
            Ok(status) => {
                if let Some(ending) = stay.heard(&status, console) {
                    return Ok(ending);
                }
            }
            Err(error) if error.is_transient() => stay.silent(console),
            Err(error) => return Err(error),
        }
        if let Some(why) = stay.too_long() {
            return Ok(Ending::Unknown { why });
        }
        tokio::time::sleep(limits.poll).await;
    }
}

/// What was seen so far.
struct Stay<'a> {
    before: &'a UpdateStatus,
    limits: &'a FollowLimits,
    said: String,
    heard: Instant,
    /// Since when the restart is under way.
    begun: Option<Instant>,
    /// Since when the appliance is at nothing.
    idle: Option<Instant>,
}

impl<'a> Stay<'a> {
    fn new(before: &'a UpdateStatus, limits: &'a FollowLimits) -> Self {
        Self { before, limits, said: String::new(), heard: Instant::now(), begun: None, idle: None }
    }

    /// Takes in an answer; gives the ending where it tells one.
    fn heard(&mut self, status: &UpdateStatus, console: &dyn Console) -> Option<Ending> {
        self.heard = Instant::now();
        if let Some(ending) = ending(self.before, status) {
            return Some(ending);
        }
        self.say(phase_line(status), console);
        let phase = status.agent.as_ref().map_or(&Phase::Unknown, |agent| &agent.phase);
        let is_begun = matches!(phase, Phase::Armed { .. } | Phase::Trying { .. });
        let waits = is_begun || status.waiting.is_some();
        if is_begun {
            self.begun.get_or_insert_with(Instant::now);
        }
        self.idle = if waits { None } else { Some(self.idle.unwrap_or_else(Instant::now)) };
        None
    }

    fn silent(&mut self, console: &dyn Console) {
        self.idle = None;
        self.begun.get_or_insert_with(Instant::now);
        self.say("the appliance does not answer: it restarts".to_owned(), console);
    }

    /// Each line once, in a row.
    fn say(&mut self, line: String, console: &dyn Console) {
        if line != self.said {
            console.line(&line);
            self.said = line;
        }
    }

    fn too_long(&self) -> Option<String> {
        let over = |since: Option<Instant>, limit: Duration| since.is_some_and(|since| since.elapsed() >= limit);
        let minutes = |limit: Duration| limit.as_secs().div_ceil(60);
        let look = "look at its dashboard, or run `lucid update status` later";
        if self.heard.elapsed() >= self.limits.silence_max {
            let waited = minutes(self.limits.silence_max);
            return Some(format!("the appliance has not answered for {waited} min: {look}"));
        }
        if over(self.begun, self.limits.outcome_max) {
            let waited = minutes(self.limits.outcome_max);
            return Some(format!("it was begun {waited} min ago and has not ended: {look}"));
        }
        if over(self.idle, self.limits.settle_max) {
            return Some(format!("the appliance answers, and tells nothing of it: {look}"));
        }
        None
    }
}

/// What `now` tells that `before` did not.
fn ending(before: &UpdateStatus, now: &UpdateStatus) -> Option<Ending> {
    let agent = now.agent.as_ref()?;
    let former = before.agent.as_ref();
    if agent.selftest.is_some() && agent.selftest != former.and_then(|former| former.selftest.clone()) {
        let selftest = agent.selftest.as_ref()?;
        return Some(Ending::Selftest { passed: selftest.passed, text: escaped(&selftest.text) });
    }
    if let Some(last) = &agent.eeprom.last
        && former.and_then(|former| former.eeprom.last.as_ref()) != Some(last)
    {
        return Some(Ending::Eeprom { done: last.done, text: escaped(&last.text) });
    }
    let last = former.and_then(|former| former.history.first());
    // The oldest of what is new: what comes after it is about something else.
    let news = agent.history.iter().take_while(|attempt| Some(*attempt) != last);
    news.filter_map(outcome).last()
}

/// An attempt as the ending of an order; nothing for a repair, which nobody ordered.
fn outcome(attempt: &Attempt) -> Option<Ending> {
    let version = escaped(&attempt.version);
    Some(match &attempt.outcome {
        Outcome::Committed {} => Ending::Kept { version },
        Outcome::Returned {} => Ending::Returned { version },
        Outcome::RolledBack { why, log, .. } => {
            Ending::RolledBack { version, why: escaped(why), log: log.iter().map(|line| escaped(line)).collect() }
        }
        Outcome::LeftAfterFailedBoots { failed_boots } => {
            let why = format!("it did not become ready in {failed_boots} boots");
            Ending::RolledBack { version, why, log: Vec::new() }
        }
        Outcome::Discarded { why } => Ending::Discarded { version, why: escaped(why) },
        Outcome::Repaired { .. } => return None,
        Outcome::Unknown => {
            let why = "it ended in a way that this program does not know: use the newer `lucid`".to_owned();
            Ending::Unknown { why }
        }
    })
}
