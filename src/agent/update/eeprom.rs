//! Updates of the EEPROM: what the running slot carries, whether it may be installed, and what became of it.
//!
//! The firmware installs a release by itself when it finds one on the partition that it boots. So the release is put
//! where only a trial boot looks, in the slot that does not run, and the box restarts into that slot once and at once
//! back, as for a self-test. The slot that runs is never written, and no other boot finds anything. Whether the EEPROM
//! is another one then is told by the date that the firmware gives.
//!
//! Must never do so without the owner naming the release: a power cut while the firmware writes is beyond anybody's
//! reach.

mod staging;

use lucid_agent_protocol::update::{EepromAttempt, EepromReport};
use lucid_agent_protocol::{Refusal, RefusalCode};
use lucid_device::Reading;
use lucid_layout::EepromRelease;

use super::preflight::power_and_heat;
use super::progress::{Candidate, Purpose};
use super::surroundings::Conditions;
use super::trial::SOAK_S_MIN;
use super::{Updates, cut, failed};

/// What in the board's settings keeps the firmware from updating itself (Raspberry Pi, "Bootloader configuration").
const NO_SELF_UPDATE: &str = "ENABLE_SELF_UPDATE=0";

impl Updates {
    /// How an update of the EEPROM stands.
    pub(super) fn eeprom_report(&self, conditions: &Conditions) -> EepromReport {
        let carried = self.carried_eeprom();
        let refusal = carried.present().and_then(|release| self.may_install_eeprom(release, conditions).err());
        let hindrance = refusal.map(|refusal| cut(&refusal.message));
        EepromReport { carried, hindrance, last: self.state().history.eeprom.clone() }
    }

    /// Has the firmware install the release of `build_s`, to which the owner consents.
    pub(crate) fn install_eeprom(&self, build_s: u64) -> Result<(), Refusal> {
        let _work = self.work()?;
        let release = match self.carried_eeprom() {
            Reading::Present(release) if release.build_s == build_s => release,
            Reading::Present(_) => {
                return Err(unsuitable("the running slot carries another release: look at it again"));
            }
            Reading::Absent { reason } | Reading::Failed { reason } => {
                return Err(unsuitable(&format!("no release of the EEPROM is there to be installed: {reason}")));
            }
        };
        let conditions = self.surroundings.conditions();
        let what = self.may_install_eeprom(&release, &conditions)?;
        staging::arm(self.slots()?, &release, self.eeprom_time_s(&conditions)).map_err(failed)?;
        let armed = self.arm(what, Purpose::Eeprom { build_s }, SOAK_S_MIN);
        if armed.is_err() {
            self.disarm_eeprom();
        }
        armed
    }

    /// Leaves nothing for the firmware to find in a slot that is tried for another reason, or becomes the one that
    /// runs.
    pub(super) fn disarm_eeprom(&self) {
        let Some(slots) = &self.slots else { return };
        if let Err(error) = staging::disarm(slots) {
            self.note(error.to_string());
        }
    }

    /// What the running slot carries: read once, as nobody writes to that slot.
    fn carried_eeprom(&self) -> Reading<EepromRelease> {
        if let Some(known) = &self.state().eeprom {
            return known.clone();
        }
        let Some(slots) = &self.slots else { return Reading::absent("this machine has no slots") };
        let carried = match slots.running() {
            Ok(running) => staging::carried(slots, running),
            Err(error) => Reading::failed(error.to_string()),
        };
        self.state().eeprom = Some(carried.clone());
        carried
    }

    /// Whether the box may be changed so, and it would be of use; gives what is in the slot by which it goes. An old
    /// EEPROM is no hindrance here.
    fn may_install_eeprom(&self, release: &EepromRelease, conditions: &Conditions) -> Result<Candidate, Refusal> {
        self.runs_what_is_kept()?;
        match &conditions.eeprom_s {
            Reading::Present(installed) if *installed >= release.build_s => {
                return Err(unsuitable(
                    "the board has this release of the EEPROM, or a newer one: nothing is to be done",
                ));
            }
            Reading::Present(_) => {}
            Reading::Absent { reason } | Reading::Failed { reason } => {
                return Err(unsuitable(&format!("which EEPROM the board has is not known ({reason})")));
            }
        }
        if self.booted.eeprom_settings.as_ref().is_some_and(|settings| forbids(settings)) {
            let why = format!("the board's settings say {NO_SELF_UPDATE}");
            return Err(unsuitable(&format!("{why}: use Raspberry Pi Imager, Misc utility images, Bootloader")));
        }
        let what = self.other_slot()?;
        power_and_heat(conditions)?;
        Ok(what)
    }

    /// The firmware takes a release only if its time is after that of the last update, whatever the clock here says.
    fn eeprom_time_s(&self, conditions: &Conditions) -> u64 {
        let last = conditions.eeprom_updated_s.present().copied().unwrap_or_default();
        (self.surroundings.now_ms() / 1000).max(last + 1)
    }
}

/// What became of it.
pub(super) fn concluded(build_s: u64, installed_s: Option<u64>, why: &str, at_ms: u64) -> EepromAttempt {
    let done = installed_s.is_some_and(|installed_s| installed_s >= build_s);
    let text = match (done, installed_s) {
        (true, _) => "the firmware has installed it, and the box has started with it".to_owned(),
        (false, Some(_)) => format!(
            "the firmware has not taken it, and the former one runs ({why}); restart the box and try again, or use \
             Raspberry Pi Imager: Misc utility images, Bootloader"
        ),
        (false, None) => "the firmware does not tell which one runs".to_owned(),
    };
    EepromAttempt { at_ms, build_s, done, text: cut(&text) }
}

/// Whether settings forbid it. The last line that says something of it counts.
fn forbids(settings: &str) -> bool {
    let mut lines = settings.lines().rev().map(str::trim);
    lines.find(|line| line.starts_with("ENABLE_SELF_UPDATE=")).is_some_and(|line| line == NO_SELF_UPDATE)
}

fn unsuitable(message: &str) -> Refusal {
    Refusal::new(RefusalCode::Unsuitable, message)
}
