//! Updates: the slots, what is being done with them, and what became of it.
//!
//! Owns the idle slot, autoboot.txt, and the files below [`lucid_layout::paths::AGENT_UPDATE`]. The supervisor relays a
//! bundle's bytes and says how it is; everything else is decided here, from signatures and from what the disk says.
//!
//! ```text
//! idle ─▶ writing ─▶ written ─▶ armed ─▶ trying ─▶ committing ─▶ idle
//!          └───────────┴──────────┴────────┴─▶ idle: discarded, or rolled back
//! ```
//!
//! Promises: a state is on the disk before anything is done in it; no byte reaches a disk that no trusted key has
//! signed; the slot that runs is never opened for writing; one thing is done at a time, and who comes second is told
//! so. Must never let a request choose a partition, a path or a key.

mod autoboot;
mod channel;
mod eeprom;
mod evidence;
mod files;
mod mailbox;
mod preflight;
mod progress;
mod receive;
mod reconcile;
mod report;
mod slots;
mod surroundings;
mod trial;
mod write;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucid_agent_protocol::update::{Attempt, GateReport, Outcome, WHY_BYTES_MAX};
use lucid_agent_protocol::{Refusal, RefusalCode, Reply};
use lucid_bundle::Trust;
use lucid_device::Reading;
use lucid_error::chain;
use lucid_layout::update::{SlotBook, Standing};
use lucid_layout::{EepromRelease, Release, Slot};

use crate::Config;
use crate::boot;
use crate::machine::Machine;
use evidence::Archive;
use files::{FileSystem, Files, FilesError, Places};
use mailbox::{Mailbox, MailboxError, Tryboot};
use progress::{Candidate, History, Progress, Purpose};
pub(crate) use receive::Wish;
use slots::{BootDisk, Slots};
use surroundings::{Surroundings, ThisMachine};
use trial::{SOAK_S_MAX, SOAK_S_MIN, Trial};

/// A restart on trial has stopped this process by then, or does not come: services get 40 s to stop.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// All that is known and done about updates.
pub(crate) struct Updates {
    files: Files,
    /// None on a machine without slots.
    slots: Option<Slots>,
    booted: Booted,
    machine: Arc<dyn Machine>,
    tryboot: Box<dyn Tryboot>,
    surroundings: Box<dyn Surroundings>,
    archive: Archive,
    state: Mutex<State>,
    /// Locked before `state`, never after it.
    trial: Mutex<Trial>,
    /// Something is being done; see [`Work`].
    busy: AtomicBool,
    /// Held while what is trusted changes.
    trusting: Mutex<()>,
}

/// What the parts are that updates work on.
pub(crate) struct Parts {
    pub(crate) files: Files,
    pub(crate) slots: Option<Slots>,
    pub(crate) booted: Booted,
    pub(crate) machine: Arc<dyn Machine>,
    pub(crate) tryboot: Box<dyn Tryboot>,
    pub(crate) surroundings: Box<dyn Surroundings>,
    pub(crate) archive: Archive,
}

/// How this boot began.
#[derive(Debug, Clone)]
pub(crate) struct Booted {
    /// The slot that the command line names; none on a machine without slots.
    pub(crate) slot: Option<Slot>,
    /// The firmware started it once, on trial.
    pub(crate) trial: bool,
    /// The kernel's id of this boot.
    pub(crate) id: String,
    /// The settings of the board's EEPROM, where the kernel shows them.
    pub(crate) eeprom_settings: Option<String>,
}

/// What changes. What is also on `/state` is there first.
struct State {
    progress: Progress,
    history: History,
    trust: Trust,
    trust_problem: Option<String>,
    /// Why the slot that runs is not what was committed, or what else the owner should know.
    remark: Option<String>,
    /// What is being done just now, finer than `progress`.
    live: Option<Live>,
    /// What the boot partitions said, until something is written.
    releases: [Option<Reading<Release>>; 2],
    /// What the running slot carries for the EEPROM, once it was asked.
    eeprom: Option<Reading<EepromRelease>>,
    /// When the box was last asked to restart on trial.
    armed_at: Option<Instant>,
}

