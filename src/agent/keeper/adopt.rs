//! Which disks may be adopted, and how: a function of what is on them.
//!
//! Must never allow to format what has a signature on it, whoever confirms it.

use std::io;

use lucid_agent_protocol::{Adopted, Adoption, Content, Disk, DiskId, Partition, Refusal, RefusalCode};
use lucid_device::Mount;

use crate::Config;
use crate::disks::{self, Seen, Volume, block};
use crate::smart;

/// Partitions of one disk that are shown. The appliance's own has seven; a table may have 128.
const PARTITIONS_MAX: usize = 16;

/// What adopting means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is the data disk.
    Adopted,
    /// Use the filesystem that is there.
    AsItIs(Volume),
    /// Make one.
    Format(Volume),
}

/// What adopting `disk` would mean.
pub(super) fn plan(disk: &Seen, adopted: Option<&Adopted>) -> Result<Plan, Refusal> {
    let is_adopted = |volume: &Volume| adopted.is_some_and(|adopted| volume.uuid() == Some(&*adopted.uuid));
    if disk.volumes.iter().any(is_adopted) {
        return Ok(Plan::Adopted);
    }
    let ours: Vec<_> = disk.volumes.iter().filter(|volume| volume.is_ours()).collect();
    match ours.as_slice() {
        [] => format(disk),
        [volume] if volume.in_use => Err(in_use()),
        [volume] => Ok(Plan::AsItIs((*volume).clone())),
        _ => Err(foreign("it has several filesystems labelled `lucid-data`: keep one, on another machine")),
    }
}

/// Whether `disk` may be formatted.
fn format(disk: &Seen) -> Result<Plan, Refusal> {
    match disk.volumes.as_slice() {
        _ if disk.system => Err(foreign("the system runs from it: connect another disk")),
        volumes if volumes.iter().any(|volume| volume.in_use) => Err(in_use()),
        _ if disk.block.read_only => {
            Err(Refusal::new(RefusalCode::WrongState, "it is write-protected: take the protection off"))
        }
        [volume] if volume.is_whole_disk() && volume.has_no_signature() => Ok(Plan::Format(volume.clone())),
        _ => Err(foreign(&format!("{}: save what is on it and wipe it on another machine", describe(disk)))),
    }
}

fn in_use() -> Refusal {
    Refusal::new(RefusalCode::Busy, "it is in use: connect another disk, or restart the box")
}

fn foreign(message: &str) -> Refusal {
    Refusal::new(RefusalCode::Foreign, message)
}

/// What is on a disk, for its owner.
fn describe(disk: &Seen) -> String {
    match &disk.content {
        Content::Signature { kind, label: Some(label), .. } => format!("it holds {kind} with the label `{label}`"),
        Content::Signature { kind, .. } => format!("it holds {kind}"),
        Content::PartitionTable { kind, .. } => {
            format!("it holds a partition table ({kind}) with {} partitions", disk.block.partitions.len())
        }
        Content::Ambiguous => "it holds several things that contradict each other".to_owned(),
        Content::Unreadable { reason } => format!("it can't be read ({reason})"),
        Content::Empty | Content::Unknown => "it holds partitions".to_owned(),
    }
}

/// The disk named `id`.
pub(super) fn find<'seen>(seen: &'seen [Seen], id: &DiskId) -> Result<&'seen Seen, Refusal> {
    let found: Vec<_> = seen.iter().filter(|disk| disk.id == *id).collect();
    match found.as_slice() {
        [disk] => Ok(disk),
        [] => Err(Refusal::new(
            RefusalCode::NotFound,
            format!("no disk `{id}` is connected: connect it, or choose another"),
        )),
        _ => Err(Refusal::new(
            RefusalCode::NotUnique,
            format!("several disks say that they are `{id}`: unplug all but one"),
        )),
    }
}

/// Every disk as it is shown.
pub(crate) fn list(config: &Config, adopted: Option<&Adopted>) -> io::Result<Vec<Disk>> {
    let mounts = super::mounts()?;
    let blocks = block::list(&config.sys, &config.managed)?;
    let seen = disks::look(&blocks, &block::system(&config.sys, &mounts), &mounts);
    Ok(seen.into_iter().map(|disk| shown(disk, adopted, &mounts)).collect())
}

fn shown(disk: Seen, adopted: Option<&Adopted>, mounts: &[Mount]) -> Disk {
    let adoption = match plan(&disk, adopted) {
        Ok(Plan::Adopted) => Adoption::Adopted,
        Ok(Plan::AsItIs(_)) => Adoption::AsItIs,
        Ok(Plan::Format(_)) => Adoption::Formats,
        Err(refusal) => Adoption::Refused { reason: refusal.message },
    };
    let mut drive = disk.drive;
    drive.smart = smart::read(&block::path(&disk.block.name), drive.transport);
    let partitions = disk.volumes.into_iter().filter_map(|volume| partition(volume, mounts));
    Disk {
        id: disk.id,
        content: disk.content,
        partitions: partitions.take(PARTITIONS_MAX).collect(),
        partitions_omitted: disk.block.partitions.len().saturating_sub(PARTITIONS_MAX),
        mounted_at: mounted_at(&disk.block.device, mounts),
        system: disk.system,
        adoption,
        drive,
    }
}

fn partition(volume: Volume, mounts: &[Mount]) -> Option<Partition> {
    let (number, _) = volume.partition?;
    Some(Partition {
        number,
        mounted_at: mounted_at(&volume.device, mounts),
        name: volume.name,
        size_bytes: volume.size_bytes,
        content: volume.content,
    })
}

fn mounted_at(device: &str, mounts: &[Mount]) -> Option<String> {
    let mount = mounts.iter().find(|mount| mount.device == device)?;
    Some(mount.mount_point.display().to_string())
}
