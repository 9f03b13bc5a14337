//! Mounting the data disk, unmounting it, and the folders on it.
//!
//! Promises: what is on the disk can't lead out of it: folders are opened without following links. Must never force:
//! what is in use stays mounted, unless the disk is gone.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use lucid_device::{Mount, Reading, disk};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use lucid_agent_protocol::MountedSsd;

use crate::disks::FILESYSTEM;

/// The folder that is ours, and those in it.
const OURS: &str = "Lucid";
const FOLDERS: [&str; 3] = ["data", "logs", "backup"];

/// Mounts in the order in which they lie on each other. Of this thread, since a thread may have mounts of its own.
pub(crate) fn mounts() -> io::Result<Vec<Mount>> {
    Ok(lucid_device::mounts(&std::fs::read_to_string("/proc/thread-self/mountinfo")?))
}

/// What is mounted at `mount_point`, on top.
pub(crate) fn at<'mounts>(mounts: &'mounts [Mount], mount_point: &Path) -> Option<&'mounts Mount> {
    mounts.iter().rfind(|mount| mount.mount_point == mount_point)
}

/// Mounts `device`. Nothing on it can be run, be a device or lend rights; an error of the disk stops all writing.
pub(crate) fn mount(device: &Path, mount_point: &Path, read_only: bool) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    let flags = if read_only { flags | MountFlags::RDONLY } else { flags };
    Ok(rustix::mount::mount(device, mount_point, FILESYSTEM, flags, c"errors=remount-ro")?)
}

/// Unmounts; fails with `EBUSY` while a file on it is open.
pub(crate) fn unmount(mount_point: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(mount_point, UnmountFlags::NOFOLLOW)?)
}

/// Takes away a mount whose disk is gone. Files that are open on it get errors until they are closed.
pub(crate) fn let_go(mount_point: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(mount_point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)?)
}

/// Makes the folders on a disk mounted at `mount_point`, owned by `user`.
pub(crate) fn make_folders(mount_point: &Path, user: u32) -> io::Result<()> {
    let root = rustix::fs::open(mount_point, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let ours = folder(&root, OURS, user)?;
    FOLDERS.iter().try_for_each(|name| folder(&ours, name, user).map(drop))
}

/// The folder `name` in `parent`, made if it is not there.
fn folder(parent: &OwnedFd, name: &str, user: u32) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let stat = rustix::fs::statat(&folder, "", AtFlags::EMPTY_PATH)?;
    if (stat.st_uid, stat.st_gid) != (user, user) {
        rustix::fs::fchown(&folder, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?;
    }
    if stat.st_mode & 0o7777 != 0o700 {
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
    }
    Ok(folder)
}

/// What there is to say of the mounted disk.
pub(crate) fn report(mount: &Mount, sys: &Path) -> MountedSsd {
    let space = match disk::free_space(&mount.mount_point) {
        Ok(space) => Reading::Present(space),
        Err(error) => Reading::failed(error.to_string()),
    };
    MountedSsd {
        device: mount.source.clone(),
        options: mount.options.clone(),
        read_only: mount.read_only,
        errors: errors(&mount.source, sys),
        size_bytes: space.clone().map(|space| space.size_bytes),
        free_bytes: space.map(|space| space.free_bytes),
    }
}

/// The count of errors that ext4 keeps in its superblock.
fn errors(source: &str, sys: &Path) -> Reading<u64> {
    let name = source.trim_start_matches("/dev/").replace('/', "!");
    let path = sys.join("fs").join(FILESYSTEM).join(name).join("errors_count");
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(count) => Reading::Present(count),
            Err(error) => Reading::failed(format!("`{}` holds no number: {error}", path.display())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Reading::absent("the filesystem keeps no such count"),
        Err(error) => Reading::failed(format!("reading `{}`: {error}", path.display())),
    }
}
