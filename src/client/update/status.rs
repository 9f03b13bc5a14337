//! How updates are, as `GET /api/update/status` tells. Names are the API's.
//!
//! Read loosely: while an update is followed the answering release changes, and the new one may know more than this
//! program. What is not known is [`Phase::Unknown`] and the like, and members that are missing are as if empty.

use serde::Deserialize;

/// Everything that is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct UpdateStatus {
    /// What the agent says, which alone writes slots; nothing if it can't be asked.
    pub agent: Option<Agent>,
    /// Why it can't be asked.
    pub agent_problem: Option<String>,
    /// The settings in force.
    pub settings: Settings,
    /// The channel of releases.
    pub channel: Channel,
    /// A bundle on its way to the appliance.
    pub transfer: Option<Transfer>,
    /// What the restart waits for.
    pub waiting: Option<String>,
}

/// The agent's report.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Agent {
    /// `a` or `b`; none on a machine without slots.
    pub running: Option<String>,
    /// Whether this boot is on trial.
    pub trial: bool,
    /// Why the running slot is the one that runs.
    pub remark: Option<String>,
    /// The slot that is booted by itself.
    pub committed: Fact<String>,
    /// Both slots.
    pub slots: Vec<SlotReport>,
    /// What is being done.
    pub phase: Phase,
    /// The last attempts, the newest first.
    pub history: Vec<Attempt>,
    /// Whom it trusts.
    pub trust: Trust,
    /// Build date of the EEPROM in seconds since 1970.
    pub eeprom_s: Fact<u64>,
    /// The EEPROM's release that the running slot carries.
    pub eeprom: Eeprom,
    /// What the last self-test showed.
    pub selftest: Option<Selftest>,
}

/// A fact, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// It.
    Present(T),
    /// There is no such thing.
    Absent {
        /// Why.
        reason: String,
    },
    /// It could not be read.
    Failed {
        /// Why.
        reason: String,
    },
    /// Nothing was said of it.
    #[default]
    #[serde(skip)]
    Untold,
}

impl<T> Fact<T> {
    /// The value, if there is one.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent { .. } | Self::Failed { .. } | Self::Untold => None,
        }
    }
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SlotReport {
    /// `a` or `b`.
    pub slot: String,
    /// What its boot partition says.
    #[serde(default)]
    pub release: Fact<Release>,
    /// What it is worth.
    #[serde(default)]
    pub standing: Standing,
}

/// A release in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// Its version.
    pub version: String,
}

/// What a slot is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub enum Standing {
    /// It was committed or flashed, and did not fail since.
    Good {
        /// Its version.
        version: String,
    },
    /// It must not be booted by itself.
    Unfit {
        /// Why.
        reason: String,
    },
    /// Nothing is known of it.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A release on its way in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Incoming {
    /// Its version.
    pub version: String,
    /// Its build.
    pub build_id: String,
    /// What names its bundle, in hexadecimal.
    pub bundle: String,
    /// Where it goes.
    pub slot: String,
    /// What its makers say.
    pub notes: String,
}

/// What is being done with updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Nothing.
    Idle {},
    /// A bundle comes in, or was interrupted.
    Writing {
        /// Which.
        incoming: Incoming,
        /// Bytes that need not be sent again.
        offset: u64,
        /// Bytes of the whole bundle.
        bundle_bytes: u64,
        /// Whether bytes come in now.
        #[serde(default)]
        active: bool,
    },
    /// It is complete, and is read back.
    Checking {
        /// Which.
        incoming: Incoming,
        /// Bytes read back.
        checked_bytes: u64,
        /// Of so many.
        of_bytes: u64,
    },
    /// It is written, and waits for the restart.
    Written {
        /// Which.
        incoming: Incoming,
    },
    /// The box restarts into it.
    Armed {
        /// Which; none for a self-test or a return.
        incoming: Option<Incoming>,
    },
    /// It runs on trial.
    Trying {
        /// Which; none for a self-test or a return.
        incoming: Option<Incoming>,
        /// Seconds since it first was fit.
        fit_for_s: Option<u64>,
        /// Seconds that it has to be.
        soak_s: u64,
        /// What is in the way.
        #[serde(default)]
        waiting_for: Vec<String>,
    },
    /// Something that another release knows.
    #[default]
    #[serde(other)]
    Unknown,
}

