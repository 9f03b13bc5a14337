//! Updates: what the agent tells of slots and progress, and what the supervisor tells of itself on a trial.
//!
//! The bundle's bytes do not fit into messages. After [`crate::Request::Bundle`] and [`crate::Reply::Send`] the
//! supervisor sends frames as [`crate::frame`] has them, of bytes instead of JSON and up to [`DATA_BYTES_MAX`] long; an
//! empty one ends the stream, and one more [`crate::Reply`] follows. The agent may answer before the end, with a
//! refusal; it then reads no more. The supervisor only relays: every byte is checked by the agent before it reaches a
//! disk.

use std::time::Duration;

use lucid_device::Reading;
use lucid_layout::update::Standing;
use lucid_layout::{Digest, EepromRelease, Release, Slot};
use serde::{Deserialize, Serialize};

/// Longest frame of a bundle's bytes. Large enough that a frame's cost does not show, small enough to lie in memory.
pub const DATA_BYTES_MAX: usize = 256 * 1024;

/// In this time the next frame of a bundle has begun. The other end may be a slow link of the owner's.
pub const DATA_SILENCE_MAX: Duration = Duration::from_secs(60);

/// Attempts that [`UpdateReport::history`] holds, so that a report fits into one message.
pub const HISTORY_SHOWN_MAX: usize = 8;

/// Longest text of a reason in bytes; what is longer is cut.
pub const WHY_BYTES_MAX: usize = 600;

/// Lines of a service's log that go with a report of the gate.
pub const LOG_LINES_MAX: usize = 12;

/// How updates are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateReport {
    /// The slot that runs; none on a machine without slots.
    pub running: Option<Slot>,
    /// Whether this boot is on trial.
    pub trial: bool,
    /// Why the running slot is the one that runs, where that is not what was committed.
    pub remark: Option<String>,
    /// The slot that autoboot.txt commits.
    pub committed: Reading<Slot>,
    /// Both slots, A first; none on a machine without slots.
    pub slots: Vec<SlotReport>,
    /// What is being done.
    pub phase: Phase,
    /// The last attempts, the newest first.
    pub history: Vec<Attempt>,
    /// Releases that are not installed again by themselves.
    pub quarantine: Vec<Quarantined>,
    /// Whom the agent trusts.
    pub trust: TrustReport,
    /// How a trial boot is asked for.
    pub tryboot: TrybootWay,
    /// The EEPROM's build date in seconds since 1970.
    pub eeprom_s: Reading<u64>,
    /// The EEPROM's release that the running slot carries.
    pub eeprom: EepromReport,
    /// Epochs below are not installed.
    pub epoch_floor: u64,
    /// What the last self-test showed.
    pub selftest: Option<Selftest>,
}

/// One slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotReport {
    /// Which one.
    pub slot: Slot,
    /// What its boot partition says.
    pub release: Reading<Release>,
    /// What it is worth.
    pub standing: Standing,
}

/// A release on its way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// Its version.
    pub version: String,
    /// Its build.
    pub build_id: Digest,
    /// BLAKE3 of the bundle's header, by which it is told from others.
    pub bundle: Digest,
    /// Where it goes.
    pub slot: Slot,
    /// What its makers say, for the owner; cut to [`WHY_BYTES_MAX`].
    pub notes: String,
}

/// What is being done with updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case", deny_unknown_fields)]
pub enum Phase {
    /// Nothing.
    Idle {},
    /// A bundle is coming in, or was interrupted.
    Writing {
        /// Which.
        incoming: Incoming,
        /// Bytes of the bundle that need not be sent again: where to go on.
        offset: u64,
        /// Bytes of the whole bundle.
        bundle_bytes: u64,
        /// Whether bytes come in now.
        active: bool,
    },
    /// It is complete, is being read back.
    Checking {
        /// Which.
        incoming: Incoming,
        /// Bytes read back.
        checked_bytes: u64,
        /// Of so many.
        of_bytes: u64,
    },
    /// It is written and read back; waits for the restart.
    Written {
        /// Which.
        incoming: Incoming,
    },
    /// The box restarts into it.
    Armed {
        /// Which; none for a self-test or a return to the other slot.
        incoming: Option<Incoming>,
    },
    /// It runs on trial.
    Trying {
        /// Which; none for a self-test or a return to the other slot.
        incoming: Option<Incoming>,
        /// Seconds since the supervisor first was fit, if it is.
        fit_for_s: Option<u64>,
        /// Seconds that it has to be.
        soak_s: u64,
        /// What is in the way.
        waiting_for: Vec<String>,
    },
}

/// What became of an update, a return or a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// The version that was tried.
    pub version: String,
    /// Its build.
    pub build_id: Option<Digest>,
    /// Its slot.
    pub slot: Slot,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It runs, and is kept.
    Committed {},
    /// It was tried, and the former one runs again.
    RolledBack {
        /// Why.
        cause: Cause,
        /// In the owner's words: what happened and what to do, at most [`WHY_BYTES_MAX`].
        why: String,
        /// The last lines that the service, or the kernel, said; at most [`LOG_LINES_MAX`].
        log: Vec<String>,
    },
    /// A committed release did not become ready any more, and the box went to the other slot by itself.
    LeftAfterFailedBoots {
        /// How many.
        failed_boots: u32,
    },
    /// The owner went back to this slot.
    Returned {},
    /// autoboot.txt or the booted slot was not what was committed, and was put right.
    Repaired {
        /// What was wrong.
        why: String,
    },
    /// It was given up before it was tried.
    Discarded {
        /// Why.
        why: String,
    },
}

