//! What is said of updates, in plain words. Pure.
//!
//! Must never say that an update succeeded unless the agent calls it committed.

use lucid_agent_protocol::update::{Attempt, Cause, Outcome, Phase, UpdateReport};
use lucid_layout::Slot;

use super::super::{format, layout::Tone};

/// What the owner should know before anything else.
pub(super) struct Headline {
    pub(super) tone: Tone,
    pub(super) title: String,
    pub(super) text: String,
}

/// A slot as the owner reads it.
pub(super) fn slot(slot: Slot) -> char {
    slot.letter().to_ascii_uppercase()
}

/// The version in a slot; nothing where its boot partition does not say it.
pub(super) fn version_in(report: &UpdateReport, slot: Slot) -> Option<&str> {
    let found = report.slots.iter().find(|found| found.slot == slot)?;
    found.release.present().map(|release| release.version.as_str())
}

/// The version that runs, as a clause: `1.2 runs`.
fn runs(report: &UpdateReport) -> String {
    match report.running.and_then(|running| version_in(report, running)) {
        Some(version) => format!("{version} runs"),
        None => "which version runs is not known".to_owned(),
    }
}

/// What must not be overlooked: a trial that goes on, or a last attempt that failed.
pub(super) fn headline(report: &UpdateReport) -> Option<Headline> {
    match &report.phase {
        Phase::Armed { incoming } => {
            let what = incoming.as_ref().map_or("the other slot", |incoming| incoming.version.as_str());
            let text = format!("This page answers again in a minute or two. Until then, {}.", runs(report));
            return Some(Headline { tone: Tone::Busy, title: format!("Restarting into {what}, on trial"), text });
        }
        Phase::Trying { soak_s, .. } => {
            let text = format!(
                "It is not installed yet: it is kept once all critical services have been healthy for {soak_s} s \
                 without a break. If anything is wrong, the former release runs again by itself."
            );
            return Some(Headline { tone: Tone::Busy, title: "A release is on trial".to_owned(), text });
        }
        Phase::Idle {} | Phase::Writing { .. } | Phase::Checking { .. } | Phase::Written { .. } => {}
    }
    let last = report.history.iter().find(|attempt| !matches!(attempt.outcome, Outcome::Discarded { .. }))?;
    failed(report, last)
}

fn failed(report: &UpdateReport, attempt: &Attempt) -> Option<Headline> {
    let version = &attempt.version;
    match &attempt.outcome {
        Outcome::RolledBack { why, .. } => Some(Headline {
            tone: Tone::Bad,
            title: format!("Version {version} was tried and taken back"),
            text: format!("{} Now {}.", format::sentence(why), runs(report)),
        }),
        Outcome::LeftAfterFailedBoots { failed_boots } => Some(Headline {
            tone: Tone::Bad,
            title: format!("Version {version} was left"),
            text: format!(
                "It did not become ready in {failed_boots} starts, so the appliance went to the other slot by itself. \
                 Now {}.",
                runs(report)
            ),
        }),
        Outcome::Repaired { why } => Some(Headline {
            tone: Tone::Warn,
            title: "The choice of the slot was put right".to_owned(),
            text: format!("{} Now {}.", format::sentence(why), runs(report)),
        }),
        Outcome::Committed {} | Outcome::Returned {} | Outcome::Discarded { .. } => None,
    }
}

/// Which slot runs, and why.
pub(super) fn why_this_one(report: &UpdateReport) -> String {
    let Some(running) = report.running else {
        return "This machine has no slots: its system is not of an image of Lucid, and is not updated from here."
            .to_owned();
    };
    let (here, other) = (slot(running), slot(running.other()));
    if let Some(remark) = &report.remark {
        return format!("Slot {here} runs. {}", format::sentence(remark));
    }
    match (report.trial, report.committed.present()) {
        (true, _) => format!("Slot {here} runs on trial. If anything is wrong, slot {other} runs again by itself."),
        (false, Some(committed)) if *committed == running => {
            format!("Slot {here} runs, because it is the one that is kept.")
        }
        (false, Some(_)) => format!("Slot {here} runs, although slot {other} is the one that is kept."),
        (false, None) => format!("Slot {here} runs. Which one is kept is not known."),
    }
}

/// How an attempt ended, as one sentence or two.
pub(super) fn ended(attempt: &Attempt) -> String {
    let (version, slot) = (&attempt.version, slot(attempt.slot));
    match &attempt.outcome {
        Outcome::Committed {} => format!("Version {version} was installed in slot {slot}, and is kept."),
        Outcome::RolledBack { cause, why, .. } => {
            format!(
                "Version {version} was tried and taken back, because {}. {}",
                because(*cause),
                format::sentence(why)
            )
        }
        Outcome::LeftAfterFailedBoots { failed_boots } => {
            format!("Version {version} in slot {slot} was left: {failed_boots} starts of it did not become ready.")
        }
        Outcome::Returned {} => format!("The appliance went back to version {version} in slot {slot}, as ordered."),
        Outcome::Repaired { why } => format!("The choice of the slot was put right. {}", format::sentence(why)),
        Outcome::Discarded { why } => {
            format!("Version {version} was given up before it was tried. {}", format::sentence(why))
        }
    }
}

/// A kind of reason, after “because”.
fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Panic => "its kernel crashed",
        Cause::NeverStarted => "nothing of it was heard",
        Cause::Watchdog => "it hung",
        Cause::NotReady => "it did not become ready in time",
        Cause::Service => "a service was not healthy",
        Cause::Restarted => "something had to be started again during its trial",
        Cause::Network => "the network was not as before",
        Cause::DataDisk => "the data disk was not as before",
        Cause::Agent => "its agent did not run",
        Cause::Interrupted => "its trial was interrupted",
    }
}

/// The steps of an update, in order, and which one is under way.
pub(super) const STEPS: [&str; 5] = ["Send", "Check", "Install", "Restart", "Trial"];

/// The step under way, counted from 0; nothing while there is none.
pub(super) fn step(phase: &Phase) -> Option<usize> {
    match phase {
        Phase::Idle {} => None,
        Phase::Writing { .. } => Some(0),
        Phase::Checking { .. } => Some(1),
        Phase::Written { .. } => Some(2),
        Phase::Armed { .. } => Some(3),
        Phase::Trying { .. } => Some(4),
    }
}
