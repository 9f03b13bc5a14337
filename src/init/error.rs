//! Why a step failed. What to do about it is the step's own (`stage.rs`), and is said after the cause.

use std::io;
use std::path::{Path, PathBuf};

use lucid_fat::FatError;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A call to the kernel failed.
    #[error("cannot {attempted} `{}`", path.display())]
    Io {
        /// For example «read».
        attempted: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is longer than {bytes_max} bytes", path.display())]
    TooLong { path: PathBuf, bytes_max: u64 },
    /// A file does not hold what it should.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
    /// The boot disk does not look like one.
    #[error("the boot disk has no partition {number} named `{name}`")]
    Partition { number: u32, name: &'static str },
    /// The root file system is not on a partition.
    #[error("the root file system `{0}` is on no partition")]
    NoPartition(String),
    /// The check of the state's file system found what it must not repair on its own.
    #[error("e2fsck left errors uncorrected on `{}` (exit status {status})", path.display())]
    Uncorrected { path: PathBuf, status: i32 },
    /// The check could not be made.
    #[error("e2fsck could not check `{}` ({outcome})", path.display())]
    Unchecked { path: PathBuf, outcome: String },
    /// The slot of the command line is not the one that was mounted.
    #[error("the command line says slot {slot}, and the root file system is on partition {partition}")]
    SlotMismatch { slot: char, partition: u32 },
    /// The provisioning file was not found.
    #[error("cannot find the provisioning file")]
    Fat(#[from] FatError),
    /// autoboot.txt was not found.
    #[error("cannot find autoboot.txt")]
    Autoboot(#[source] FatError),
    /// Something is not there that should be.
    #[error("{0}")]
    Absent(&'static str),
}

impl Error {
    /// For `map_err`: what was attempted on which path.
    pub(crate) fn io(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { attempted, path, source }
    }
}
