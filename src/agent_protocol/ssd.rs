//! The data disk: the one SSD that the appliance keeps its recordings on.

use lucid_device::Reading;
use lucid_layout::provisioning::Consent;
use serde::{Deserialize, Serialize};

use crate::DiskId;

/// How the data disk is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsdReport {
    /// In short.
    pub state: SsdState,
    /// Why it is not usable and what to do, for the owner; none if all is well.
    pub reason: Option<String>,
    /// Which disk was adopted.
    pub adopted: Option<Adopted>,
    /// The mounted filesystem.
    pub mount: Option<MountedSsd>,
    /// What came of the last check.
    pub check: Option<Check>,
    /// What the owner allowed in the provisioning.
    pub consent: Consent,
}

/// The state of the data disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SsdState {
    /// No disk was adopted.
    NotAdopted,
    /// The adopted disk is not connected.
    Absent,
    /// The agent works on it.
    Working {
        /// On what.
        work: Work,
        /// For how long so far, in seconds. A disk that does not answer shows here.
        for_s: u64,
    },
    /// Mounted for reading and writing.
    Mounted,
    /// Mounted, but it can't be written.
    ReadOnly,
    /// Unmounted because it was asked for.
    Detached,
    /// It could not be mounted.
    Failed,
}

/// What the agent does with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Makes the data partition on the system's own disk.
    Partitioning,
    /// Makes a filesystem.
    Formatting,
    /// Checks the filesystem.
    Checking,
    /// Repairs the filesystem.
    Repairing,
    /// Mounts it.
    Mounting,
    /// Unmounts it.
    Unmounting,
}

/// The disk that was adopted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// UUID of its filesystem, by which it is found again.
    pub uuid: String,
    /// Its id.
    pub disk: DiskId,
    /// Its model, to tell the owner which one to connect.
    pub model: Option<String>,
}

/// A mounted data disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountedSsd {
    /// Such as `/dev/sda1`.
    pub device: String,
    /// Options of the mount, as the kernel tells them.
    pub options: String,
    /// It can't be written.
    pub read_only: bool,
    /// Errors that the filesystem has met since it was last repaired (`/sys/fs/ext4/*/errors_count`).
    pub errors: Reading<u64>,
    /// Size of the filesystem in bytes.
    pub size_bytes: Reading<u64>,
    /// What an ordinary process may still write, in bytes.
    pub free_bytes: Reading<u64>,
}

/// A check of the filesystem by `e2fsck`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// In short.
    pub outcome: CheckOutcome,
    /// The last lines of what it said.
    pub said: String,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Nothing was wrong.
    Clean,
    /// Something was wrong and is mended.
    Corrected,
    /// Something is wrong that needs the owner's leave to repair.
    Uncorrected,
    /// The check itself failed.
    Failed,
}
