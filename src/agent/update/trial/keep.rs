//! The gate of this boot, kept: reports and looks go in, and what comes out is done.
//!
//! Promises: the verdict's reason is on `/state` before the restart, as far as that can be written; a commit that fails
//! is tried again with the next report. Must never tell the supervisor that there is no trial before that is known: it
//! would fall silent.

use std::thread;
use std::time::{Duration, Instant};

use lucid_agent_protocol::Refusal;
use lucid_agent_protocol::update::{GateAnswer, GateReport};
use lucid_layout::update::Standing;

use super::{Failure, Gate, Seen, Verdict};
use crate::update::progress::Progress;
use crate::update::reconcile::{Action, Draft, Restart};
use crate::update::{Updates, failed};

/// How often the box is looked at: a link that goes down is noticed within this.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// What this boot is.
#[derive(Debug, Default)]
pub(crate) enum Trial {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// No trial.
    None,
    /// One that is under way, since the agent's start.
    Running(Box<Gate>, Instant),
    /// One that is over.
    Ended(GateAnswer),
}

/// How far a trial is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) fit_for_s: Option<u64>,
    pub(crate) soak_s: u64,
    pub(crate) waiting_for: Vec<String>,
}

impl Updates {
    /// Puts right what a former boot left, and begins the trial that this boot may be.
    pub(crate) fn start(&self) {
        let is_trial = self.reconcile();
        self.begin_trial(is_trial);
        if !self.booted.trial && self.progress().candidate().is_none() {
            self.disarm_eeprom();
        }
    }

    /// The supervisor is ready. What the stage before systemd noted of a slot that it left is in the history by now,
    /// and can go: the slot that took over works.
    pub(crate) fn became_ready(&self) -> Result<(), Refusal> {
        if self.is_on_trial() {
            return Ok(());
        }
        let Some(fallback) = self.files.fallback().map_err(failed)? else { return Ok(()) };
        // Where the book could not be kept, the note is all that says which slot was left.
        match self.files.book().map_err(failed)?.map(|book| book.standing(fallback.from).clone()) {
            Some(Standing::Unfit { .. }) => self.files.remove_fallback().map_err(failed),
            _ => Ok(()),
        }
    }

    /// Begins the trial, or says that there is none.
    fn begin_trial(&self, is_trial: bool) {
        *self.trial() = match self.progress() {
            Progress::Trying { soak_s, before, .. } if is_trial => {
                Trial::Running(Box::new(Gate::new(soak_s, before)), Instant::now())
            }
            _ => Trial::None,
        };
    }

    /// Looks at the box until the trial is over.
    #[expect(clippy::disallowed_methods, reason = "the agent has no runtime: this is a thread of its own")]
    pub(crate) fn keep_trial(&self) {
        while self.is_on_trial() {
            self.judge(Gate::looked);
            thread::sleep(LOOK_PERIOD);
        }
    }

    /// What becomes of this boot, by what the supervisor says of itself.
    pub(crate) fn heard(&self, report: &GateReport) -> GateAnswer {
        self.judge(|gate, now, seen| gate.heard(now, report.clone(), seen))
    }

    /// A trial is under way, or may be.
    pub(crate) fn is_on_trial(&self) -> bool {
        matches!(*self.trial(), Trial::Unknown | Trial::Running(..))
    }

    /// How far the trial is, if one is under way.
    pub(crate) fn trial_view(&self) -> Option<View> {
        match &*self.trial() {
            Trial::Running(gate, began) => Some(View {
                fit_for_s: gate.fit_for(began.elapsed()).map(|fit| fit.as_secs()),
                soak_s: gate.soak().as_secs(),
                waiting_for: gate.waiting_for(),
            }),
            Trial::Unknown | Trial::None | Trial::Ended(_) => None,
        }
    }

    fn judge(&self, ask: impl FnOnce(&mut Gate, Duration, &Seen) -> Verdict) -> GateAnswer {
        // Before the lock: netlink and mount tables may take their time.
        let seen = self.surroundings.circumstances().map_err(|error| error.to_string());
        let mut trial = self.trial();
        let verdict = match &mut *trial {
            Trial::Unknown => return GateAnswer::Soaking,
            Trial::None => return GateAnswer::NotOnTrial,
            Trial::Ended(answer) => return *answer,
            Trial::Running(gate, began) => {
                let verdict = ask(gate, began.elapsed(), &seen);
                self.keep_complaints(gate);
                verdict
            }
        };
        let answer = self.carry_out(verdict);
        if matches!(answer, GateAnswer::Committed | GateAnswer::RollingBack) {
            *trial = Trial::Ended(answer);
        }
        answer
    }

    /// What the supervisor complains of is kept, for the case that nothing more is heard of this boot.
    fn keep_complaints(&self, gate: &Gate) {
        let mut progress = self.progress();
        let Progress::Trying { last, .. } = &mut progress else { return };
        let faults: Vec<_> = gate.faults().iter().take(1).map(Failure::bounded_fault).collect();
        if *last == faults {
            return;
        }
        *last = faults;
        if let Err(error) = self.keep(progress) {
            tracing::error!(%error, "what is wrong with the release on trial can't be kept");
        }
    }

    fn carry_out(&self, verdict: Verdict) -> GateAnswer {
        match verdict {
            Verdict::Waiting | Verdict::Soaking => GateAnswer::Soaking,
            Verdict::Commit => self.commit(),
            Verdict::RollBack(failure) => self.take_back(failure),
        }
    }

    fn commit(&self) -> GateAnswer {
        let (Progress::Trying { what, purpose, .. } | Progress::Committing { what, purpose }) = self.progress() else {
            return GateAnswer::NotOnTrial;
        };
        let mut draft = match self.files.book() {
            Ok(book) => Draft::new(book, self.history(), self.progress()),
            Err(error) => return refused(&error.to_string()),
        };
        draft.commit(&what, purpose, self.surroundings.now_ms());
        tracing::warn!(version = what.version, slot = %what.slot.letter(), "the release was fit, and is kept");
        match self.perform(&draft.plan().actions) {
            Ok(()) => GateAnswer::Committed,
            Err(error) => refused(&error.to_string()),
        }
    }

    /// Restarts into the former release, whether or not the reason can be kept.
    fn take_back(&self, failure: Failure) -> GateAnswer {
        tracing::error!(cause = ?failure.cause, why = failure.why, "the release is taken back");
        if let Progress::Trying { what, purpose, armed_in, .. } = self.progress() {
            let book = self.files.book().unwrap_or_else(|error| {
                tracing::error!(%error, "what the slots are worth");
                None
            });
            let mut draft = Draft::new(book, self.history(), self.progress());
            draft.roll_back(&what, purpose, &armed_in, failure, self.surroundings.now_ms());
            if let Err(error) = self.perform(&draft.plan().actions) {
                tracing::error!(%error, "why the release is taken back can't be kept");
            }
        }
        if let Err(error) = self.perform(&[Action::Restart(Restart::Plain)]) {
            tracing::error!(%error, "the trial ends by its bound in systemd");
        }
        GateAnswer::RollingBack
    }
}

/// The release is fit; the next report tries again to keep it.
fn refused(error: &str) -> GateAnswer {
    tracing::error!(error, "the release was fit, and can't be kept yet");
    GateAnswer::Soaking
}
