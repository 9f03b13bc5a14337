//! Boots that did not become ready, counted on `/state`; the agent sets the count back.
//!
//! Promises: a boot is counted before anything of it can hang. A count that can't be read is reported and begins anew.

use lucid_layout::boot::{Attempts, BOOT_FILE_BYTES_MAX};
use lucid_layout::{Slot, paths};

use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;

/// The kernel's name for this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A UUID and a line break.
const BOOT_ID_BYTES_MAX: u64 = 64;

/// The boot that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Boot {
    /// Of this slot, if it is known.
    Plain(Option<Slot>),
    /// Of this slot, on trial.
    Trial(Slot),
}

/// Counts a boot. Returns the count, and what was wrong with the former one.
pub(crate) fn count(root: &Root, boot: Boot) -> Result<(Attempts, Option<Error>), Error> {
    let (former, damage) = match former(root) {
        Ok(former) => (former, None),
        Err(damage) => (None, Some(damage)),
    };
    let boot_id = file::read(&root.at(BOOT_ID), BOOT_ID_BYTES_MAX)?;
    let boot_id = boot_id.ok_or(Error::Absent("the kernel gives this boot no id"))?;
    let attempts = match boot {
        Boot::Plain(slot) => Attempts::booted(former.as_ref(), boot_id.trim(), slot),
        Boot::Trial(slot) => Attempts::booted_on_trial(former.as_ref(), boot_id.trim(), slot),
    };
    let path = root.at(paths::BOOT_ATTEMPTS);
    let json = serde_json::to_vec(&attempts).map_err(|error| file::damaged(&path, &error.to_string()))?;
    file::replace(&path, &json, Access { mode: 0o644, uid: root.root_uid })?;
    Ok((attempts, damage))
}

fn former(root: &Root) -> Result<Option<Attempts>, Error> {
    let path = root.at(paths::BOOT_ATTEMPTS);
    let Some(text) = file::read(&path, BOOT_FILE_BYTES_MAX)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| file::damaged(&path, &error.to_string()))
}

#[cfg(test)]
mod tests;
