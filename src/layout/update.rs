//! What the two slots are worth, as the agent keeps it on `/state` and the stage before systemd reads it.
//!
//! JSON, replaced whole. Only root writes it. A field that a reader does not know is a newer release's, which was taken
//! back, and is left out. A reader that finds none, or one that makes no sense, leaves the slots as
//! they are: choosing a slot by a guess is worse than staying.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::slot::Slot;

/// Largest file of this module in bytes; each has some hundred.
pub const UPDATE_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Boots of a committed slot without *ready* after which it is left for the other one.
pub const FAILED_BOOTS_MAX: u32 = 3;

/// Which data a release writes and reads: one number for all stores of the box, raised whenever a store's migration
/// can't be read by the release before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFormat {
    /// What it writes once it is committed. Also the highest that it reads.
    pub generation: u32,
    /// The lowest that it reads.
    pub reads_from: u32,
}

/// The data format of this release.
pub const DATA: DataFormat = DataFormat { generation: 2, reads_from: 2 };

impl DataFormat {
    /// Whether a release of this format can run on data that may have been written in `generation`.
    #[must_use]
    pub const fn reads(self, generation: u32) -> bool {
        self.reads_from <= generation && generation <= self.generation
    }
}

/// What a slot is worth ([`crate::paths::SLOT_BOOK`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// A release that was committed here, or flashed, and did not fail since.
    Good {
        /// Its version.
        version: String,
        /// Its build.
        build_id: Digest,
        /// What it reads and writes.
        data: DataFormat,
    },
    /// A release that must not be booted by itself: half written, rolled back, or left after failed boots.
    Unfit {
        /// Why, for the owner.
        reason: String,
    },
    /// Nothing is known of it.
    Unknown,
}

/// What the agent knows of both slots ([`crate::paths::SLOT_BOOK`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotBook {
    /// The slot that autoboot.txt should boot.
    pub committed: Slot,
    /// Slot A.
    pub a: Standing,
    /// Slot B.
    pub b: Standing,
    /// The highest data generation that a committed release may have written.
    pub data_generation: u32,
}

impl SlotBook {
    /// One slot's standing.
    #[must_use]
    pub const fn standing(&self, slot: Slot) -> &Standing {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    /// The same, to be changed.
    pub const fn standing_mut(&mut self, slot: Slot) -> &mut Standing {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }

    /// Whether `slot` may be booted without anybody's word: it is good and reads the data that there may be.
    #[must_use]
    pub const fn may_take_over(&self, slot: Slot) -> bool {
        match self.standing(slot) {
            Standing::Good { data, .. } => data.reads(self.data_generation),
            Standing::Unfit { .. } | Standing::Unknown => false,
        }
    }
}

/// A slot that was left because its boots did not become ready ([`crate::paths::FALLBACK`]). Written by the stage before
/// systemd, taken into the agent's history and removed by the agent once the slot that took over is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The slot that failed.
    pub from: Slot,
    /// Its boots without *ready*.
    pub failed_boots: u32,
    /// The kernel's id of its last boot.
    pub boot_id: String,
}

#[cfg(test)]
mod tests;
