//! A plan in the making: how everything should be, and from it the steps in an order in which each may be the last.

use lucid_agent_protocol::update::{Attempt, Cause, Outcome};
use lucid_layout::update::{SlotBook, Standing};
use lucid_layout::{Digest, Slot};

use super::Plan;
use crate::update::progress::{Candidate, History, Progress, Purpose};
use crate::update::trial::Failure;

/// One step. It is done, and on the disk, before the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Keep how far an update has come.
    Progress(Progress),
    /// Commit a slot: write autoboot.txt's sector.
    Autoboot(Slot),
    /// Put autoboot.txt right. If that fails, all else is kept nevertheless.
    Repair(Slot),
    /// Keep what the slots are worth.
    Book(SlotBook),
    /// Keep what became of updates.
    History(History),
    /// Forget the slot that was left after failed boots.
    ForgetFallback,
    /// Forget the header of the bundle.
    ForgetHeader,
    /// Take away what bounds a trial.
    EndTrial,
    /// Restart the box.
    Restart(Restart),
}

/// How the box is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// Into the committed slot.
    Plain,
    /// Into the other one, once.
    OnTrial,
}

/// How everything should be.
#[derive(Debug)]
pub(crate) struct Draft {
    former: (Option<SlotBook>, History, Progress),
    pub(super) book: Option<SlotBook>,
    pub(super) history: History,
    pub(super) progress: Progress,
    /// To be written to autoboot.txt.
    pub(super) autoboot: Option<Slot>,
    /// The commit is under way before its first step.
    committing: Option<Progress>,
    /// What is written to autoboot.txt is a commit, and no repair.
    is_commit: bool,
    pub(super) forget_header: bool,
    forget_fallback: bool,
    pub(super) end_trial: bool,
    pub(super) gate: bool,
    pub(crate) restart: Option<Restart>,
    remarks: Vec<String>,
}

impl Draft {
    /// Everything as it is.
    pub(crate) fn new(book: Option<SlotBook>, history: History, progress: Progress) -> Self {
        Self {
            former: (book.clone(), history.clone(), progress.clone()),
            book,
            history,
            progress,
            autoboot: None,
            committing: None,
            is_commit: false,
            forget_header: false,
            forget_fallback: false,
            end_trial: false,
            gate: false,
            restart: None,
            remarks: Vec::new(),
        }
    }

    /// For the owner.
    pub(super) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The slot was fit: it is what boots from now on.
    pub(crate) fn commit(&mut self, what: &Candidate, purpose: Purpose, now_ms: u64) {
        let Candidate { slot, version, build_id, data, epoch, .. } = what.clone();
        let blank = || SlotBook { committed: slot, a: Standing::Unknown, b: Standing::Unknown, data_generation: 0 };
        let book = self.book.get_or_insert_with(blank);
        book.committed = slot;
        book.data_generation = book.data_generation.max(data.generation);
        *book.standing_mut(slot) = Standing::Good { version: version.clone(), build_id, data };
        let outcome = match purpose {
            Purpose::Return => Outcome::Returned {},
            Purpose::Update | Purpose::Selftest | Purpose::Eeprom { .. } => Outcome::Committed {},
        };
        self.history.epoch_floor = self.history.epoch_floor.max(epoch);
        self.history.quarantine.retain(|known| known.build_id != build_id);
        // A cut after this was kept lets it be done once more.
        let is_same = |last: &Attempt| (last.slot, last.build_id, &last.outcome) == (slot, Some(build_id), &outcome);
        if !self.history.attempts.first().is_some_and(is_same) {
            self.history.add(Attempt { at_ms: now_ms, version, build_id: Some(build_id), slot, outcome });
        }
        self.is_commit = true;
        self.committing = Some(Progress::Committing { what: what.clone(), purpose });
        self.progress = Progress::Idle;
        (self.autoboot, self.forget_header, self.forget_fallback, self.end_trial) = (Some(slot), true, true, true);
    }

    /// The slot was tried, and is not kept. `armed_in` names the trial: it is entered once.
    pub(crate) fn roll_back(
        &mut self,
        what: &Candidate,
        purpose: Purpose,
        armed_in: &str,
        failure: Failure,
        now_ms: u64,
    ) {
        let Candidate { slot, version, build_id, .. } = what.clone();
        let Failure { cause, why, log } = failure;
        let is_innocent = purpose == Purpose::Update && self.is_innocent(cause, &what.build_id, armed_in);
        if self.history.settled.as_deref() != Some(armed_in) {
            if purpose == Purpose::Update && !is_innocent {
                self.history.quarantine(&version, build_id, now_ms);
            }
            let outcome = Outcome::RolledBack { cause, why: why.clone(), log };
            let attempt = Attempt { at_ms: now_ms, version: version.clone(), build_id: Some(build_id), slot, outcome };
            self.history.add(attempt);
            self.history.settled = Some(armed_in.to_owned());
        }
        // Nor does it say anything against a release that ran here before, and could not be gone back to.
        let is_unheard = purpose == Purpose::Return && matches!(cause, Cause::Interrupted | Cause::NeverStarted);
        if let Some(book) = self.book.as_mut().filter(|_| !is_innocent && !is_unheard) {
            *book.standing_mut(slot) = Standing::Unfit { reason: format!("version {version} was tried: {why}") };
        }
        self.progress = if is_innocent { Progress::Written { what: what.clone() } } else { Progress::Idle };
        self.forget_header = !is_innocent;
    }

    /// Whoever pulls the plug says nothing against the release: it lies there whole, and may be tried again. Once: a
    /// hang that leaves no trace looks the same.
    fn is_innocent(&self, cause: Cause, build_id: &Digest, armed_in: &str) -> bool {
        let is_entered = self.history.settled.as_deref() == Some(armed_in);
        let mut earlier = self.history.attempts.iter().skip(usize::from(is_entered));
        let interrupted = |outcome: &Outcome| matches!(outcome, Outcome::RolledBack { cause: Cause::Interrupted, .. });
        let was_before = earlier.any(|it| it.build_id == Some(*build_id) && interrupted(&it.outcome));
        cause == Cause::Interrupted && !was_before && !self.history.is_quarantined(build_id)
    }

    /// The steps. What did not change is not written.
    pub(crate) fn plan(self) -> Plan {
        let (book, history, progress) = self.former;
        let committing = self.committing.filter(|committing| *committing != progress).map(Action::Progress);
        let autoboot = if self.is_commit { Action::Autoboot } else { Action::Repair };
        let kept = [
            committing,
            self.autoboot.map(autoboot),
            // The reason before what follows from it.
            Some(self.history).filter(|new| *new != history).map(Action::History),
            self.book.filter(|new| book.as_ref() != Some(new)).map(Action::Book),
            self.forget_fallback.then_some(Action::ForgetFallback),
            Some(self.progress).filter(|new| *new != progress).map(Action::Progress),
            self.forget_header.then_some(Action::ForgetHeader),
            self.end_trial.then_some(Action::EndTrial),
            self.restart.map(Action::Restart),
        ];
        let remark = (!self.remarks.is_empty()).then(|| self.remarks.join("; "));
        Plan { actions: kept.into_iter().flatten().collect(), gate: self.gate, remark }
    }
}