/// What is being done just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Live {
    /// The bundle's bytes come in; so many are written.
    Receiving { offset: u64 },
    /// What was written is read back.
    Checking { checked_bytes: u64, of_bytes: u64 },
}

/// The one who changes something; the next one may when this is dropped.
struct Work<'updates>(&'updates AtomicBool);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Updates {
    /// Those of this machine.
    pub(crate) fn of_this_machine(config: &Config, machine: Arc<dyn Machine>) -> Self {
        let report = boot::report(&config.boot_report);
        let report = report.present();
        let disk = report.and_then(|report| report.slot.and(report.boot_disk.as_deref()));
        let disk = disk.map(|name| BootDisk::new(&config.sys, &config.managed, name, &config.root));
        let places = Places {
            folder: config.update.clone(),
            book: config.slot_book.clone(),
            fallback: config.fallback.clone(),
            update_root: config.update_root.clone(),
        };
        Self::new(Parts {
            files: Files::new(Box::new(FileSystem), places),
            slots: disk.map(|disk| Slots::new(Box::new(disk))),
            booted: Booted {
                slot: report.and_then(|report| report.slot),
                trial: report.is_some_and(|report| report.trial),
                id: boot::id(),
                eeprom_settings: report.and_then(|report| report.eeprom_settings.clone()),
            },
            machine,
            tryboot: Box::new(Mailbox::new()),
            surroundings: Box::new(ThisMachine::new(&config.mount_point)),
            archive: Archive::new(&config.attempts, &config.update),
        })
    }

