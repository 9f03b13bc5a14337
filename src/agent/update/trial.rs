//! The gate: whether a release on trial is kept.
//!
//! ```text
//! agent's start ──▶ waiting ──(first report without a fault, box as before)──▶ soaking ──(fresh report at its end)──▶
//! kept
//!                      └── not fit in time ──▶ taken back ◀── any fault, silence, another box ──┘
//! ```
//!
//! Decides on time, on what the supervisor says of itself, and on what the agent sees of the box with its own eyes.
//! Promises: whatever fails once while it has to run through takes the release back at once, with the reason; a verdict
//! is final. Time comes in, so that each fault has its test. Must never do anything itself, nor believe a text of the
//! supervisor's to be short.

mod keep;

use std::time::Duration;

use lucid_agent_protocol::update::{Cause, Fault, GateReport, LOG_LINES_MAX, WHY_BYTES_MAX};

use super::progress::Circumstances;
pub(crate) use keep::{Trial, View};

/// From the agent's start, within this the release must be fit: a check of a large data disk and the chain after it.
/// Less for a short soak ([`fit_within`]): who asks for one does not want to wait ten minutes for the answer.
pub(crate) const FIT_WITHIN_MAX: Duration = Duration::from_secs(600);
/// What a box with a clean disk takes at most, on a slow card.
const FIT_WITHIN_MIN: Duration = Duration::from_secs(120);

/// Reports come every 2 s. A supervisor that misses ten of them hangs.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A shorter soak sees a report or two.
pub(crate) const SOAK_S_MIN: u64 = 5;
/// With [`FIT_WITHIN_MAX`] and a slow start before it, what `units/lucid-trial.timer` gives to the whole trial.
pub(crate) const SOAK_S_MAX: u64 = 3600;

/// Longest line of a service's log in bytes.
const LOG_LINE_BYTES_MAX: usize = 300;
/// Most faults of one report that are looked at.
const FAULTS_MAX: usize = 16;

/// Why a release is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// In the owner's words.
    pub(crate) why: String,
    pub(crate) log: Vec<String>,
}

/// What becomes of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has not been fit yet.
    Waiting,
    /// It is fit, and has to stay so.
    Soaking,
    /// It is kept.
    Commit,
    /// It is taken back.
    RollBack(Failure),
}

/// What the agent sees of the box; or why it can't look.
pub(crate) type Seen = Result<Circumstances, String>;

/// The gate of one trial. Times count from the agent's start.
#[derive(Debug)]
pub(crate) struct Gate {
    soak: Duration,
    before: Circumstances,
    /// The last report, and when it came.
    last: Option<(Duration, GateReport)>,
    /// What of the box was not as before at the last look.
    missing: Option<Failure>,
    fit: Option<Fit>,
    verdict: Option<Verdict>,
}

/// From when on, and who, has to run through.
#[derive(Debug, Clone)]
struct Fit {
    since: Duration,
    supervisor: String,
    restarts: u64,
}

impl Failure {
    fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into(), log: Vec::new() }
    }

    /// What the supervisor says is wrong with itself. It knows of its services, its network and its disk only.
    pub(crate) fn of(fault: &Fault) -> Self {
        let cause = match fault.cause {
            Cause::Restarted | Cause::Network | Cause::DataDisk => fault.cause,
            _ => Cause::Service,
        };
        let why = match &fault.service {
            Some(service) => format!("{service}: {}", fault.why),
            None => fault.why.clone(),
        };
        Self { cause, why, log: fault.log.clone() }.bounded()
    }

    /// A complaint, cut to what is kept.
    fn bounded_fault(fault: &Fault) -> Fault {
        let Self { cause, why, log } = Self::of(fault);
        Fault { cause, service: None, why, log }
    }

    /// Cut to what the protocol allows.
    pub(crate) fn bounded(mut self) -> Self {
        cut(&mut self.why, WHY_BYTES_MAX);
        self.log.drain(..self.log.len().saturating_sub(LOG_LINES_MAX));
        self.log.iter_mut().for_each(|line| cut(line, LOG_LINE_BYTES_MAX));
        self
    }
}

fn cut(text: &mut String, bytes_max: usize) {
    text.truncate(text.floor_char_boundary(bytes_max));
}

impl Gate {
    /// One that waits. `soak_s` is bounded.
    pub(crate) fn new(soak_s: u64, before: Circumstances) -> Self {
        let soak = Duration::from_secs(soak_s.clamp(SOAK_S_MIN, SOAK_S_MAX));
        Self { soak, before, last: None, missing: None, fit: None, verdict: None }
    }

    /// The supervisor reported.
    pub(crate) fn heard(&mut self, now: Duration, mut report: GateReport, seen: &Seen) -> Verdict {
        report.faults.truncate(FAULTS_MAX);
        self.judge(now, Some(&report), seen, |gate| gate.last = Some((now, report.clone())))
    }

    /// Time has passed.
    pub(crate) fn looked(&mut self, now: Duration, seen: &Seen) -> Verdict {
        self.judge(now, None, seen, |_| {})
    }

    /// For how long it has been fit, and has to be.
    pub(crate) fn fit_for(&self, now: Duration) -> Option<Duration> {
        self.fit.as_ref().map(|fit| now.saturating_sub(fit.since))
    }

