//! Making, checking and repairing the filesystem on the data disk, by the programs of e2fsprogs.
//!
//! Must never be called for a mounted device, nor choose by itself what to make one on.

use std::io;
use std::path::Path;
use std::time::Duration;

use lucid_agent_protocol::{Check, CheckOutcome};
use lucid_layout::disk::DATA_LABEL;
use rustix::fs::{Mode, OFlags};

use crate::disks::FILESYSTEM;
use crate::tool::{self, ToolError};

/// Replaying a journal takes seconds; a full check of a large, slow disk after damage a good part of an hour.
const CHECK_MAX: Duration = Duration::from_secs(60 * 60);
/// Seconds for an SSD; a large disk that has to discard every block first, over USB, minutes.
const FORMAT_MAX: Duration = Duration::from_secs(20 * 60);
/// Bits of e2fsck's exit status.
const CORRECTED: i32 = 0b1;
const REBOOT: i32 = 0b10;
const UNCORRECTED: i32 = 0b100;

/// Why there is no filesystem.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("it is in use, or does not answer ({0}); unplug it, plug it in again, and adopt it again")]
    InUse(io::Error),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("mke2fs ended with status {status} ({said}); adopt another disk")]
    Refused { status: i32, said: String },
}

/// Mends what can be mended without loss.
pub(crate) fn check(device: &Path) -> Check {
    e2fsck(device, "-p")
}

/// Mends everything, with loss where there is no other way.
pub(crate) fn repair(device: &Path) -> Check {
    e2fsck(device, "-fy")
}

fn e2fsck(device: &Path, how: &str) -> Check {
    match tool::run("e2fsck", &[how, &device.to_string_lossy()], CHECK_MAX) {
        Ok(said) => Check { outcome: outcome(said.status), said: said.shown() },
        Err(error) => Check { outcome: CheckOutcome::Failed, said: error.to_string() },
    }
}

/// The exit status of e2fsck(8) is a sum of bits.
fn outcome(status: i32) -> CheckOutcome {
    match status {
        0 => CheckOutcome::Clean,
        // A restart is for a mounted root; nothing is mounted here.
        status if status & !(CORRECTED | REBOOT) == 0 => CheckOutcome::Corrected,
        status if status & !(CORRECTED | REBOOT | UNCORRECTED) == 0 => CheckOutcome::Uncorrected,
        _ => CheckOutcome::Failed,
    }
}

/// Makes a filesystem of the appliance. Everything on `device` is lost.
pub(crate) fn format(device: &Path, uuid: &str) -> Result<(), FormatError> {
    // The kernel refuses this while anything else has the device: a mount, a volume manager, another tool.
    let alone = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    rustix::fs::open(device, alone, Mode::empty()).map_err(|error| FormatError::InUse(error.into()))?;
    // Forced once: not to ask whether a whole disk is meant. No blocks are kept for root, which writes nothing here.
    let arguments = ["-F", "-q", "-t", FILESYSTEM, "-L", DATA_LABEL, "-U", uuid, "-m", "0", "-e", "remount-ro"];
    let device = device.to_string_lossy();
    let said = tool::run("mke2fs", &[&arguments[..], &[&*device]].concat(), FORMAT_MAX)?;
    match said.status {
        0 => Ok(()),
        status => Err(FormatError::Refused { status, said: said.shown() }),
    }
}

#[cfg(test)]
mod tests;