    /// Those of `parts`, as they were left.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { files, slots, booted, machine, tryboot, surroundings, archive } = parts;
        let mut remarks = Vec::new();
        let progress = files.progress().unwrap_or_else(|error| lost(&mut remarks, &error));
        let history = files.history().unwrap_or_else(|error| lost(&mut remarks, &error));
        let (trust, trust_problem) = load_trust(&files);
        let state = State {
            progress,
            history,
            trust,
            trust_problem,
            remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
            live: None,
            releases: [None, None],
            eeprom: None,
            armed_at: None,
        };
        let (state, busy) = (Mutex::new(state), AtomicBool::new(false));
        let (trusting, trial) = (Mutex::default(), Mutex::default());
        Self { files, slots, booted, machine, tryboot, surroundings, archive, state, trial, busy, trusting }
    }

    /// Restarts into the release that is written, on trial.
    pub(crate) fn install(&self, soak_s: u64) -> Result<(), Refusal> {
        let _work = self.work()?;
        let Progress::Written { what } = self.progress() else {
            return Err(wrong_state("no release is written and waits: send a bundle first"));
        };
        self.ready_for_change()?;
        self.arm(what, Purpose::Update, soak_s)
    }

    /// Gives up a release that is being written or is written.
    pub(crate) fn discard(&self) -> Result<(), Refusal> {
        let _work = self.work()?;
        match self.progress() {
            Progress::Writing { .. } | Progress::Written { .. } => self.give_up("the owner gave it up").map_err(failed),
            _ => Err(wrong_state("nothing is being written or waits: there is nothing to give up")),
        }
    }

    /// Restarts into the other slot, on trial.
    pub(crate) fn return_to_other(&self, soak_s: u64) -> Result<(), Refusal> {
        let _work = self.work()?;
        self.ready_for_change()?;
        let what = self.other_slot()?;
        let (floor, slot) = (self.epoch_floor()?, what.slot.letter());
        if what.epoch < floor {
            let why =
                format!("slot {slot} is of epoch {}, and below {floor} nothing is installed any more", what.epoch);
            return Err(Refusal::new(RefusalCode::Unsuitable, why + "; install a newer release"));
        }
        self.arm(what, Purpose::Return, soak_s)
    }

    /// Restarts into the other slot and at once back.
    pub(crate) fn selftest(&self) -> Result<(), Refusal> {
        let _work = self.work()?;
        self.ready_for_change()?;
        let what = self.other_slot()?;
        self.arm(what, Purpose::Selftest, SOAK_S_MIN)
    }

    /// What becomes of this boot, by what the supervisor says of itself.
    pub(crate) fn gate(&self, report: &GateReport) -> Reply {
        Reply::Gate { answer: self.heard(report) }
    }

    /// The release in the other slot, if it may be booted by itself.
    fn other_slot(&self) -> Result<Candidate, Refusal> {
        if self.progress() != Progress::Idle {
            return Err(wrong_state(
                "an update is under way in the other slot: give it up first, then nothing is there",
            ));
        }
        let slots = self.slots()?;
        let slot = slots.running().map_err(failed)?.other();
        if !self.book()?.may_take_over(slot) {
            let why = format!("slot {} holds no release that is known to work with this box's data", slot.letter());
            return Err(Refusal::new(RefusalCode::Unsuitable, why + ": install one"));
        }
        match self.release(slot) {
            Reading::Present(Release { version, build_id, epoch, data, .. }) => {
                Ok(Candidate { slot, version, build_id, incoming: None, epoch, data })
            }
            Reading::Absent { reason } | Reading::Failed { reason } => Err(failed(reason)),
        }
    }

    /// Restarts into `what` on trial.
    fn arm(&self, what: Candidate, purpose: Purpose, soak_s: u64) -> Result<(), Refusal> {
        let before = self.surroundings.circumstances();
        let before =
            before.map_err(|error| failed(format!("how the box is connected is not known ({error}): try again")))?;
        if !matches!(purpose, Purpose::Eeprom { .. }) {
            self.disarm_eeprom();
        }
        let (armed_in, soak_s) = (self.booted.id.clone(), soak_s.clamp(SOAK_S_MIN, SOAK_S_MAX));
        let former = self.progress();
        tracing::warn!(version = what.version, slot = %what.slot.letter(), ?purpose, "the box restarts on trial");
        self.keep(Progress::Armed { what, purpose, armed_in, soak_s, before }).map_err(failed)?;
        self.state().armed_at = Some(Instant::now());
        let asked = self.tryboot.set(true).map_err(failed);
        let asked = asked.and_then(|()| self.machine.try_boot().map_err(failed));
        if asked.is_err() {
            self.disarm(former);
        }
        asked
    }

    /// The box restarts on trial: another restart now would be taken for the end of the trial.
    pub(crate) fn is_restarting(&self) -> bool {
        self.state().armed_at.is_some_and(|at| at.elapsed() < RESTART_MAX)
    }

    /// Takes back what [`Updates::arm`] did.
    fn disarm(&self, former: Progress) {
        self.state().armed_at = None;
        if let Err(error) = self.tryboot.set(false) {
            tracing::error!(%error, "the flag for a trial boot may still be set");
        }
        if let Err(error) = self.keep(former) {
            tracing::error!(%error, "the box does not restart, although it is kept that it should");
        }
    }

    /// Ends what is being written or is written, for good.
    fn give_up(&self, why: &str) -> Result<(), FilesError> {
        let given_up = match self.progress() {
            Progress::Writing { incoming, .. } => Some((incoming.version, incoming.build_id, incoming.slot)),
            Progress::Written { what } => Some((what.version, what.build_id, what.slot)),
            _ => None,
        };
        self.keep(Progress::Idle)?;
        self.files.remove_header()?;
        let Some((version, build_id, slot)) = given_up else { return Ok(()) };
        tracing::warn!(version, why, "an update was given up");
        let outcome = Outcome::Discarded { why: cut(why) };
        self.record(|history, at_ms| history.add(Attempt { at_ms, version, build_id: Some(build_id), slot, outcome }))
    }

    /// What is being done.
    fn progress(&self) -> Progress {
        self.state().progress.clone()
    }

    /// What became of updates before.
    fn history(&self) -> History {
        self.state().history.clone()
    }

    /// Keeps what is being done, first on the disk.
    fn keep(&self, progress: Progress) -> Result<(), FilesError> {
        self.files.save_progress(&progress)?;
        let mut state = self.state();
        state.progress = progress;
        state.releases = [None, None];
        Ok(())
    }

    /// Changes the history, first on the disk. The change is told the time.
    fn record(&self, change: impl FnOnce(&mut History, u64)) -> Result<(), FilesError> {
        let mut history = self.state().history.clone();
        change(&mut history, self.surroundings.now_ms());
        self.files.save_history(&history)?;
        self.state().history = history;
        Ok(())
    }

    /// What the slots are worth.
    fn book(&self) -> Result<SlotBook, Refusal> {
        let book = self.files.book().map_err(failed)?;
        book.ok_or_else(|| wrong_state("what the slots are worth is not known yet: restart the box"))
    }

    /// Writes down that a slot must not be booted by itself.
    fn unfit(&self, slot: Slot, reason: &str) -> Result<(), Refusal> {
        let mut book = self.book()?;
        *book.standing_mut(slot) = Standing::Unfit { reason: cut(reason) };
        self.files.save_book(&book).map_err(failed)
    }

    /// The slots, on a machine that has them.
    fn slots(&self) -> Result<&Slots, Refusal> {
        self.slots.as_ref().ok_or_else(|| {
            wrong_state(
                "this machine has no slots: it was not booted from an image of the appliance, so it takes no updates",
            )
        })
    }

    /// What a slot's boot partition says of itself.
    fn release(&self, slot: Slot) -> Reading<Release> {
        let place = usize::from(slot == Slot::B);
        if let Some(known) = &self.state().releases[place] {
            return known.clone();
        }
        let Some(slots) = &self.slots else { return Reading::absent("this machine has no slots") };
        let release = slots.release(slot);
        self.state().releases[place] = Some(release.clone());
        release
    }

    /// Epochs below are not installed.
    fn epoch_floor(&self) -> Result<u64, Refusal> {
        let running = self.slots()?.running().map_err(failed)?;
        match self.release(running) {
            Reading::Present(release) => Ok(self.state().history.epoch_floor.max(release.epoch)),
            Reading::Absent { reason } | Reading::Failed { reason } => {
                Err(failed(format!("which release runs can't be read ({reason}): restart the box, or flash it again")))
            }
        }
    }

    /// Whom to trust, kept at once if it changed: also a refused bundle may carry a revocation.
    fn with_trust<T>(&self, ask: impl FnOnce(&mut Trust) -> T) -> Result<T, Refusal> {
        // From the former to what is kept, one at a time: who comes second must not undo a revocation.
        let _turn = self.trusting.lock().unwrap_or_else(PoisonError::into_inner);
        let former = self.state().trust.clone();
        let mut trust = former.clone();
        let answer = ask(&mut trust);
        if trust != former {
            self.files.save_trust(&trust.to_bytes()).map_err(failed)?;
            self.state().trust = trust;
        }
        Ok(answer)
    }

    /// The right to change something, if nobody has it.
    fn work(&self) -> Result<Work<'_>, Refusal> {
        match self.busy.swap(true, Ordering::Acquire) {
            false => Ok(Work(&self.busy)),
            true => Err(Refusal::new(RefusalCode::Busy, "another update is being worked on: wait until it is done")),
        }
    }

    /// What this boot is.
    fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has changed one field or none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can't be read is begun anew, and said.