/// What became of an update, a return or a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Attempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// The version.
    pub version: String,
    /// Its slot.
    pub slot: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It runs, and is kept.
    Committed {},
    /// It was tried, and the former one runs again.
    RolledBack {
        /// What happened, and what to do.
        why: String,
        /// The last lines that were said.
        #[serde(default)]
        log: Vec<String>,
    },
    /// It did not become ready any more, and the box went to the other slot by itself.
    LeftAfterFailedBoots {
        /// How many boots failed.
        failed_boots: u32,
    },
    /// Somebody went back to this slot.
    Returned {},
    /// The choice of the slot was damaged, and was put right.
    Repaired {
        /// What was wrong.
        why: String,
    },
    /// It was given up before it was tried.
    Discarded {
        /// Why.
        why: String,
    },
    /// Something that another release knows.
    #[serde(other)]
    Unknown,
}

/// Whom the agent trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Trust {
    /// Version of the set of root keys; none if nobody is trusted.
    pub root_version: Option<u64>,
    /// Version of the list of release keys.
    pub keys_version: Option<u64>,
    /// Keys for tests.
    pub is_test: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// What a self-test showed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Selftest {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether the other slot was booted, and this one after it.
    pub passed: bool,
    /// What was seen.
    pub text: String,
}

/// How an update of the EEPROM stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Eeprom {
    /// What the running slot carries.
    pub carried: Fact<EepromRelease>,
    /// Why it can't be installed now, if it can't.
    pub hindrance: Option<String>,
    /// What became of the last attempt.
    pub last: Option<EepromAttempt>,
}

/// A release of the EEPROM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EepromRelease {
    /// When it was built, in seconds since 1970.
    pub build_s: u64,
    /// A hash of its sources.
    #[serde(default)]
    pub version: String,
    /// The settings that take the place of those on the board.
    #[serde(default)]
    pub settings: String,
}

/// What became of an update of the EEPROM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EepromAttempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Build date of what was to be installed, in seconds since 1970.
    pub build_s: u64,
    /// Whether the EEPROM then was of that date.
    pub done: bool,
    /// What was seen, and what to do.
    pub text: String,
}

/// The settings in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Where the channel file is.
    pub channel: Option<String>,
    /// Whether releases are installed by themselves.
    pub automatic: bool,
    /// When.
    pub window: Option<String>,
    /// By which clock.
    pub zone: Option<String>,
    /// The one version that is wanted.
    pub pinned: Option<String>,
}

/// The channel of releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// `none`, `fresh`, `stale` or `failed`.
    pub state: String,
    /// When it was last looked at, in milliseconds since 1970.
    pub checked_ms: Option<u64>,
    /// How it is.
    pub text: String,
    /// What it says.
    pub report: Option<ChannelReport>,
}

/// What the newest channel file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ChannelReport {
    /// What it offers.
    pub offers: Vec<Offer>,
}

/// A release that a channel offers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Offer {
    /// Its version.
    pub version: String,
    /// Nobody takes it by himself.
    #[serde(default)]
    pub hold: bool,
    /// Why it is not for this box.
    #[serde(default)]
    pub refused: Option<String>,
}

/// A bundle on its way to the appliance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Transfer {
    /// `upload`, `pull` or `automatic`.
    pub source: String,
    /// Where it is fetched from; nothing for an upload.
    pub url: Option<String>,
    /// Bytes done.
    pub done_bytes: u64,
    /// Of so many.
    pub of_bytes: Option<u64>,
    /// Whether bytes come in now.
    pub active: bool,
    /// Why it ended, if it did not end well.
    pub problem: Option<String>,
}
