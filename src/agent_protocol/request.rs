//! What may be asked.

use serde::{Deserialize, Serialize};

use crate::update::GateReport;
use crate::{DiskId, Reason};

/// A question or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How things are: the SSD, the boot, the board. Answered from memory, however a disk behaves.
    Status {},
    /// Every disk and what is on it.
    Disks {},
    /// What a drive says of its own health.
    Smart {
        /// Which one.
        disk: DiskId,
    },
    /// How this boot went until systemd took over.
    BootFacts {},
    /// Make a disk the data disk. One with a filesystem of the appliance is taken as it is; one without any signature
    /// is formatted, which takes a confirmation; any other is refused.
    Adopt {
        /// Which one.
        disk: DiskId,
        /// The disk's id once more, as the owner typed it: everything on the disk is lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirmation: Option<DiskId>,
    },
    /// Mount the adopted disk again: after a detachment, or at once after a failure.
    Mount {},
    /// Unmount the data disk so that it can be unplugged. It stays adopted, and is mounted again when it is plugged in
    /// anew, at [`Request::Mount`], and at the next boot.
    Detach {},
    /// Repair the adopted filesystem where the check before a mount could not: what is damaged beyond repair is lost.
    Repair {
        /// The adopted disk's id, as the owner typed it.
        confirmation: DiskId,
    },
    /// Restart the box.
    Reboot {
        /// Why.
        reason: Reason,
    },
    /// Switch the box off.
    PowerOff {
        /// Why.
        reason: Reason,
    },
    /// Forget the network of the provisioning: from the next boot on the router gives the address (DHCP). Only in
    /// rescue.
    ForgetNetwork {},
    /// The supervisor is ready: this boot counts no more as a failed one.
    Ready {},
    /// How updates are.
    UpdateStatus {},
    /// A bundle comes: see [`crate::update`]. Answered by [`crate::Reply::Send`].
    Bundle {
        /// The first byte that the supervisor can send; the agent says at which it wants it.
        offset: u64,
        /// For an offset above 0: BLAKE3 of the header of the bundle that is resumed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bundle: Option<lucid_layout::Digest>,
        /// Nobody asked: a quarantined release is refused, and one attempt a day is the most.
        #[serde(default)]
        automatic: bool,
    },
    /// Restart into the release that is written, on trial.
    InstallUpdate {
        /// Seconds that it has to be fit before it is kept; the agent bounds it.
        soak_s: u64,
    },
    /// Give up a release that is being written or is written.
    DiscardUpdate {},
    /// Restart into the other slot, on trial: back to the former release.
    ReturnToOther {
        /// Seconds that it has to be fit before it is kept.
        soak_s: u64,
    },
    /// Show that a trial boot works: restart into the other slot and at once back again.
    Selftest {},
    /// Have the firmware install the EEPROM's release that the running slot carries: restart into the other slot and
    /// at once back, as a self-test does. Only with the owner's consent: a power cut while the firmware writes leaves
    /// a board that starts nothing until its EEPROM is restored with Raspberry Pi Imager.
    InstallEeprom {
        /// Build date of the release that the owner consents to, in seconds since 1970.
        build_s: u64,
    },
    /// How the supervisor is, on a trial.
    Gate {
        /// It.
        report: GateReport,
    },
    /// Check a channel file and keep its number.
    Channel {
        /// The file, in base64.
        file: String,
    },
}
