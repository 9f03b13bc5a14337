//! The real disk: partitions as the kernel shows them, confirmed by the partition table's GUIDs.
//!
//! Must never take a partition by its name or its place alone: two disks of the appliance look the same. Nor wait for
//! another disk without a limit: one that hangs must not keep the agent from starting.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use lucid_layout::{Partition, Slot};
use uuid::Uuid;

use super::block_device::BlockDevice;
use super::{Access, Device, Disk, SlotsError, table};
use crate::Managed;
use crate::disks::block::{self, Block};
use crate::keeper;

/// Devices upon devices below the root: verity on a partition is one.
const DEPTH_MAX: u32 = 4;
/// How long the other disks are waited for. They give a few sectors each in milliseconds; systemd, the gate of a trial
/// and whoever asks wait for the agent meanwhile.
const TWIN_MAX: Duration = Duration::from_secs(5);
/// Its name in the process list, of at most 15 bytes.
const TWIN_THREAD: &str = "lucid-twin";

/// The disk that the box was booted from.
pub(crate) struct BootDisk {
    sys: PathBuf,
    /// Which other disks are looked at.
    managed: Managed,
    /// Its name, by the stage before systemd.
    name: String,
    /// Where the root file system is mounted; `/` but in tests.
    root: PathBuf,
    twins: Arc<Mutex<Twins>>,
}

/// What is known of other disks that look the same.
#[derive(Default)]
struct Twins {
    /// What was found the last time on which disks: a disk is opened for it only when one comes or goes.
    known: Option<(Vec<Block>, Option<String>)>,
    /// Lives in the thread that looks. Another one is begun only after it: a disk that hangs takes one thread.
    looking: Weak<()>,
}

impl BootDisk {
    /// The disk `name`.
    pub(crate) fn new(sys: &Path, managed: &Managed, name: &str, root: &Path) -> Self {
        let (sys, managed, root) = (sys.to_owned(), managed.clone(), root.to_owned());
        Self { sys, managed, name: name.to_owned(), root, twins: Arc::default() }
    }

    /// The number of the partition that the root file system lies on.
    fn root_partition(&self) -> io::Result<u32> {
        let mounts = keeper::mounts()?;
        let mount = mounts.iter().rfind(|mount| mount.mount_point == self.root);
        let mount = mount.ok_or_else(|| io::Error::other("the root file system is not mounted"))?;
        let device = self.sys.join("dev/block").join(&mount.device).canonicalize()?;
        let partition = below(device, DEPTH_MAX)?;
        let disk = partition.parent().and_then(Path::file_name).unwrap_or_default();
        if disk != self.name.as_str() {
            return Err(io::Error::other(format!("the root file system is not on the boot disk `{}`", self.name)));
        }
        number(&partition)?.ok_or_else(|| io::Error::other("the root file system is on no partition"))
    }

    /// The device file and the size of a partition.
    fn find(&self, partition: Partition) -> io::Result<(PathBuf, u64)> {
        let disk = self.disk()?;
        let found = disk.partitions.iter().find(|found| found.number == partition.number());
        let found = found.filter(|found| found.label.as_deref() == Some(partition.name()));
        let guids = guids(&disk.name)?;
        let guid = guids.get(partition.number() as usize - 1).filter(|guid| is(guid, partition));
        match (found, guid) {
            (Some(found), Some(_)) => Ok((block::path(&found.name), found.size_bytes)),
            _ => Err(io::Error::other("the boot disk has no such partition")),
        }
    }

    fn disk(&self) -> io::Result<Block> {
        let all = block::list(&self.sys, &self.managed)?;
        let ours = all.into_iter().find(|block| block.name == self.name);
        ours.ok_or_else(|| io::Error::other(format!("the boot disk `{}` is gone", self.name)))
    }

    /// As [`Disk::twin`]; the other disks have `patience` to answer.
    pub(super) fn twin_within(&self, patience: Duration) -> Result<Option<String>, SlotsError> {
        let blocks = block::list(&self.sys, &self.managed);
        let blocks = blocks.map_err(|error| SlotsError::Unknown(format!("the disks can't be listed: {error}")))?;
        let others: Vec<_> = blocks.iter().map(|block| block.name.clone()).filter(|name| *name != self.name).collect();
        let found = {
            let mut twins = lock(&self.twins);
            match &twins.known {
                Some((seen, twin)) if *seen == blocks => return Ok(twin.clone()),
                _ => self.begin_look(&mut twins, blocks, others.clone())?,
            }
        };
        // Not under the lock: whoever asks meanwhile is told so at once.
        found.recv_timeout(patience).map_err(|_| unanswered(&others))
    }

