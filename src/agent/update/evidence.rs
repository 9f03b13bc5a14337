//! What a trial left behind that ended without a word of ours: the kernel's last lines, and how far it had come.
//!
//! ```text
//! panic text in pstore ───────────────────────────────▶ Panic
//! lucid-init counted no such trial ───────────────────▶ NeverStarted
//! counted, the agent never began ─────────────────────▶ Agent, Watchdog if it was reset, else Interrupted
//! the agent began: the supervisor's last complaints ──▶ theirs, else NotReady, Watchdog or Interrupted
//! ```
//!
//! Promises: bounded reading, whatever lies in pstore's folder; a text that can be told to be another boot's is not
//! taken. Must never call something known that is guessed: where two things look the same, the words name both.

mod pstore;

use std::fs;
use std::path::{Path, PathBuf};

use lucid_agent_protocol::update::{Cause, Fault};
use lucid_layout::Slot;
use lucid_layout::boot::{Attempts, BOOT_FILE_BYTES_MAX, TrialBoot};

use super::trial::Failure;
pub(crate) use pstore::LastWords;

/// Where the kernel shows what it kept, and where systemd-pstore moves that: on `/state`.
pub(crate) const PSTORE: [&str; 2] = ["/sys/fs/pstore", "/var/lib/systemd/pstore"];

/// What there is to tell by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The kernel's last lines in the boots since the trial was asked for.
    pub(crate) words: LastWords,
    /// The last trial that `lucid-init` counted.
    pub(crate) trial: Option<TrialBoot>,
}

/// How far a trial came by what was kept of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reached<'a> {
    /// It was asked for.
    Armed,
    /// Its agent began; the supervisor's last complaints.
    Trying(&'a [Fault]),
}

/// Where it is gathered. By default nothing is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    /// Folders of pstore's files: [`PSTORE`].
    pub(crate) pstore: Vec<PathBuf>,
    /// Boots, counted.
    pub(crate) attempts: PathBuf,
    /// A file that was written when the trial was asked for, or when it began.
    pub(crate) asked: PathBuf,
}

impl Archive {
    /// That of this machine, with the count of boots and the folder of [`super::files`].
    pub(crate) fn new(attempts: &Path, update: &Path) -> Self {
        let pstore = PSTORE.map(PathBuf::from).to_vec();
        Self { pstore, attempts: attempts.to_owned(), asked: update.join(super::files::PROGRESS) }
    }

    /// What was left by a trial of `slot`, the last that was asked for. What can't be read is missing, and said in the
    /// journal; so is all of the kernel's, which could be anybody's, where nobody knows when the trial was asked for.
    pub(crate) fn gather(&self, slot: Slot) -> Evidence {
        let asked = fs::metadata(&self.asked).and_then(|about| about.modified());
        let words = match asked {
            Ok(asked) => pstore::last_words(&self.pstore, asked, slot),
            Err(error) => {
                tracing::warn!(%error, path = %self.asked.display(), "when a trial was asked for is not known");
                LastWords::default()
            }
        };
        Evidence { words, trial: counted(&self.attempts).and_then(|attempts| attempts.trial) }
    }
}

fn counted(path: &Path) -> Option<Attempts> {
    let bytes = lucid_file::read(path, BOOT_FILE_BYTES_MAX);
    let read = bytes
        .and_then(|bytes| bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(std::io::Error::other)).transpose());
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "the count of boots can't be read");
        None
    })
}

impl Evidence {
    /// Why the trial of `version` ended, which was asked for in the boot `armed_in`.
    pub(crate) fn failure(&self, version: &str, armed_in: &str, reached: Reached<'_>) -> Failure {
        let (cause, why) = self.told(version, armed_in, reached);
        let log = match (reached, self.words.panic.is_some()) {
            // The service's own lines say more than the kernel's.
            (Reached::Trying([fault, ..]), false) => fault.log.clone(),
            _ => self.words.lines(),
        };
        Failure { cause, why, log }.bounded()
    }

    /// Whether the stage before systemd counted the trial that was asked for in the boot `armed_in`.
    pub(crate) fn was_counted(&self, armed_in: &str) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.after.as_deref() == Some(armed_in))
    }

    fn told(&self, version: &str, armed_in: &str, reached: Reached<'_>) -> (Cause, String) {
        if let Some(panic) = &self.words.panic {
            return (Cause::Panic, format!("the kernel of version {version} stopped: {}", panic.message));
        }
        match reached {
            Reached::Armed if !self.was_counted(armed_in) => (
                Cause::NeverStarted,
                format!(
                    "nothing was heard of version {version}: it was not loaded, or stood still before its first \
                     program and was reset, or the power was cut. Install it once more if the power was cut"
                ),
            ),
            Reached::Armed => self.no_agent(version),
            Reached::Trying([fault, ..]) => {
                let Failure { cause, why, .. } = Failure::of(fault);
                match self.words.restarted_in_order() {
                    Some(_) => (cause, format!("version {version} did not become ready in time: {why}")),
                    // What it was still waiting for is nobody's fault where the power failed.
                    None => {
                        let (cause, cut) = self.no_word(version);
                        (cause, format!("{cut}. It was not ready yet: {why}"))
                    }
                }
            }
            Reached::Trying([]) => self.no_word(version),
        }
    }

    fn no_agent(&self, version: &str) -> (Cause, String) {
        match self.words.restarted_in_order() {
            Some(false) => (
                Cause::Watchdog,
                format!("version {version} stood still while it started, and the watchdog reset the box"),
            ),
            Some(true) => (
                Cause::Agent,
                format!("version {version} started, but its agent, without which it can't be updated, did not"),
            ),
            None => (
                Cause::Interrupted,
                format!(
                    "the power was cut while version {version} started, or its agent did not start and nothing is left \
                     to say so: install it again"
                ),
            ),
        }
    }

    fn no_word(&self, version: &str) -> (Cause, String) {
        match self.words.restarted_in_order() {
            Some(true) => (
                Cause::NotReady,
                format!("version {version} started, and did not become ready in time: its services never reported"),
            ),
            Some(false) => (
                Cause::Watchdog,
                format!("version {version} stood still while it was tried, and the watchdog reset the box"),
            ),
            None => (
                Cause::Interrupted,
                format!(
                    "the power was cut while version {version} was tried, or the box was reset and nothing is left \
                     to say why: install it again"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
