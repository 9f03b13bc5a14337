//! What to do next about the data disk: a function of what is there and what was decided.
//!
//! Must never do anything itself, nor choose to format what has a signature on it.

use lucid_agent_protocol::{Content, SsdState};
use lucid_device::Transport;
use lucid_layout::provisioning::{Consent, Ssd};

use super::intent::{Format, Intent};
use crate::disks::Volume;

/// An empty disk below this is not taken for the data disk without being asked: it holds hardly an hour of recording.
pub(crate) const FORMAT_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// What is there, while nothing is mounted.
pub(crate) struct Scene<'scene> {
    pub(crate) intent: &'scene Intent,
    pub(crate) consent: &'scene Ssd,
    pub(crate) volumes: &'scene [Volume],
    /// The disks have been the same for a while: none is still on its way.
    pub(crate) settled: bool,
    /// The owner asked for it to be unmounted.
    pub(crate) detached: bool,
    /// The system's own disk has room for a data partition and none yet.
    pub(crate) room_on_system_disk: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, for this reason.
    Rest(SsdState, String),
    /// Mount the adopted filesystem.
    Mount(Volume),
    /// Adopt a filesystem of the appliance.
    Adopt(Volume),
    /// Give a disk a filesystem.
    Format(Volume),
    /// Finish what was interrupted.
    Finish(Volume, Format),
    /// Make the data partition on the system's own disk.
    Partition,
}

/// What to do next.
pub(crate) fn decide(scene: &Scene<'_>) -> Step {
    match scene.intent {
        Intent::Use(adopted) => mount(scene, &adopted.uuid, &name(adopted.disk.as_str(), adopted.model.as_deref())),
        Intent::Format(format) => finish(scene, format),
        Intent::None if !scene.settled => none("looking for disks"),
        Intent::None => adopt(scene),
    }
}

fn none(reason: impl Into<String>) -> Step {
    Step::Rest(SsdState::NotAdopted, reason.into())
}

fn failed(reason: impl Into<String>) -> Step {
    Step::Rest(SsdState::Failed, reason.into())
}

/// A disk as the owner knows it.
fn name(disk: &str, model: Option<&str>) -> String {
    model.map_or_else(|| format!("the disk `{disk}`"), |model| format!("the {model} with serial number `{disk}`"))
}

fn mount(scene: &Scene<'_>, uuid: &str, name: &str) -> Step {
    let found: Vec<_> = scene.volumes.iter().filter(|volume| volume.uuid() == Some(uuid)).collect();
    match found.as_slice() {
        [] => match scene.volumes.iter().find_map(unreadable) {
            Some(reason) => {
                Step::Rest(SsdState::Absent, format!("{name} was not found, and a disk can't be read: {reason}"))
            }
            None => Step::Rest(SsdState::Absent, format!("{name} is not connected: connect it")),
        },
        [_] if scene.detached => {
            Step::Rest(SsdState::Detached, format!("{name} may be unplugged; mount it to use it again"))
        }
        [volume] => Step::Mount((*volume).clone()),
        _ => failed(format!("there are two copies of {name}: unplug the one that should not be used")),
    }
}

fn unreadable(volume: &Volume) -> Option<String> {
    match &volume.content {
        Content::Unreadable { reason } => Some(reason.clone()),
        _ => None,
    }
}

fn finish(scene: &Scene<'_>, format: &Format) -> Step {
    let number = |volume: &Volume| volume.partition.as_ref().map(|(number, _)| *number);
    let is_it = |volume: &&Volume| volume.disk == format.disk && number(volume) == format.partition;
    let found: Vec<_> = scene.volumes.iter().filter(is_it).collect();
    let name = name(format.disk.as_str(), format.model.as_deref());
    match found.as_slice() {
        _ if !format.has_serial => failed(format!(
            "formatting {name} was interrupted, and without a serial number nobody can tell that this is still the \
             same one: adopt it again"
        )),
        [] => Step::Rest(SsdState::Absent, format!("formatting {name} was interrupted: connect it")),
        [volume] if volume.has_no_signature() || volume.uuid() == Some(&*format.uuid) => {
            Step::Finish((*volume).clone(), format.clone())
        }
        [_] => failed(format!("formatting {name} was interrupted, and now something else is on it: adopt a disk")),
        _ => failed(format!("two disks say that they are {name}: unplug one")),
    }
}

/// What the owner allowed in the provisioning; else the system's own disk, where that is an NVMe disk.
fn adopt(scene: &Scene<'_>) -> Step {
    let serial = scene.consent.serial.as_ref();
    let is_allowed = |volume: &&Volume| {
        let is_wanted = serial.is_none_or(|serial| serial.as_str() == volume.disk.as_str());
        is_wanted && !volume.system && !volume.in_use && !volume.read_only
    };
    let allowed: Vec<_> = scene.volumes.iter().filter(is_allowed).collect();
    let labelled: Vec<_> = allowed.iter().filter(|volume| volume.is_ours()).collect();
    match (scene.consent.consent, labelled.as_slice()) {
        (Consent::None, _) => own_partition(scene),
        (Consent::Labelled, []) => {
            none("no disk with the label `lucid-data` is connected: connect one, or adopt a disk")
        }
        (Consent::Empty, []) => empty(&allowed),
        (_, [volume]) => Step::Adopt((**volume).clone()),
        (_, _) => none("several disks have the label `lucid-data`: adopt the one to use"),
    }
}

/// The one empty disk, if there is one. A card is none: the slot may hold one from a camera.
fn empty(allowed: &[&Volume]) -> Step {
    let is_fit = |volume: &&&Volume| {
        volume.is_whole_disk()
            && volume.content == Content::Empty
            && volume.has_serial
            && volume.transport != Transport::Mmc
            && volume.size_bytes >= FORMAT_BYTES_MIN
    };
    let fit: Vec<_> = allowed.iter().filter(is_fit).collect();
    match fit.as_slice() {
        [] => none("no empty disk with a serial number is connected: connect one, or adopt a disk"),
        [volume] => Step::Format((**volume).clone()),
        _ => none("several empty disks are connected: adopt the one to use"),
    }
}

/// The data partition of the system's own disk. What it held before the image was flashed anew is kept.
fn own_partition(scene: &Scene<'_>) -> Step {
    let own = lucid_layout::Partition::Data;
    let is_own = |volume: &&Volume| {
        let partition = volume.partition.as_ref().map(|(number, label)| (*number, label.as_deref()));
        volume.system && partition == Some((own.number(), Some(own.name())))
    };
    match scene.volumes.iter().find(is_own) {
        Some(volume) if volume.is_ours() => Step::Adopt(volume.clone()),
        Some(volume) if volume.has_no_signature() => Step::Format(volume.clone()),
        Some(_) => none("the data partition of the system's disk holds something else: adopt another disk"),
        None if scene.room_on_system_disk => Step::Partition,
        None => none("no disk was adopted: connect an SSD and adopt it"),
    }
}

#[cfg(test)]
mod tests;
