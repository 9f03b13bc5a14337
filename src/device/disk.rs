//! Questions to the kernel about a directory: how much room, whose filesystem, writable, and still the same one.
//!
//! Promises: answers for the filesystem that is there now; nothing is cached.
//! Must never write a probe file: a full or dying disk must not be touched to be looked at.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatVfs, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;

use crate::{files, linux::holding};

/// The mounts that this process sees.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Room on a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Size of the filesystem in bytes.
    pub size_bytes: u64,
    /// What an ordinary process may still write, in bytes; less than what is free where root keeps a reserve.
    pub free_bytes: u64,
}

/// What makes a directory the one it was: compare before and after to notice that it vanished and another one stands
/// in its place.
///
/// A disk swapped for another at the same device number has the same device and often the same inode number; its birth
/// time tells them apart, on filesystems that keep one (ext4, btrfs, xfs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// Device number, major and minor.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// Birth time in seconds and nanoseconds since the epoch.
    pub born: Option<(i64, u32)>,
}

/// Why the kernel gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The filesystem could not be asked.
    #[error("cannot ask for the filesystem of `{}`", path.display())]
    Filesystem {
        /// The path asked about.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The directory could not be asked.
    #[error("cannot ask for the identity of `{}`", path.display())]
    Identity {
        /// The path asked about.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// There is something at the path, but no directory.
    #[error("`{}` is not a directory", path.display())]
    NotADirectory {
        /// The path asked about.
        path: PathBuf,
    },
}

/// Room on the filesystem of a path.
///
/// # Errors
/// The path doesn't exist or its filesystem doesn't answer.
pub fn free_space(path: &Path) -> Result<Space, DiskError> {
    let stat = statvfs(path)?;
    Ok(Space {
        size_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

/// Whether the filesystem of a path is mounted read-only, or has stopped writing after an error. A newer ext4 tells
/// `statvfs` nothing of the latter, only its mount options do.
///
/// # Errors
/// The path doesn't exist, or its filesystem or the table of mounts doesn't answer.
pub fn is_read_only(path: &Path) -> Result<bool, DiskError> {
    if statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let failed = |source| DiskError::Filesystem { path: path.to_owned(), source };
    let resolved = path.canonicalize().map_err(failed)?;
    let mountinfo = files::text(Path::new(MOUNTINFO));
    let Some(mountinfo) = mountinfo.present() else {
        let reason = mountinfo.reason().unwrap_or("no reason given").to_owned();
        return Err(failed(std::io::Error::other(reason)));
    };
    Ok(holding(mountinfo, &resolved).is_some_and(|mount| mount.read_only))
}

/// Whether two directories lie on the same filesystem, so that a rename from one to the other is atomic.
///
/// # Errors
/// One of them doesn't exist, is no directory, or can't be asked.
pub fn same_filesystem(one: &Path, other: &Path) -> Result<bool, DiskError> {
    Ok(identity(one)?.device == identity(other)?.device)
}

/// The identity of a directory.
///
/// # Errors
/// It doesn't exist, is no directory, or can't be asked.
pub fn identity(path: &Path) -> Result<DirectoryIdentity, DiskError> {
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::BTIME;
    let stat = rustix::fs::statx(CWD, path, AtFlags::empty(), wanted)
        .map_err(|errno: Errno| DiskError::Identity { path: path.to_owned(), source: errno.into() })?;
    if rustix::fs::FileType::from_raw_mode(u32::from(stat.stx_mode)) != rustix::fs::FileType::Directory {
        return Err(DiskError::NotADirectory { path: path.to_owned() });
    }
    let has_birth_time = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(DirectoryIdentity {
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        born: has_birth_time.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)),
    })
}

fn statvfs(path: &Path) -> Result<StatVfs, DiskError> {
    rustix::fs::statvfs(path)
        .map_err(|errno: Errno| DiskError::Filesystem { path: path.to_owned(), source: errno.into() })
}

#[cfg(test)]
mod tests;
