//! What is told of updates.
//!
//! Must never wait for a transfer, nor for more of the disk than a few sectors.

use lucid_agent_protocol::update::{HISTORY_SHOWN_MAX, Incoming, Phase, SlotReport, TrustReport, UpdateReport};
use lucid_device::Reading;
use lucid_layout::Slot;
use lucid_layout::update::Standing;

use super::progress::{Progress, Purpose};
use super::trial::View;
use super::{Live, State, Updates, autoboot};

impl Updates {
    /// How updates are.
    pub(crate) fn report(&self) -> UpdateReport {
        let slots = match self.slots {
            Some(_) => Slot::ALL.map(|slot| self.slot(slot)).to_vec(),
            None => Vec::new(),
        };
        let committed = match &self.slots {
            Some(slots) => {
                autoboot::committed(slots).map_or_else(|error| Reading::failed(error.to_string()), Reading::Present)
            }
            None => Reading::absent("this machine has no slots"),
        };
        let (tryboot, conditions) = (self.tryboot.way(), self.surroundings.conditions());
        // Without slots there is nothing that a floor would be for.
        let epoch_floor = self.epoch_floor().unwrap_or_else(|_| self.state().history.epoch_floor);
        let eeprom = self.eeprom_report(&conditions);
        let (is_on_trial, view) = (self.is_on_trial(), self.trial_view());
        let state = self.state();
        UpdateReport {
            running: self.booted.slot.filter(|_| self.slots.is_some()),
            trial: is_on_trial,
            remark: state.remark.clone(),
            committed,
            slots,
            phase: phase(&state, view),
            history: state.history.attempts.iter().take(HISTORY_SHOWN_MAX).cloned().collect(),
            quarantine: state.history.quarantine.clone(),
            trust: trust(&state),
            tryboot,
            eeprom_s: conditions.eeprom_s,
            eeprom,
            epoch_floor,
            selftest: state.history.selftest.clone(),
        }
    }

    fn slot(&self, slot: Slot) -> SlotReport {
        let standing = match self.files.book() {
            Ok(Some(book)) => book.standing(slot).clone(),
            Ok(None) => Standing::Unknown,
            Err(error) => Standing::Unfit { reason: error.to_string() },
        };
        SlotReport { slot, release: self.release(slot), standing }
    }
}

fn phase(state: &State, view: Option<View>) -> Phase {
    let of = |what: &super::Candidate, purpose| match purpose {
        Purpose::Update => what.incoming.clone(),
        Purpose::Return | Purpose::Selftest | Purpose::Eeprom { .. } => None,
    };
    match &state.progress {
        Progress::Idle => Phase::Idle {},
        Progress::Writing { incoming, bundle_bytes, offset, .. } => {
            writing(state.live, incoming.clone(), *bundle_bytes, *offset)
        }
        Progress::Written { what } => match what.incoming.clone() {
            Some(incoming) => Phase::Written { incoming },
            None => Phase::Idle {},
        },
        Progress::Armed { what, purpose, .. } => Phase::Armed { incoming: of(what, *purpose) },
        Progress::Trying { what, purpose, soak_s, .. } => {
            let View { fit_for_s, soak_s, waiting_for } =
                view.unwrap_or(View { fit_for_s: None, soak_s: *soak_s, waiting_for: Vec::new() });
            Phase::Trying { incoming: of(what, *purpose), fit_for_s, soak_s, waiting_for }
        }
        Progress::Committing { what, purpose } => {
            Phase::Trying { incoming: of(what, *purpose), fit_for_s: None, soak_s: 0, waiting_for: Vec::new() }
        }
    }
}

fn writing(live: Option<Live>, incoming: Incoming, bundle_bytes: u64, durable: u64) -> Phase {
    match live {
        Some(Live::Checking { checked_bytes, of_bytes }) => Phase::Checking { incoming, checked_bytes, of_bytes },
        Some(Live::Receiving { offset }) => Phase::Writing { incoming, offset, bundle_bytes, active: true },
        None => Phase::Writing { incoming, offset: durable, bundle_bytes, active: false },
    }
}

fn trust(state: &State) -> TrustReport {
    TrustReport {
        root_version: Some(state.trust.root_version()).filter(|version| *version > 0),
        keys_version: state.trust.keys_version(),
        is_test: state.trust.is_test(),
        problem: state.trust_problem.clone(),
    }
}