/// Kinds of reason for a return to the former release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The kernel panicked: its text is known.
    Panic,
    /// Nothing of the release was heard: it hung or could not be loaded, and a watchdog ended it.
    NeverStarted,
    /// It started and hung: a watchdog ended it.
    Watchdog,
    /// It did not become ready in time.
    NotReady,
    /// A critical service was not healthy.
    Service,
    /// A service, or the supervisor, was started again while it had to run through.
    Restarted,
    /// The network was not as before, or the dashboard did not answer on it.
    Network,
    /// The data disk was not as before.
    DataDisk,
    /// The agent of the release did not run.
    Agent,
    /// The power was cut, or nobody knows. Also what this release does not know, of a newer one that was taken back.
    #[serde(other)]
    Interrupted,
}

/// A release that failed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its version.
    pub version: String,
    /// Its build.
    pub build_id: Digest,
    /// When it was last tried, in milliseconds since 1970.
    pub at_ms: u64,
    /// How often it failed.
    pub failures: u32,
}

/// Whom the agent trusts for updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustReport {
    /// Version of the set of root keys; none if the image trusts nobody.
    pub root_version: Option<u64>,
    /// Version of the list of release keys, once one was seen.
    pub keys_version: Option<u64>,
    /// Keys for tests: this is no release.
    pub is_test: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// How a trial boot is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TrybootWay {
    /// By the firmware's mailbox, read back, and the argument of the restart.
    Mailbox,
    /// By the argument of the restart alone: there is no mailbox, as in a virtual machine.
    ArgumentOnly {
        /// Why.
        reason: String,
    },
}

/// What a self-test of the trial boot showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selftest {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether the other slot was booted once, and this one after it.
    pub passed: bool,
    /// What was seen, for the owner.
    pub text: String,
}

/// How an update of the EEPROM stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EepromReport {
    /// What the running slot carries.
    pub carried: Reading<EepromRelease>,
    /// Why it can't be installed now, if it can't: it, or a newer one, is there; the box must not be changed. At most
    /// [`WHY_BYTES_MAX`].
    pub hindrance: Option<String>,
    /// What became of the last attempt.
    pub last: Option<EepromAttempt>,
}

/// What became of an update of the EEPROM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EepromAttempt {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// Build date of what was to be installed, in seconds since 1970.
    pub build_s: u64,
    /// Whether the EEPROM then was of that date.
    pub done: bool,
    /// What was seen, for the owner, and what to do; at most [`WHY_BYTES_MAX`].
    pub text: String,
}

/// What the supervisor says of itself, every few seconds while it runs on trial. Fit is stricter than ready: every
/// critical service is healthy, asked just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateReport {
    /// Random, made at the supervisor's start: another one is another process.
    pub supervisor: String,
    /// Starts of services after their first, counted since the supervisor's start.
    pub restarts: u64,
    /// What is not as it should be; nothing if it is fit.
    pub faults: Vec<Fault>,
}

/// Something that is not as it should be. At most 16 are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Of which kind: [`Cause::Service`], [`Cause::Restarted`], [`Cause::Network`] or [`Cause::DataDisk`].
    pub cause: Cause,
    /// The service, if it is one's.
    pub service: Option<String>,
    /// In the owner's words, at most [`WHY_BYTES_MAX`].
    pub why: String,
    /// The last lines of the service's log, at most [`LOG_LINES_MAX`], each cut to 300 bytes.
    pub log: Vec<String>,
}

/// What the agent says to a report of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAnswer {
    /// This boot is not on trial: nothing is asked any more.
    NotOnTrial,
    /// Go on.
    Soaking,
    /// The release is kept.
    Committed,
    /// The box goes back to the former release.
    RollingBack,
}

/// What the newest channel file says. The agent has checked it, and keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelReport {
    /// Its number.
    pub sequence: u64,
    /// From when it is, in seconds since 1970.
    pub issued_s: u64,
    /// Until when it counts.
    pub expires_s: u64,
    /// What it offers.
    pub offers: Vec<Offer>,
}

/// A release that a channel offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Its version.
    pub version: String,
    /// Its build.
    pub build_id: Digest,
    /// Its epoch.
    pub epoch: u64,
    /// Where its bundle is.
    pub url: String,
    /// Size of the bundle in bytes.
    pub bytes: u64,
    /// BLAKE3 of the bundle's header.
    pub bundle: Digest,
    /// Of a hundred boxes, so many take it by themselves.
    pub percent: u8,
    /// Nobody takes it by himself.
    pub hold: bool,
    /// What its makers say.
    pub notes: String,
    /// Why it is not for this box, if it is not: older, quarantined, below the epoch.
    pub refused: Option<String>,
}
