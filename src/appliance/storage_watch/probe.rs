//! One look at the data root. Blocking; called on the blocking pool only.
//!
//! Must never touch anything but its own test file, which it removes again.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use lucid_device::disk::{self, DirectoryIdentity, DiskError, Space};

/// Name of the test file; hidden, and the same each time, so that a cut leaves at most one behind.
const TEST_FILE: &str = ".lucid-write-test";
/// What is written: one page, so that a disk which takes only empty files is found out.
const TEST_BYTES: [u8; 4096] = [0x4c; 4096];

/// Where services keep their stores: a directory for each, below the root.
const STORES: &str = "data";

/// What a look saw.
#[derive(Debug)]
pub(super) enum Seen {
    /// Nothing at that path.
    Absent,
    /// Something that is no directory.
    NotADirectory,
    /// The marker is not there.
    Foreign {
        /// Its name.
        marker: String,
    },
    /// The system refused to answer.
    Failed {
        /// What was asked.
        what: &'static str,
        /// What it said.
        error: String,
    },
    /// A directory.
    Directory {
        /// Which one.
        identity: DirectoryIdentity,
        /// Whether the filesystem is mounted read-only.
        read_only: bool,
        /// Room.
        space: Space,
        /// Whether services have something in it: to be read, and to be deleted when it is full.
        in_use: bool,
        /// What came of writing, where it was tried.
        writing: Option<Result<(), WriteFault>>,
    },
}

/// Why the test file could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteFault {
    /// No room, or the quota is used up.
    Full,
    /// Not our directory.
    Denied,
    /// The filesystem turned read-only.
    ReadOnly,
    /// Anything else, mostly an I/O error.
    Other(String),
}

impl Seen {
    /// Size of the filesystem in bytes.
    pub(super) fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::Directory { space, .. } => Some(space.size_bytes),
            _ => None,
        }
    }
}

/// Looks at `root`. `marker` must lie in it where given; writing is tried where asked for.
pub(super) fn look(root: &Path, marker: Option<&str>, test_writing: bool) -> Seen {
    let identity = match disk::identity(root) {
        Ok(identity) => identity,
        Err(error) => return unidentified(&error),
    };
    if let Some(marker) = marker {
        match fs::symlink_metadata(root.join(marker)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Seen::Foreign { marker: marker.to_owned() },
            Err(error) => return Seen::Failed { what: "its marker", error: error.to_string() },
        }
    }
    let read_only = match disk::is_read_only(root) {
        Ok(read_only) => read_only,
        Err(error) => return Seen::Failed { what: "how it is mounted", error: told(&error) },
    };
    let space = match disk::free_space(root) {
        Ok(space) => space,
        Err(error) => return Seen::Failed { what: "its free space", error: told(&error) },
    };
    let writing = (test_writing && !read_only).then(|| write_test(root));
    Seen::Directory { identity, read_only, space, in_use: is_in_use(root), writing }
}

/// Whether a service has left anything. What can't be looked into has nothing that could be used.
fn is_in_use(root: &Path) -> bool {
    let Ok(mut stores) = fs::read_dir(root.join(STORES)) else { return false };
    stores.any(|store| store.and_then(|store| fs::read_dir(store.path())).is_ok_and(|mut files| files.next().is_some()))
}

fn unidentified(error: &DiskError) -> Seen {
    match error {
        DiskError::NotADirectory { .. } => Seen::NotADirectory,
        DiskError::Identity { source, .. } if source.kind() == ErrorKind::NotFound => Seen::Absent,
        // A file where a directory of the path should be.
        DiskError::Identity { source, .. } if source.kind() == ErrorKind::NotADirectory => Seen::NotADirectory,
        _ => Seen::Failed { what: "what it is", error: told(error) },
    }
}

/// Writes, flushes and removes the test file.
fn write_test(root: &Path) -> Result<(), WriteFault> {
    let path = root.join(TEST_FILE);
    let written = write_flushed(&path).map_err(|error| WriteFault::from_io(&error));
    match fs::remove_file(&path) {
        Ok(()) => written,
        // What kept the file from being written explains better than that it can't be removed.
        Err(error) => written.and_then(|()| Err(WriteFault::from_io(&error))),
    }
}

fn write_flushed(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    file.write_all(&TEST_BYTES)?;
    file.sync_all()
}

impl WriteFault {
    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// The cause, without the path that the reason names anyway.
fn told(error: &DiskError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
