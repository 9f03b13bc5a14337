//! From what was seen to what is published. Pure but for what it remembers.
//!
//! Reasons are for the owner: what is wrong and what to do, without jargon.

use lucid_device::disk::DirectoryIdentity;
use lucid_ports::Storage;

use super::{
    Config,
    probe::{Seen, WriteFault},
};
use crate::look::LookError;

/// Below this the disk counts as full: stores can't be begun on it, and those that are there may fail to grow.
pub(super) const FULL_BYTES: u64 = 4 << 20;
/// A part of the reserve that must be free above it until room counts as enough again: an eighth, so that services
/// don't start and stop with every file that comes and goes.
const HYSTERESIS_PART: u64 = 8;
/// Ticks for which a replaced directory is published as waiting. Three, six seconds: every gate has seen it then.
const SETTLE_TICKS: u32 = 3;

/// What is remembered from look to look.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The directory that services may have open.
    known: Option<DirectoryIdentity>,
    /// Whether room was short.
    low: bool,
    /// Ticks that a replaced directory has still to wait.
    settling: u32,
    /// Whether waiting was published last, maybe for a fault that only writing shows.
    waiting: bool,
    /// Whether the disk was full, which only writing may show, too: a quota.
    full: bool,
}

/// What a usable root has room for.
struct Room {
    free_bytes: u64,
    full: bool,
}

impl Memory {
    /// Whether the last verdict may have come from writing, so that the next look must try that, too.
    pub(super) fn must_test_writing(&self) -> bool {
        self.waiting || self.full
    }

    /// What to publish after a look that did not come back.
    pub(super) fn unanswered(&mut self, error: &LookError) -> Storage {
        self.waiting = true;
        waiting(format!("the data disk does not answer ({error}): check its cable and its health"))
    }

    /// What to publish after seeing this.
    pub(super) fn judge(&mut self, seen: &Seen, config: &Config) -> Storage {
        let verdict = match seen {
            Seen::Directory { identity, .. } if self.is_replaced(*identity) => Err(format!(
                "the data disk at `{}` was replaced by another one: services let go of the old one first",
                config.root.display()
            )),
            seen => usable(seen, config),
        };
        self.waiting = verdict.is_err();
        match verdict {
            Ok(Room { free_bytes, full }) => {
                self.full = full;
                self.low = full || is_low(free_bytes, config.reserve_bytes, self.low);
                Storage::Ready { root: config.root.clone(), free_bytes, low: self.low }
            }
            Err(reason) => waiting(reason),
        }
    }

    /// Notes which directory is there, and whether services may still hold another one.
    fn is_replaced(&mut self, identity: DirectoryIdentity) -> bool {
        if self.known.replace(identity).is_some_and(|known| known != identity) {
            self.settling = SETTLE_TICKS;
        }
        let settling = self.settling > 0;
        self.settling = self.settling.saturating_sub(1);
        settling
    }
}

fn waiting(reason: String) -> Storage {
    Storage::Waiting { reason }
}

/// The room of a usable root, or why it is none. A full one is usable while services have something in it: reading and
/// exporting take no room, and only deleting makes some.
fn usable(seen: &Seen, config: &Config) -> Result<Room, String> {
    let root = config.root.display();
    match seen {
        Seen::Absent => Err(format!("no data disk: `{root}` is not there; connect the SSD")),
        Seen::NotADirectory => Err(format!("`{root}` is a file, but must be a directory: move it away")),
        Seen::Foreign { marker } => Err(format!(
            "the disk at `{root}` was not adopted (`{marker}` is missing): adopt it, or connect the right one"
        )),
        Seen::Failed { what, error } => Err(format!("the data disk does not say {what} ({error}): check it")),
        Seen::Directory { read_only: true, .. } => Err(format!(
            "the data disk at `{root}` is read-only: after an error it protects what is on it; check its health"
        )),
        Seen::Directory { writing: Some(Err(fault)), .. } if *fault != WriteFault::Full => {
            Err(fault_told(fault, &root.to_string()))
        }
        Seen::Directory { space, in_use, writing, .. } => {
            let full = space.free_bytes < FULL_BYTES || *writing == Some(Err(WriteFault::Full));
            if full && !in_use {
                return Err(fault_told(&WriteFault::Full, &root.to_string()));
            }
            Ok(Room { free_bytes: space.free_bytes, full })
        }
    }
}

fn fault_told(fault: &WriteFault, root: &str) -> String {
    match fault {
        WriteFault::Full => format!("the data disk at `{root}` is full: make room on it"),
        WriteFault::Denied => format!("the data disk at `{root}` may not be written to: check who owns the directory"),
        WriteFault::ReadOnly => format!("the data disk at `{root}` has turned read-only: check its health"),
        WriteFault::Other(error) => format!("writing to the data disk at `{root}` fails ({error}): check its health"),
    }
}

/// Whether room is short, with hysteresis.
fn is_low(free_bytes: u64, reserve_bytes: u64, was_low: bool) -> bool {
    let enough = if was_low { reserve_bytes.saturating_add(reserve_bytes / HYSTERESIS_PART) } else { reserve_bytes };
    free_bytes < enough
}

#[cfg(test)]
mod tests;
