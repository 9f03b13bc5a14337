//! The real device: what Linux shows an ordinary process of a Raspberry Pi 5, or of any other machine.
//!
//! Every path hangs below a root, `/` in production, so that recorded trees can stand in for a machine.
//! Must never need a privilege: what takes one (SMART, `/dev/vcio`, the fan's drive) belongs to the agent, and is
//! [`crate::Reading::Absent`] here.

mod host;
mod interfaces;
mod mounts;
mod power;
mod storage;
mod thermal;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use crate::Device;
use crate::files::Root;
use host::CpuSample;
pub use interfaces::interfaces;
pub(crate) use mounts::holding;
pub use mounts::{Mount, mounts};
pub use storage::disk_state;

/// Where the bulk data is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataPlace {
    /// A mount point of its own: nothing mounted there means no SSD. The appliance's case.
    MountPoint(PathBuf),
    /// Any directory, on whatever filesystem it lies. The developer's case.
    Directory(PathBuf),
}

/// The real device.
#[derive(Debug)]
pub struct Linux {
    root: Root,
    data_place: DataPlace,
    /// Set by the first undervoltage seen; the kernel's alarm forgets after two seconds.
    undervoltage_seen: AtomicBool,
    /// The processor times of the last question, from which usage is counted.
    cpu_sample: Mutex<CpuSample>,
}

impl Linux {
    /// The machine that this process runs on.
    pub fn new(data_place: DataPlace) -> Self {
        Self::below(Path::new("/"), data_place)
    }

    /// The machine whose `/proc` and `/sys` hang below `root`. The data place is a path inside that root.
    pub fn below(root: &Path, data_place: DataPlace) -> Self {
        Self {
            root: Root::new(root),
            data_place,
            undervoltage_seen: AtomicBool::new(false),
            cpu_sample: Mutex::new(CpuSample::default()),
        }
    }
}

impl Device for Linux {
    fn simulated(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
