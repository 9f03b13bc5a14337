//! Whether the box is in a state to be changed, and whether a release is for it.
//!
//! Pure but for reading. Must never refuse because of the clock: a box without a network has none.

use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_bundle::{COMPATIBLE, Kind, Manifest, Refused};
use lucid_device::Reading;
use lucid_layout::Slot;
use lucid_layout::eeprom::BUILD_MIN_S;

use super::slots::Slots;
use super::surroundings::Conditions;
use super::{Updates, autoboot, failed, wrong_state};

/// Above this the processor is about to be throttled, and a card writes slower and dies sooner.
const TEMPERATURE_MC_MAX: i32 = 82_000;

/// One automatic attempt in this time.
const AUTOMATIC_PERIOD_MS: u64 = 24 * 60 * 60 * 1000;

impl Updates {
    /// Whether the box may be changed at all: it runs what is committed, on enough power, not too hot, and its EEPROM
    /// can start a release on trial.
    pub(super) fn ready_for_change(&self) -> Result<(), Refusal> {
        self.runs_what_is_kept()?;
        let found = self.surroundings.conditions();
        power_and_heat(&found)?;
        eeprom(&found.eeprom_s)
    }

    /// The slot that runs is the one that was kept, and no other disk could be taken for this one.
    pub(super) fn runs_what_is_kept(&self) -> Result<(), Refusal> {
        let slots = self.slots()?;
        let running = runs_what_is_committed(slots)?;
        if self.is_on_trial() || self.booted.slot != Some(running) {
            return Err(wrong_state("this boot is on trial: wait until it is kept or given up"));
        }
        if self.book()?.committed != running {
            return Err(wrong_state("the slot that runs is not the one that was kept: restart the box"));
        }
        if let Some(twin) = slots.twin().map_err(failed)? {
            let why = format!("disk `{twin}` has partitions of the same ids, and could be written or booted instead");
            return Err(wrong_state(&(why + ": unplug it")));
        }
        Ok(())
    }

    /// Whether the release is for this box. Gives the slot that it goes into.
    pub(super) fn suitable(&self, manifest: &Manifest, automatic: bool) -> Result<Slot, Refusal> {
        let slots = self.slots()?;
        let running = slots.running().map_err(failed)?;
        manifest.check_compatible(COMPATIBLE).map_err(unsuitable)?;
        manifest.check_epoch(self.epoch_floor()?).map_err(unsuitable)?;
        manifest.check_data(self.book()?.data_generation).map_err(unsuitable)?;
        if let Reading::Present(eeprom) = self.surroundings.conditions().eeprom_s {
            manifest.check_eeprom(eeprom).map_err(unsuitable)?;
        }
        if self.release(running).present().is_some_and(|release| release.build_id == manifest.build_id) {
            return Err(refusal(format!(
                "this very build of {} runs already: nothing is to be done",
                manifest.version
            )));
        }
        let slot = running.other();
        for (kind, partition) in [(Kind::Root, slot.root()), (Kind::Boot, slot.boot())] {
            let room = slots.read(partition).map_err(failed)?.bytes();
            manifest.check_room(kind, room).map_err(unsuitable)?;
        }
        if automatic { self.may_be_automatic(manifest).map(|()| slot) } else { Ok(slot) }
    }

    /// Whether an update may begin that nobody asked for.
    fn may_be_automatic(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let state = self.state();
        if state.history.is_quarantined(&manifest.build_id) {
            let version = &manifest.version;
            return Err(refusal(format!("{version} failed here before, and is only installed if you ask for it")));
        }
        match state.history.automatic_ms {
            // A time far ahead is that of a wrong clock.
            Some(last) if last.abs_diff(self.surroundings.now_ms()) < AUTOMATIC_PERIOD_MS => {
                Err(refusal("an automatic update was tried within the last day: the next is tried tomorrow".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// The slot that runs, if it is the one that autoboot.txt boots.
fn runs_what_is_committed(slots: &Slots) -> Result<Slot, Refusal> {
    let running = slots.running().map_err(failed)?;
    match autoboot::committed(slots).map_err(failed)? {
        committed if committed == running => Ok(running),
        committed => {
            let (running, committed) = (running.letter(), committed.letter());
            let why = format!("slot {running} runs, and slot {committed} is the one that is kept");
            Err(wrong_state(&(why + ": wait for the trial's end, or restart the box")))
        }
    }
}

/// What a machine does not measure is in nobody's way.
pub(super) fn power_and_heat(found: &Conditions) -> Result<(), Refusal> {
    if found.undervoltage == Reading::Present(true) {
        return Err(refusal("the supply voltage is too low: use a stronger power supply, then try again".to_owned()));
    }
    if let Reading::Present(hottest_mc @ TEMPERATURE_MC_MAX..) = found.hottest_mc {
        return Err(refusal(format!("the box is at {} °C: let it cool down, then try again", hottest_mc / 1000)));
    }
    Ok(())
}

/// By an old one the box would not come back.
fn eeprom(build_s: &Reading<u64>) -> Result<(), Refusal> {
    match build_s {
        Reading::Present(BUILD_MIN_S..) => Ok(()),
        Reading::Present(_) => Err(refusal(
            "the EEPROM is older than 2025-10-08 and can't start a release on trial: update the EEPROM first"
                .to_owned(),
        )),
        Reading::Absent { reason } | Reading::Failed { reason } => {
            Err(refusal(format!("the EEPROM's date is not known ({reason}): without it nothing is installed")))
        }
    }
}

/// For what the bundle's crate finds wrong with a release.
fn unsuitable(refused: Refused) -> Refusal {
    refusal(refused.to_string())
}

fn refusal(message: String) -> Refusal {
    Refusal::new(RefusalCode::Unsuitable, message)
}
