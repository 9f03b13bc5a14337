//! What the stage before systemd tells of a boot, and what it keeps from one boot to the next.
//!
//! The report is `/run/lucid/boot.json` ([`crate::paths::BOOT_REPORT`]), readable by everyone: it holds no secret. The
//! count is `/state/boot/attempts.json` ([`crate::paths::BOOT_ATTEMPTS`]). Both are JSON; a reader takes fields that it
//! doesn't know for those of a newer release, and leaves them alone.

use serde::{Deserialize, Serialize};

use crate::slot::Slot;

/// Environment of all three processes, for `EnvironmentFile=`: `TZ` if a time zone is set. Made at each boot.
pub const ENVIRONMENT: &str = "/run/lucid/env";

/// Name of the time zone in force, with a line break. Made at each boot.
pub const TIMEZONE: &str = "/run/lucid/timezone";

/// Is there in a boot in rescue, and holds why. Units have conditions on it: the appliance's own sockets and services
/// don't start then. Made by the stage before systemd.
pub const RESCUE: &str = "/run/lucid/rescue";

/// What systemd starts in rescue in place of its default.
pub const RESCUE_TARGET: &str = "lucid-rescue.target";

/// Largest report or count in bytes that a reader takes: some 60 problems of a few hundred bytes each.
pub const BOOT_FILE_BYTES_MAX: u64 = 16 * 1024;

/// How this boot went until systemd took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReport {
    /// The slot that the kernel command line names.
    pub slot: Option<Slot>,
    /// Boots of this slot in a row that have not become ready, this one included; `None` if they can't be counted.
    pub boot_count: Option<u32>,
    /// The identity was made in this boot.
    pub first_boot: bool,
    /// What became of the state partition.
    pub state: StateCondition,
    /// The provisioning is done with, now or in an earlier boot: it was applied, or the box was claimed without it.
    pub provisioned: bool,
    /// The firmware booted this slot once, on trial.
    #[serde(default)]
    pub trial: bool,
    /// Why this boot runs without the appliance's services, if it does: see `lucid-rescue.target`.
    #[serde(default)]
    pub rescue: Option<String>,
    /// The board's serial number.
    pub serial: Option<String>,
    /// The settings of the board's EEPROM, as lines of text; `None` where the firmware does not tell them.
    #[serde(default)]
    pub eeprom_settings: Option<String>,
    /// The host name in force.
    #[serde(default)]
    pub host_name: Option<String>,
    /// The boot disk's name in the kernel, for example `mmcblk0`.
    #[serde(default)]
    pub boot_disk: Option<String>,
    /// What the stage took, in milliseconds.
    #[serde(default)]
    pub stage_ms: u64,
    /// What went wrong, in the order in which it did.
    pub problems: Vec<Problem>,
}

/// What became of the state partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateCondition {
    /// Empty, and the provisioning area is not used up: a new appliance.
    Fresh,
    /// As an earlier boot left it.
    Kept,
    /// Empty although the provisioning area is used up, or can't be read: the appliance had an owner.
    Lost,
    /// Can't be mounted; a file system in memory stands in for it.
    Unmountable,
}

impl StateCondition {
    /// Whether the appliance must stay locked: it has, or may have, an owner whose accounts can't be read. Whoever
    /// then claims it would take it over.
    #[must_use]
    pub const fn is_locked(self) -> bool {
        matches!(self, Self::Lost | Self::Unmountable)
    }
}

/// Something that went wrong in a boot that went on nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, for programs, for example `state-unmountable`.
    pub code: String,
    /// What happened and what to do, for the owner.
    pub text: String,
}

/// How often a slot was booted without becoming ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The last boot included, until it becomes ready.
    pub boots_without_ready: u32,
    /// The kernel's id of the last boot that was counted.
    pub boot_id: String,
    /// The slot that was counted.
    pub slot: Option<Slot>,
    /// The last boot on trial that came far enough to be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialBoot>,
}

/// A boot on trial that came as far as the stage before systemd: what is left of it if nothing more of it was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialBoot {
    /// The slot on trial.
    pub slot: Slot,
    /// The kernel's id of the boot.
    pub boot_id: String,
    /// The kernel's id of the boot before it: the one that asked for the trial.
    pub after: Option<String>,
}

impl Attempts {
    /// What to keep when `slot` boots as `boot_id`, after `former`: a boot counts once, and each slot anew.
    #[must_use]
    pub fn booted(former: Option<&Self>, boot_id: &str, slot: Option<Slot>) -> Self {
        let same_slot = former.filter(|former| former.slot == slot);
        let boots_without_ready = match same_slot {
            Some(former) if former.boot_id == boot_id => former.boots_without_ready,
            Some(former) => former.boots_without_ready.saturating_add(1),
            None => 1,
        };
        let trial = former.and_then(|former| former.trial.clone());
        Self { boots_without_ready, boot_id: boot_id.to_owned(), slot, trial }
    }

    /// The same for a boot on trial, which is remembered beyond the boots that follow.
    #[must_use]
    pub fn booted_on_trial(former: Option<&Self>, boot_id: &str, slot: Slot) -> Self {
        let after = former.map(|former| former.boot_id.clone());
        let trial = TrialBoot { slot, boot_id: boot_id.to_owned(), after };
        Self { trial: Some(trial), ..Self::booted(former, boot_id, Some(slot)) }
    }

    /// What to keep once the boot has become ready.
    #[must_use]
    pub fn ready(self) -> Self {
        Self { boots_without_ready: 0, ..self }
    }
}

#[cfg(test)]
mod tests;