    /// How long it has to be fit.
    pub(crate) const fn soak(&self) -> Duration {
        self.soak
    }

    /// What the last report complains of.
    pub(crate) fn faults(&self) -> &[Fault] {
        self.last.as_ref().map_or(&[], |(_, report)| &report.faults)
    }

    /// What is in the way of being fit, in the owner's words.
    pub(crate) fn waiting_for(&self) -> Vec<String> {
        let silent = self.last.is_none().then(|| "the services are starting".to_owned());
        let faults = self.faults().iter().map(|fault| Failure::of(fault).why);
        silent.into_iter().chain(faults).chain(self.missing.iter().map(|missing| missing.why.clone())).collect()
    }

    /// The last report counts for how long the silence has lasted until this one; so it is replaced afterwards.
    fn judge(
        &mut self,
        now: Duration,
        report: Option<&GateReport>,
        seen: &Seen,
        note: impl FnOnce(&mut Self),
    ) -> Verdict {
        if let Some(verdict) = &self.verdict {
            return verdict.clone();
        }
        self.missing = missing(&self.before, seen);
        let verdict = match self.fit.clone() {
            None => self.wait(now, report),
            Some(fit) => self.soaking(now, &fit, report),
        };
        note(self);
        if matches!(verdict, Verdict::Commit | Verdict::RollBack(_)) {
            self.verdict = Some(verdict.clone());
        }
        verdict
    }

    fn wait(&mut self, now: Duration, report: Option<&GateReport>) -> Verdict {
        match report {
            _ if now >= fit_within(self.soak) => Verdict::RollBack(self.never_fit(report)),
            Some(report) if report.faults.is_empty() && self.missing.is_none() => {
                let (supervisor, restarts) = (report.supervisor.clone(), report.restarts);
                self.fit = Some(Fit { since: now, supervisor, restarts });
                Verdict::Soaking
            }
            _ => Verdict::Waiting,
        }
    }

    fn never_fit(&self, report: Option<&GateReport>) -> Failure {
        let seconds = fit_within(self.soak).as_secs();
        let last = report.or(self.last.as_ref().map(|(_, report)| report));
        let failure = match (last.and_then(|last| last.faults.first()), &self.missing) {
            (Some(fault), _) => Failure::of(fault),
            (None, Some(missing)) => missing.clone(),
            (None, None) => Failure::new(Cause::NotReady, "the services did not come up"),
        };
        Failure { why: format!("not fit within {seconds} s: {}", failure.why), ..failure }.bounded()
    }

    fn soaking(&self, now: Duration, fit: &Fit, report: Option<&GateReport>) -> Verdict {
        if let Some(failure) = self.failure(now, fit, report) {
            return Verdict::RollBack(failure.bounded());
        }
        let is_over = now >= fit.since + self.soak;
        // At the end it is asked freshly: a report from before the end is not enough.
        if is_over && report.is_some() { Verdict::Commit } else { Verdict::Soaking }
    }

    fn failure(&self, now: Duration, fit: &Fit, report: Option<&GateReport>) -> Option<Failure> {
        let silence =
            self.last.as_ref().map(|(at, _)| now.saturating_sub(*at)).filter(|silence| *silence > SILENCE_MAX);
        let spoken = report.and_then(|report| complaint(fit, report));
        spoken.or_else(|| self.missing.clone()).or_else(|| {
            let why = format!("the services were silent for {} s: they hang", silence?.as_secs());
            Some(Failure::new(Cause::Watchdog, why))
        })
    }
}

/// The default soak of three minutes gives all of it.
fn fit_within(soak: Duration) -> Duration {
    (FIT_WITHIN_MIN + 3 * soak).min(FIT_WITHIN_MAX)
}

/// What a report says against the release.
fn complaint(fit: &Fit, report: &GateReport) -> Option<Failure> {
    if report.supervisor != fit.supervisor {
        let why = "the process of all services ended and was started again";
        return Some(Failure::new(Cause::Restarted, why));
    }
    let fault = report.faults.first().map(Failure::of);
    if report.restarts > fit.restarts {
        let which = fault.as_ref().map_or("a service", |fault| &fault.why);
        let why = format!("a service was started again while it had to run through: {which}");
        return Some(Failure { cause: Cause::Restarted, why, log: fault.map(|fault| fault.log).unwrap_or_default() });
    }
    fault
}

/// What the box had before, and has not now. What it has in addition is nobody's fault.
fn missing(before: &Circumstances, seen: &Seen) -> Option<Failure> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return Some(Failure::new(Cause::Network, format!("the box can't be looked at: {error}"))),
    };
    let lost = |before: &[String], now: &[String]| before.iter().find(|had| !now.contains(had)).cloned();
    if let Some(link) = lost(&before.links, &seen.links) {
        return Some(Failure::new(Cause::Network, format!("the network link {link} was up before, and is down")));
    }
    if let Some(link) = lost(&before.addressed, &seen.addressed) {
        let why = format!("the network link {link} had an address before, and has none");
        return Some(Failure::new(Cause::Network, why));
    }
    match &before.data_disk {
        Some(disk) if seen.data_disk.as_ref() != Some(disk) => {
            Some(Failure::new(Cause::DataDisk, format!("the data disk {disk} was mounted before, and is not")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