    /// Looks on a thread of its own, because nothing ends a read from a disk that hangs.
    fn begin_look(
        &self,
        twins: &mut Twins,
        blocks: Vec<Block>,
        others: Vec<String>,
    ) -> Result<Receiver<Option<String>>, SlotsError> {
        if twins.looking.strong_count() > 0 {
            return Err(unanswered(&others));
        }
        let looking = Arc::new(());
        twins.looking = Arc::downgrade(&looking);
        let (tell, found) = mpsc::channel();
        let twins = self.twins.clone();
        let look = move || {
            let twin = look_for_twin(&others);
            let mut twins = lock(&twins);
            twins.known = Some((blocks, twin.clone()));
            drop(looking);
            drop(twins);
            // Whoever asked may have given up. It is known for the next one.
            let _ = tell.send(twin);
        };
        let begun = thread::Builder::new().name(TWIN_THREAD.to_owned()).spawn(look);
        begun.map_err(|error| SlotsError::Unknown(format!("the other disks can't be looked at: {error}")))?;
        Ok(found)
    }
}

impl Disk for BootDisk {
    fn mounted(&self) -> Result<Slot, SlotsError> {
        let partition = self.root_partition().map_err(|error| SlotsError::Unknown(error.to_string()))?;
        let slot = Slot::ALL.into_iter().find(|slot| slot.root().number() == partition);
        slot.ok_or_else(|| SlotsError::Unknown(format!("the root file system is on partition {partition}")))
    }

    fn open(&self, partition: Partition, access: Access) -> Result<Box<dyn Device>, SlotsError> {
        let open = || {
            let (path, bytes) = self.find(partition)?;
            BlockDevice::open(&path, bytes, access)
        };
        let attempted = if access == Access::Write { "opened for writing" } else { "opened" };
        let opened = open().map_err(|source| SlotsError::Device { partition, attempted, source })?;
        Ok(Box::new(opened))
    }

    fn twin(&self) -> Result<Option<String>, SlotsError> {
        self.twin_within(TWIN_MAX)
    }
}

fn look_for_twin(others: &[String]) -> Option<String> {
    let is_ours = |guid: &Uuid| Partition::IN_IMAGE.iter().any(|partition| is(guid, *partition));
    let mut twins = others.iter().filter(|disk| match guids(disk) {
        Ok(guids) => guids.iter().any(is_ours),
        Err(error) => {
            // A disk that can't be read can't be booted either.
            tracing::warn!(disk, %error, "whether a disk is another appliance's is not known");
            false
        }
    });
    twins.next().cloned()
}

fn unanswered(others: &[String]) -> SlotsError {
    SlotsError::Unanswered { disks: others.join("`, `") }
}

fn lock(twins: &Mutex<Twins>) -> MutexGuard<'_, Twins> {
    // Every change is one assignment: a poisoned lock leaves nothing half done.
    twins.lock().unwrap_or_else(PoisonError::into_inner)
}

fn guids(disk: &str) -> io::Result<Vec<Uuid>> {
    table::partition_guids(&File::open(block::path(disk))?)
}

fn is(guid: &Uuid, partition: Partition) -> bool {
    guid.hyphenated().to_string() == partition.guid()
}

/// Follows devices that are made of others to what they lie on.
fn below(device: PathBuf, depth: u32) -> io::Result<PathBuf> {
    let slaves = device.join("slaves");
    let slave = match fs::read_dir(&slaves) {
        Ok(mut slaves) => slaves.next().transpose()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match slave {
        Some(slave) if depth > 0 => below(slave.path().canonicalize()?, depth - 1),
        Some(_) => Err(io::Error::other("the root file system lies too deep")),
        None => Ok(device),
    }
}

/// A partition's number; none for what is no partition.
fn number(dir: &Path) -> io::Result<Option<u32>> {
    match fs::read_to_string(dir.join("partition")) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
