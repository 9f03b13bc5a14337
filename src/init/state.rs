//! `/state`: checked, mounted, and with the directories that everyone expects there.
//!
//! Promises: there is always something on `/state` that can be written, and the caller knows whether it lasts. Must
//! never make a file system on the partition, nor mount one that its check gave up on.

use std::fs::OpenOptions;
use std::path::Path;

use lucid_layout::paths;
use rustix::mount::MountFlags;

use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;
use crate::system::{Mount, System};

const FLAGS: MountFlags =
    MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC).union(MountFlags::NOATIME);

/// After an error of the device nothing more is written: half a file is worse than an old one.
const OPTIONS: &str = "errors=remount-ro";

/// What stands in for the partition must not fill the memory: the journal alone would take 64 MB.
const STAND_IN_OPTIONS: &str = "mode=0755,size=96m,nr_inodes=16k";

/// The checker, where the root file system has one.
const CHECKER: &str = "/sbin/e2fsck";

/// Bits of its exit status (e2fsck(8)): errors corrected; a reboot is advised, which only a mounted file system needs.
const CORRECTED: i32 = 1 | 2;
/// Errors left uncorrected.
const UNCORRECTED: i32 = 4;

/// Checks the file system on `device`. Without a checker the journal's replay at the mount has to do.
///
/// Returns whether something was repaired.
pub(crate) fn check(root: &Root, system: &dyn System, device: &Path) -> Result<bool, Error> {
    let checker = root.at(CHECKER);
    if !checker.exists() {
        return Err(Error::Absent("there is no e2fsck in the root file system"));
    }
    let output = OpenOptions::new().append(true).open(root.at("/dev/kmsg")).ok();
    let unchecked = |outcome| Error::Unchecked { path: device.to_owned(), outcome };
    match system.check(&checker, device, output) {
        Ok(Some(status)) if status & !CORRECTED == 0 => Ok(status & CORRECTED != 0),
        Ok(Some(status)) if status & UNCORRECTED != 0 => Err(Error::Uncorrected { path: device.to_owned(), status }),
        Ok(Some(status)) => Err(unchecked(format!("exit status {status}"))),
        Ok(None) => Err(unchecked("a signal ended it".to_owned())),
        Err(error) => Err(unchecked(error.to_string())),
    }
}

/// Mounts the partition for reading and writing.
pub(crate) fn mount(root: &Root, system: &dyn System, device: &Path) -> Result<(), Error> {
    let mount = Mount { source: device, kind: "ext4", flags: FLAGS, options: OPTIONS };
    system.mount(&mount, &root.at(paths::STATE)).map_err(Error::io("mount", device))
}

/// Mounts a file system in memory instead.
pub(crate) fn mount_stand_in(root: &Root, system: &dyn System) -> Result<(), Error> {
    let target = root.at(paths::STATE);
    let mount = Mount { source: Path::new("tmpfs"), kind: "tmpfs", flags: FLAGS, options: STAND_IN_OPTIONS };
    system.mount(&mount, &target).map_err(Error::io("mount", &target))
}

/// Makes the directories, and gives those that are there the owner and mode that they should have.
pub(crate) fn make_directories(root: &Root) -> Result<(), Error> {
    let (public, private) = (|uid| Access { mode: 0o755, uid }, |uid| Access { mode: 0o700, uid });
    let boot = Path::new(paths::BOOT_ATTEMPTS).parent().unwrap_or(Path::new(paths::STATE));
    let directories = [
        (Path::new(paths::STATE), public(root.root_uid)),
        (boot, public(root.root_uid)),
        (Path::new(paths::AGENT), private(root.root_uid)),
        (Path::new(paths::LUCID), private(root.supervisor_uid)),
        (Path::new(paths::PAYMENTS), private(root.payments_uid)),
    ];
    directories.into_iter().try_for_each(|(path, access)| file::make_directory(&root.at(path), access))?;
    // These belong to systemd, which gives them other groups and modes.
    let of_systemd = [paths::SYSTEMD, paths::JOURNAL].map(|path| root.at(path)).into_iter();
    let mut missing = of_systemd.filter(|path| !path.exists());
    missing.try_for_each(|path| file::make_directory(&path, public(root.root_uid)))
}
