//! How far an update has come, as it is kept on `/state`.
//!
//! Each state is on the disk before its first action, so that whoever finds it after a power cut knows what may have
//! happened, and no more. JSON, replaced whole. Pure: must never do I/O.

use lucid_agent_protocol::update::{Attempt, EepromAttempt, Fault, Incoming, Quarantined, Selftest};
use lucid_layout::update::DataFormat;
use lucid_layout::{Digest, Slot};
use serde::{Deserialize, Serialize};

/// Attempts that are kept.
pub(crate) const ATTEMPTS_KEPT_MAX: usize = 20;

/// Quarantined releases that are kept: who has more failed ones takes updates by hand.
pub(crate) const QUARANTINE_KEPT_MAX: usize = 16;

/// What is being done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub(crate) enum Progress {
    /// Nothing.
    #[default]
    Idle,
    /// The idle slot is being written.
    Writing {
        /// With what.
        incoming: Incoming,
        /// Bytes of the whole bundle.
        bundle_bytes: u64,
        /// Bytes of the bundle whose pieces lie on the disk for good: the beginning of a piece.
        offset: u64,
        /// Nobody asked for it.
        automatic: bool,
        /// The first sector of the boot partition, once its piece has come: it is written last.
        first_sector: Option<Sector>,
    },
    /// The idle slot is complete and was read back.
    Written {
        /// What is there.
        what: Candidate,
    },
    /// The next restart tries the other slot.
    Armed {
        /// What is there.
        what: Candidate,
        /// Why.
        purpose: Purpose,
        /// The kernel's id of the boot in which it was armed.
        armed_in: String,
        /// Seconds that it has to be fit.
        soak_s: u64,
        /// How the box was connected before.
        before: Circumstances,
    },
    /// The other slot runs, on trial.
    Trying {
        /// What is there.
        what: Candidate,
        /// Why.
        purpose: Purpose,
        /// The kernel's id of the boot in which it was armed.
        armed_in: String,
        /// Seconds that it has to be fit.
        soak_s: u64,
        /// How the box was connected before.
        before: Circumstances,
        /// The kernel's id of the boot on trial.
        boot_id: String,
        /// What was not as it should be, by the last report.
        last: Vec<Fault>,
    },
    /// It is fit; autoboot.txt is being written.
    Committing {
        /// What is there.
        what: Candidate,
        /// Why.
        purpose: Purpose,
    },
}

/// Why a slot is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// A new release.
    Update,
    /// The owner wants the former one back.
    Return,
    /// To see whether a trial boot works; never committed.
    Selftest,
    /// To let the firmware update the EEPROM; never committed.
    Eeprom {
        /// Build date of the release, in seconds since 1970.
        build_s: u64,
    },
}

impl Purpose {
    /// Whether the box goes straight back, whatever it finds in the slot: nothing of it is to be kept.
    pub(crate) const fn is_there_and_back(self) -> bool {
        matches!(self, Self::Selftest | Self::Eeprom { .. })
    }
}

/// A slot that is or may be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// Which.
    pub(crate) slot: Slot,
    /// Its version.
    pub(crate) version: String,
    /// Its build.
    pub(crate) build_id: Digest,
    /// How it came in; none for what was there.
    pub(crate) incoming: Option<Incoming>,
    /// Its epoch.
    pub(crate) epoch: u64,
    /// Which data it reads and writes.
    pub(crate) data: DataFormat,
}

/// How the box is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Circumstances {
    /// Links that are up.
    pub(crate) links: Vec<String>,
    /// Links with an address that is not link-local.
    pub(crate) addressed: Vec<String>,
    /// UUID of the data disk's filesystem, if it is mounted.
    pub(crate) data_disk: Option<String>,
}

/// What became of updates before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The newest first, at most [`ATTEMPTS_KEPT_MAX`].
    pub(crate) attempts: Vec<Attempt>,
    /// The newest first, at most [`QUARANTINE_KEPT_MAX`].
    pub(crate) quarantine: Vec<Quarantined>,
    /// Epochs below are not installed.
    pub(crate) epoch_floor: u64,
    /// What the last self-test showed.
    pub(crate) selftest: Option<Selftest>,
    /// What became of the last update of the EEPROM.
    #[serde(default)]
    pub(crate) eeprom: Option<EepromAttempt>,
    /// When the last update began that nobody asked for, in milliseconds since 1970.
    pub(crate) automatic_ms: Option<u64>,
    /// When the box was last restarted to get back to the committed slot, in milliseconds since 1970.
    pub(crate) repaired_ms: Option<u64>,
    /// The boot in which the last trial that was rolled back was armed, or the last one of a slot that was left: it is
    /// entered once, however often a power cut lets that be done again.
    #[serde(default)]
    pub(crate) settled: Option<String>,
}

/// 512 bytes, in JSON 1024 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sector(pub(crate) Box<[u8; 512]>);

impl Progress {
    /// What is or may be tried, from [`Progress::Written`] on.
    pub(crate) const fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Written { what }
            | Self::Armed { what, .. }
            | Self::Trying { what, .. }
            | Self::Committing { what, .. } => Some(what),
            Self::Idle | Self::Writing { .. } => None,
        }
    }
}

impl History {
    /// Adds what became of something.
    pub(crate) fn add(&mut self, attempt: Attempt) {
        self.attempts.insert(0, attempt);
        self.attempts.truncate(ATTEMPTS_KEPT_MAX);
    }

    /// Counts one more failure of a release.
    pub(crate) fn quarantine(&mut self, version: &str, build_id: Digest, at_ms: u64) {
        let known = self.quarantine.iter().position(|known| known.build_id == build_id);
        let failures = known.map_or(0, |place| self.quarantine.remove(place).failures).saturating_add(1);
        self.quarantine.insert(0, Quarantined { version: version.to_owned(), build_id, at_ms, failures });
        self.quarantine.truncate(QUARANTINE_KEPT_MAX);
    }

    /// Whether a release has failed here.
    pub(crate) fn is_quarantined(&self, build_id: &Digest) -> bool {
        self.quarantine.iter().any(|known| known.build_id == *build_id)
    }
}

impl std::fmt::Debug for Sector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a sector")
    }
}

impl Serialize for Sector {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::HEXLOWER.encode(&*self.0))
    }
}

impl<'de> Deserialize<'de> for Sector {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(serde::de::Error::custom)?;
        bytes
            .try_into()
            .map(|bytes| Self(Box::new(bytes)))
            .map_err(|_| serde::de::Error::custom("a sector has 512 bytes"))
    }
}

#[cfg(test)]
mod tests;
