//! The provisioning, used up: copied to `/state` once, then overwritten on the first partition.
//!
//! ```text
//! lucid.toml ─ parse ─▶ plan: settings and secrets ─▶ marker on /state ─▶ lucid.toml overwritten
//! ```
//!
//! The plan is a list of actions, each of which can be done twice, so that a cut between any two of them is made good
//! by the next boot: without the marker everything is done again from the same file, with it only the overwriting is.
//! The supervisor, which answers claims, starts after all of it.
//!
//! Promises: a marked or claimed box takes nothing from the file any more; a file with any mistake in it leaves nothing
//! behind; secrets are in no log. Must never write on the first partition but into the file's own clusters.

mod area;
mod plan;

use std::path::Path;

use lucid_layout::boot::StateCondition;
use lucid_layout::provisioning::{FILE_BYTES_MAX, Provisioning, ProvisioningError};
use lucid_layout::{files, paths};

use crate::error::Error;
use crate::root::Root;

use area::Area;
use plan::Action;

/// What the vault writes when it issues the recovery key, which is the first thing a claim does and the last that it
/// takes back: never.
const CLAIM_MARK: &str = "/state/lucid/recovery.pub";

/// What came of the provisioning.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) state: StateCondition,
    pub(crate) is_done: bool,
    /// What went wrong, if anything did.
    pub(crate) trouble: Option<Trouble>,
}

/// What went wrong with the provisioning.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The file has a mistake.
    #[error(transparent)]
    Mistake(#[from] ProvisioningError),
    /// The state could not be written, or not even read.
    #[error("the provisioning was not applied")]
    NotApplied(#[source] Error),
    /// The file's bytes could not be overwritten.
    #[error("the provisioning file is used up, and could not be erased")]
    NotErased(#[source] Error),
    /// The state is empty, and the file was used up before.
    #[error("the state is empty, although this appliance was set up before")]
    Lost,
    /// The state is empty, and whether the file was used up can't be said.
    #[error("the state is empty, and whether this appliance was set up before can't be told")]
    Unknown(#[source] Error),
}

/// What is done about the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Nothing: it was used up.
    Keep,
    /// Its bytes are overwritten.
    Erase,
    /// The box was claimed without it: marked, and the file's bytes overwritten if there are any.
    Close,
    /// It is read and applied.
    Apply,
    /// Nothing: the state was lost, or may have been.
    Lock,
}

/// What the first partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// No file, or none that can be read.
    Unknown,
    /// A file that is not used up.
    Written,
    /// One that is, but for some of its bytes.
    Stamped,
    /// One that is.
    Erased,
}

/// The one place that decides who may come in. An empty state is a new one only if the file says that it is unused:
/// where that can't be told, the box had an owner.
fn decide(is_marked: bool, is_claimed: bool, area: Use) -> Decision {
    match (is_marked, is_claimed, area) {
        (true, _, Use::Erased | Use::Unknown) => Decision::Keep,
        (true, _, Use::Written | Use::Stamped) => Decision::Erase,
        (false, true, _) => Decision::Close,
        (false, false, Use::Written) => Decision::Apply,
        (false, false, Use::Stamped | Use::Erased | Use::Unknown) => Decision::Lock,
    }
}

/// Uses the file on the first partition up, if it is its time. `/state` is mounted and lasts.
pub(crate) fn settle(root: &Root, device: Result<&Path, Error>) -> Outcome {
    let area = device.and_then(|device| Area::open(device, files::PROVISIONING));
    let there = |path: &str| root.at(path).try_exists().map_err(Error::io("look at", &root.at(path)));
    let (is_marked, is_claimed) = match (there(paths::PROVISIONED), there(CLAIM_MARK)) {
        (Ok(is_marked), Ok(is_claimed)) => (is_marked, is_claimed),
        (Err(error), _) | (_, Err(error)) => return locked(Trouble::NotApplied(error)),
    };
    let usage = area.as_ref().map_or(Use::Unknown, Area::usage);
    match (decide(is_marked, is_claimed, usage), area) {
        (Decision::Keep, _) => done(Ok(())),
        (Decision::Erase, area) => done(plan::run(root, area.as_ref().ok(), &[Action::Erase])),
        (Decision::Close, area) => done(plan::run(root, area.as_ref().ok(), &plan::close(root))),
        (Decision::Apply, Ok(area)) => apply(root, &area),
        (Decision::Apply | Decision::Lock, Err(error)) => locked(Trouble::Unknown(error)),
        (Decision::Lock, Ok(_)) => locked(Trouble::Lost),
    }
}

fn done(closed: Result<(), Error>) -> Outcome {
    let trouble = closed.err().map(Trouble::NotErased);
    Outcome { state: StateCondition::Kept, is_done: true, trouble }
}

fn locked(trouble: Trouble) -> Outcome {
    Outcome { state: StateCondition::Lost, is_done: false, trouble: Some(trouble) }
}

fn apply(root: &Root, area: &Area) -> Outcome {
    let fresh = |is_done, trouble| Outcome { state: StateCondition::Fresh, is_done, trouble };
    let provisioning = match parse(area) {
        Ok(provisioning) => provisioning,
        // A cut may have left half of what the file was before its owner changed it.
        Err(mistake) => {
            let cleared = plan::run(root, None, &plan::clear(root));
            let trouble = cleared.map_or_else(Trouble::NotApplied, |()| Trouble::Mistake(mistake));
            return fresh(false, Some(trouble));
        }
    };
    let applied = plan::apply(root, &provisioning).and_then(|actions| plan::run(root, None, &actions));
    if let Err(error) = applied {
        // Half of it is worse than none; what can't be undone either is tried again by the next boot.
        let trouble = plan::run(root, None, &plan::clear(root)).err().map_or(error, |undoing| undoing);
        return fresh(false, Some(Trouble::NotApplied(trouble)));
    }
    let erased = plan::run(root, Some(area), &[Action::Erase]);
    fresh(true, erased.err().map(Trouble::NotErased))
}

fn parse(area: &Area) -> Result<Provisioning, ProvisioningError> {
    let bytes = usize::try_from(area.size()).unwrap_or(usize::MAX);
    if bytes > FILE_BYTES_MAX {
        return Err(ProvisioningError::TooLarge { bytes, bytes_max: FILE_BYTES_MAX });
    }
    Provisioning::parse(area.content())
}

#[cfg(test)]
mod tests;
