//! What was decided, done.

use lucid_layout::Slot;

use super::{Action, Plan, Restart, Scene, decide};
use crate::machine::MachineError;
use crate::update::autoboot::{self, AutobootError};
use crate::update::evidence::Evidence;
use crate::update::files::FilesError;
use crate::update::mailbox::MailboxError;
use crate::update::progress::Progress;
use crate::update::slots::{Slots, SlotsError};
use crate::update::{Updates, cut};

/// Why a step was not done. Those after it are not, either.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    #[error(transparent)]
    Slots(#[from] SlotsError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Autoboot(#[from] AutobootError),
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
}

impl Updates {
    /// Puts right what a former boot left. To be done once, before anybody asks for anything. Says whether a trial
    /// begins, whose gate is then to be kept.
    pub(crate) fn reconcile(&self) -> bool {
        let Some(slots) = &self.slots else { return false };
        let plan = match self.scene(slots) {
            Ok(scene) => decide(&scene),
            Err(error) => {
                self.note(error.to_string());
                return false;
            }
        };
        let Plan { actions, gate, remark } = plan;
        remark.into_iter().for_each(|remark| self.note(remark));
        tracing::info!(steps = ?actions.iter().map(name).collect::<Vec<_>>(), gate, "slots and progress");
        match self.perform(&actions) {
            Ok(()) => gate,
            Err(error) => {
                self.note(error.to_string());
                self.end_a_trial_all_the_same(&actions);
                // What was not written down is not begun: the trial ends by its bounds.
                false
            }
        }
    }

    /// A trial that is to be ended ends, even if nothing can be kept of it: the committed slot is what follows.
    fn end_a_trial_all_the_same(&self, actions: &[Action]) {
        if self.booted.trial
            && actions.contains(&Action::Restart(Restart::Plain))
            && let Err(error) = self.machine.reboot()
        {
            self.note(error.to_string());
        }
    }

    /// Does `actions` in their order.
    pub(crate) fn perform(&self, actions: &[Action]) -> Result<(), ActError> {
        actions.iter().try_for_each(|action| self.step(action))
    }

    fn step(&self, action: &Action) -> Result<(), ActError> {
        match action {
            Action::Progress(progress) => self.keep(progress.clone())?,
            Action::Autoboot(slot) => self.commit_slot(*slot)?,
            Action::Repair(slot) => {
                if let Err(error) = self.commit_slot(*slot) {
                    self.note(error.to_string());
                }
            }
            Action::Book(book) => self.files.save_book(book)?,
            Action::History(history) => {
                self.files.save_history(history)?;
                self.state().history = history.clone();
            }
            Action::ForgetFallback => self.files.remove_fallback()?,
            Action::ForgetHeader => self.files.remove_header()?,
            Action::EndTrial => self.machine.end_trial()?,
            Action::Restart(Restart::Plain) => self.machine.reboot()?,
            Action::Restart(Restart::OnTrial) => {
                self.tryboot.set(true)?;
                self.machine.try_boot()?;
            }
        }
        Ok(())
    }

    fn commit_slot(&self, slot: Slot) -> Result<(), ActError> {
        let Some(slots) = &self.slots else { return Ok(()) };
        tracing::warn!(slot = %slot.letter(), "this slot is what boots from now on");
        Ok(autoboot::commit(slots, slot)?)
    }

    fn scene(&self, slots: &Slots) -> Result<Scene, ActError> {
        let running = slots.running()?;
        let (progress, history) = {
            let state = self.state();
            (state.progress.clone(), state.history.clone())
        };
        let evidence = match &progress {
            Progress::Armed { what, .. } | Progress::Trying { what, .. } => self.archive.gather(what.slot),
            _ => Evidence::default(),
        };
        Ok(Scene {
            running,
            trial: self.booted.trial,
            boot_id: self.booted.id.clone(),
            now_ms: self.surroundings.now_ms(),
            autoboot: autoboot::committed(slots).map_err(|error| error.to_string()),
            book: self.read_or_note(self.files.book()),
            releases: Slot::ALL.map(|slot| self.release(slot).present().cloned()),
            progress,
            history,
            fallback: self.read_or_note(self.files.fallback()),
            twin: self.read_or_note(slots.twin()),
            evidence,
            eeprom_s: self.surroundings.conditions().eeprom_s.present().copied(),
        })
    }

    fn read_or_note<T, E: ToString>(&self, read: Result<Option<T>, E>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.note(error.to_string());
            None
        })
    }

    /// For the owner, beside what is there.
    pub(in crate::update) fn note(&self, remark: String) {
        tracing::error!(remark, "updates");
        let mut state = self.state();
        let all = match state.remark.take() {
            Some(before) => format!("{before}; {remark}"),
            None => remark,
        };
        state.remark = Some(cut(&all));
    }
}

/// For the journal.
fn name(action: &Action) -> &'static str {
    match action {
        Action::Progress(_) => "keep progress",
        Action::Autoboot(_) => "commit",
        Action::Repair(_) => "put autoboot.txt right",
        Action::Book(_) => "keep the book",
        Action::History(_) => "keep history",
        Action::ForgetFallback => "forget the fallback",
        Action::ForgetHeader => "forget the header",
        Action::EndTrial => "end the trial",
        Action::Restart(Restart::Plain) => "restart",
        Action::Restart(Restart::OnTrial) => "restart on trial",
    }
}
