//! A committed slot that does not become ready any more: it is left for the other one, or the box comes up in rescue.
//!
//! ```text
//! count > FAILED_BOOTS_MAX ─ other slot good? ─▶ fallback.json ─ autoboot.txt ─ restart
//!                                  └ no ─▶ rescue; the boot after a rescue tries the slot once more
//! ```
//!
//! Promises: a slot is left for one that the agent's book calls good and that reads the data there may be, and for no
//! other; there is no way back from the slot that took over but the agent's; where leaving did not help it is tried
//! twice at most. A boot on trial is never touched: it ends by itself. Must never write to the first partition but into
//! autoboot.txt's one sector.

mod autoboot;

use lucid_error::chain;
use lucid_layout::boot::Attempts;
use lucid_layout::update::{FAILED_BOOTS_MAX, Fallback, SlotBook, Standing, UPDATE_FILE_BYTES_MAX};
use lucid_layout::{Slot, paths};
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;

pub(crate) use autoboot::Autoboot;

/// What there is to decide on.
#[derive(Debug)]
struct Scene<'a> {
    /// The slot that boots, not on trial, and its boots without *ready*, this one included.
    slot: Option<Slot>,
    boots: u32,
    book: Result<Option<SlotBook>, String>,
    /// The slot that was left, if one was.
    fallback: Result<Option<Fallback>, String>,
    /// What autoboot.txt commits; nothing if it can't be told.
    committed: Option<Slot>,
    boot_id: &'a str,
}

/// What is done about a boot.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Nothing.
    Stay,
    /// The other slot is committed and booted.
    Leave(Fallback),
    /// The box comes up without the appliance's services, for this reason.
    Rescue(String),
}

/// What becomes of the boot.
#[derive(Debug)]
pub(crate) enum Way {
    /// It goes on.
    On,
    /// The other slot is committed: restart.
    Restart(Slot),
    /// It goes on in rescue.
    Rescue {
        /// For the owner.
        why: String,
        /// What failed on the way to another slot.
        trouble: Option<Error>,
    },
}

/// Decides, and makes the other slot the one that boots if that is decided.
pub(crate) fn settle(root: &Root, attempts: &Attempts, autoboot: Result<Autoboot, Error>) -> Way {
    if attempts.boots_without_ready <= FAILED_BOOTS_MAX {
        return Way::On;
    }
    let scene = Scene {
        slot: attempts.slot,
        boots: attempts.boots_without_ready,
        book: read(root, paths::SLOT_BOOK),
        fallback: read(root, paths::FALLBACK),
        committed: autoboot.as_ref().ok().and_then(Autoboot::committed),
        boot_id: &attempts.boot_id,
    };
    match decide(&scene) {
        Decision::Stay => Way::On,
        Decision::Rescue(why) => Way::Rescue { why, trouble: None },
        Decision::Leave(fallback) => {
            let to = fallback.from.other();
            match leave(root, &fallback, autoboot) {
                Ok(()) => Way::Restart(to),
                Err(trouble) => {
                    let why = format!("{}, and slot {to:?} can't be committed", failed(fallback.from, scene.boots));
                    Way::Rescue { why, trouble: Some(trouble) }
                }
            }
        }
    }
}

/// The one place that says which slot is left, and for what.
fn decide(scene: &Scene<'_>) -> Decision {
    let Some(over) = scene.boots.checked_sub(FAILED_BOOTS_MAX + 1) else { return Decision::Stay };
    match to_leave(scene) {
        Ok(fallback) => Decision::Leave(fallback),
        // Whoever restarts a box that is in rescue has changed something, or hopes so.
        Err(_) if over % 2 == 1 => Decision::Stay,
        Err(why) => Decision::Rescue(why),
    }
}

/// What to note of the slot that is left, or why it can't be.
fn to_leave(scene: &Scene<'_>) -> Result<Fallback, String> {
    let slot = scene.slot.ok_or("the appliance did not become ready, and which slot this is can't be told")?;
    let other = slot.other();
    let because = |reason: &str| format!("{}, and {reason}", failed(slot, scene.boots));
    let book = scene.book.as_ref().map_err(|error| because(&format!("what is known of slot {other:?}: {error}")))?;
    let book = book.as_ref().ok_or_else(|| because(&format!("nothing is known of slot {other:?}")))?;
    match scene.fallback.as_ref().map_err(|error| because(error))? {
        Some(former) if former.from == other => {
            return Err(because(&format!("slot {other:?} was left for it after {} failed boots", former.failed_boots)));
        }
        // The note was written: either autoboot.txt was not, or the other slot does not start.
        Some(former) if scene.committed == Some(other) || scene.boots > former.failed_boots + 2 => {
            return Err(because(&format!("slot {other:?}, which was to take over, does not start")));
        }
        _ => {}
    }
    if !book.may_take_over(other) {
        return Err(because(&reason(book, other)));
    }
    Ok(Fallback { from: slot, failed_boots: scene.boots - 1, boot_id: scene.boot_id.to_owned() })
}

fn failed(slot: Slot, boots: u32) -> String {
    format!("slot {slot:?} was started {} times in a row without becoming ready", boots - 1)
}

/// Why `other` can't take over.
fn reason(book: &SlotBook, other: Slot) -> String {
    match book.standing(other) {
        Standing::Good { version, .. } => {
            format!("slot {other:?}, version {version}, can't read the data that the failing version wrote")
        }
        Standing::Unfit { reason } => format!("slot {other:?} is not fit to run: {reason}"),
        Standing::Unknown => format!("nothing is known of slot {other:?}"),
    }
}

/// Each step lasts before the next begins. A cut between them is made good by the next boot.
fn leave(root: &Root, fallback: &Fallback, autoboot: Result<Autoboot, Error>) -> Result<(), Error> {
    let autoboot = autoboot?;
    let path = root.at(paths::FALLBACK);
    if !path.exists() {
        let json = serde_json::to_vec(fallback).map_err(|error| file::damaged(&path, &error.to_string()))?;
        file::replace(&path, &json, Access { mode: 0o644, uid: root.root_uid })?;
    }
    autoboot.commit(fallback.from.other())
}

fn read<T: DeserializeOwned>(root: &Root, path: &str) -> Result<Option<T>, String> {
    let path = root.at(path);
    let text = file::read(&path, UPDATE_FILE_BYTES_MAX).map_err(|error| chain(&error))?;
    let Some(text) = text else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| chain(&file::damaged(&path, &error.to_string())))
}

#[cfg(test)]
mod tests;
