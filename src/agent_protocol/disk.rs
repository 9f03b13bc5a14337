//! Disks and what is on them.

use lucid_device::DiskState;
use serde::{Deserialize, Serialize};

use crate::DiskId;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// What requests name it by, and what the owner types to confirm.
    pub id: DiskId,
    /// The drive: model, serial number, size, bus, health.
    pub drive: DiskState,
    /// What is on it as a whole.
    pub content: Content,
    /// Its partitions, as many as are shown.
    pub partitions: Vec<Partition>,
    /// Partitions that are not shown.
    pub partitions_omitted: usize,
    /// Where the whole disk is mounted.
    pub mounted_at: Option<String>,
    /// The running system lies on it.
    pub system: bool,
    /// What [`crate::Request::Adopt`] would do.
    pub adoption: Adoption,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its number in the table.
    pub number: u32,
    /// The kernel's name, such as `nvme0n1p1`.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// What is on it.
    pub content: Content,
    /// Where it is mounted.
    pub mounted_at: Option<String>,
}

/// What is on a disk or a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// No signature, and nothing but zeros where signatures would be.
    Empty,
    /// No signature, but not zeros either: what it is nobody can say, an encrypted disk for example.
    Unknown,
    /// A signature of a filesystem, a volume manager, a RAID, swap or encryption.
    Signature {
        /// As `blkid` names it, such as `ext4` or `crypto_LUKS`.
        kind: String,
        /// Its label.
        label: Option<String>,
        /// Its UUID.
        uuid: Option<String>,
    },
    /// A partition table.
    PartitionTable {
        /// Such as `gpt` or `dos`.
        kind: String,
        /// The disk's UUID in it.
        uuid: Option<String>,
    },
    /// Signatures that contradict each other.
    Ambiguous,
    /// It can't be read.
    Unreadable {
        /// What was attempted, and what came back.
        reason: String,
    },
}

/// What adopting a disk would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Adoption {
    /// It holds a filesystem of the appliance, which is used as it is.
    AsItIs,
    /// It would be formatted, once the owner has typed its id.
    Formats,
    /// It is the data disk.
    Adopted,
    /// It would be refused.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}
