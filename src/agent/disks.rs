//! The disks that are there, and what is on them.
//!
//! [`block`] lists them from the kernel's tree, [`probe`] looks at what is on one, and here both become the list of
//! [`Volume`]s that may be mounted or formatted. Must never write to a disk.

pub(crate) mod block;
pub(crate) mod probe;

use std::path::PathBuf;

use lucid_agent_protocol::{Content, DiskId};
use lucid_device::{DiskState, Mount, Transport};

use block::Block;

/// Signature of the appliance's own filesystem.
pub(crate) const FILESYSTEM: &str = "ext4";

/// Something that may hold a filesystem: a partition, or a disk without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// The kernel's name, such as `sda1`.
    pub(crate) name: String,
    /// `major:minor`.
    pub(crate) device: String,
    /// Its disk's id.
    pub(crate) disk: DiskId,
    /// Its disk's model.
    pub(crate) model: Option<String>,
    /// Its disk has a serial number, by which it is the same disk after a restart.
    pub(crate) has_serial: bool,
    /// How its disk is attached.
    pub(crate) transport: Transport,
    /// Its number and its name in the table; none for a whole disk.
    pub(crate) partition: Option<(u32, Option<String>)>,
    /// Size in bytes.
    pub(crate) size_bytes: u64,
    /// It can't be written.
    pub(crate) read_only: bool,
    /// What is on it.
    pub(crate) content: Content,
    /// The running system lies on its disk.
    pub(crate) system: bool,
    /// Something has it open: a mount, a volume manager.
    pub(crate) in_use: bool,
}

/// A disk with its volumes.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) block: Block,
    pub(crate) drive: DiskState,
    pub(crate) id: DiskId,
    /// What is on it as a whole.
    pub(crate) content: Content,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) system: bool,
}

/// Which disk it is.
pub(crate) struct Identity {
    pub(crate) drive: DiskState,
    pub(crate) id: DiskId,
    /// The id is a serial number.
    pub(crate) has_serial: bool,
}

impl Volume {
    /// Its device file.
    pub(crate) fn path(&self) -> PathBuf {
        block::path(&self.name)
    }

    /// Whether it is a filesystem of the appliance: the right kind with the right label.
    pub(crate) fn is_ours(&self) -> bool {
        let label = match &self.content {
            Content::Signature { kind, label, .. } if kind == FILESYSTEM => label.as_deref(),
            _ => None,
        };
        label == Some(lucid_layout::disk::DATA_LABEL)
    }

    /// The UUID of the filesystem on it, if it is of the kind that the appliance uses.
    pub(crate) fn uuid(&self) -> Option<&str> {
        match &self.content {
            Content::Signature { kind, uuid, .. } if kind == FILESYSTEM => uuid.as_deref(),
            _ => None,
        }
    }

    /// Whether there is no signature on it.
    pub(crate) fn has_no_signature(&self) -> bool {
        matches!(self.content, Content::Empty | Content::Unknown)
    }

    /// Whether it is a disk as a whole, without partitions.
    pub(crate) fn is_whole_disk(&self) -> bool {
        self.partition.is_none()
    }
}

/// Looks at what is on each of `blocks`, in the order in which they are shown: the system's own disk first.
pub(crate) fn look(blocks: &[Block], system: &[String], mounts: &[Mount]) -> Vec<Seen> {
    let mut seen: Vec<_> = blocks.iter().map(|block| look_at(block, system, mounts)).collect();
    seen.sort_by_key(|disk| (!disk.system, disk.block.name.clone()));
    seen
}

/// Which disk it is.
pub(crate) fn identity(block: &Block) -> Identity {
    let drive = lucid_device::disk_state(&block.dir);
    let serial = drive.serial.present().and_then(|serial| serial.parse::<DiskId>().ok());
    Identity { has_serial: serial.is_some(), id: serial.unwrap_or_else(|| block.id()), drive }
}

fn look_at(block: &Block, system: &[String], mounts: &[Mount]) -> Seen {
    let Identity { drive, id, has_serial } = identity(block);
    let system = system.contains(&block.name);
    let content = probe::content(&block::path(&block.name));
    let whole = Volume {
        name: block.name.clone(),
        device: block.device.clone(),
        has_serial,
        disk: id.clone(),
        model: drive.model.present().cloned(),
        transport: drive.transport,
        partition: None,
        size_bytes: block.size_bytes,
        read_only: block.read_only,
        content: content.clone(),
        system,
        in_use: block.held || is_mounted(&block.device, mounts),
    };
    let volumes: Vec<_> = block.partitions.iter().map(|partition| of_partition(&whole, partition, mounts)).collect();
    let volumes = if volumes.is_empty() { vec![whole] } else { volumes };
    Seen { block: block.clone(), drive, id, content, volumes, system }
}

fn of_partition(whole: &Volume, partition: &block::Partition, mounts: &[Mount]) -> Volume {
    let path = block::path(&partition.name);
    // Only there does a name decide anything.
    let in_table = || if whole.system { probe::name_in_table(&path) } else { None };
    Volume {
        name: partition.name.clone(),
        device: partition.device.clone(),
        partition: Some((partition.number, partition.label.clone().or_else(in_table))),
        size_bytes: partition.size_bytes,
        content: probe::content(&path),
        in_use: partition.held || is_mounted(&partition.device, mounts),
        ..whole.clone()
    }
}

fn is_mounted(device: &str, mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| mount.device == device)
}