fn lost<T: Default>(remarks: &mut Vec<String>, error: &FilesError) -> T {
    tracing::error!(%error, "what was kept of updates is lost");
    remarks.push(error.to_string());
    T::default()
}

/// Whom the image and what came since let trust.
fn load_trust(files: &Files) -> (Trust, Option<String>) {
    let mut problems = Vec::new();
    let mut read = |read: Result<Option<Vec<u8>>, FilesError>| {
        read.unwrap_or_else(|error| {
            problems.push(error.to_string());
            None
        })
    };
    let (root, kept) = (read(files.update_root()).unwrap_or_default(), read(files.trust()));
    let (trust, problem) = Trust::load(&root, kept.as_deref());
    problems.extend(problem.map(|problem| chain(&problem)));
    for problem in &problems {
        tracing::error!(problem, "whom to trust for updates");
    }
    (trust, (!problems.is_empty()).then(|| problems.join("; ")))
}

/// At most [`WHY_BYTES_MAX`] of a text.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(WHY_BYTES_MAX)].to_owned()
}

fn wrong_state(message: &str) -> Refusal {
    Refusal::new(RefusalCode::WrongState, message)
}

/// It was tried, and failed.
fn failed(error: impl ToString) -> Refusal {
    Refusal::new(RefusalCode::Failed, cut(&error.to_string()))
}

impl From<MailboxError> for Refusal {
    fn from(error: MailboxError) -> Self {
        failed(error)
    }
}

#[cfg(test)]
mod tests;
