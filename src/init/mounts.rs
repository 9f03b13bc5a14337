//! The kernel's own file systems, `/var`, and what of `/state` shows elsewhere.

use std::fs;
use std::path::Path;

use lucid_layout::paths;
use rustix::mount::MountFlags;

use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;
use crate::system::{Mount, System};

/// Flags of everything that holds no programs.
const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const NO_DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// What systemd would mount itself, as it would.
pub(crate) const KERNEL: [Kernel; 4] = [
    Kernel { path: "/proc", kind: "proc", flags: NO_PROGRAMS, options: "" },
    Kernel { path: "/sys", kind: "sysfs", flags: NO_PROGRAMS, options: "" },
    Kernel { path: "/dev", kind: "devtmpfs", flags: MountFlags::NOSUID, options: "mode=0755" },
    Kernel {
        path: "/run",
        kind: "tmpfs",
        flags: NO_DEVICES.union(MountFlags::STRICTATIME),
        options: "mode=0755,size=20%,nr_inodes=800k",
    },
];

/// A file system of the kernel's own.
pub(crate) struct Kernel {
    path: &'static str,
    kind: &'static str,
    flags: MountFlags,
    options: &'static str,
}

/// `/var` holds lock files and caches, and in it what is bound from `/state`: a sixteenth of the smallest Pi's memory.
const VAR_OPTIONS: &str = "mode=0755,size=64m,nr_inodes=64k";

/// Empty after each start.
const VAR_DIRECTORIES: [(&str, u32); 5] = [
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/tmp", 0o1777),
    ("/var/lib/systemd", 0o755),
    ("/var/log/journal", 0o755),
];

/// What of the state shows elsewhere.
const BOUND: [(&str, &str); 2] = [(paths::SYSTEMD, "/var/lib/systemd"), (paths::JOURNAL, "/var/log/journal")];

/// Mounts one of them where the kernel or a container has not.
pub(crate) fn kernel(root: &Root, system: &dyn System, wanted: &Kernel) -> Result<(), Error> {
    let target = root.at(wanted.path);
    if system.is_mount_point(&target).map_err(Error::io("look at", &target))? {
        return Ok(());
    }
    let Kernel { kind, flags, options, .. } = *wanted;
    let mount = Mount { source: Path::new(kind), kind, flags, options };
    system.mount(&mount, &target).map_err(Error::io("mount", &target))
}

/// A file system in memory on `/var`, its directories, and the state's part in it.
pub(crate) fn var(root: &Root, system: &dyn System) -> Result<(), Error> {
    let target = root.at("/var");
    let mount = Mount { source: Path::new("tmpfs"), kind: "tmpfs", flags: NO_DEVICES, options: VAR_OPTIONS };
    system.mount(&mount, &target).map_err(Error::io("mount", &target))?;
    for (path, mode) in VAR_DIRECTORIES {
        file::make_directory(&root.at(path), Access { mode, uid: root.root_uid })?;
    }
    for (source, target) in BOUND {
        let target = root.at(target);
        system.bind(&root.at(source), &target).map_err(Error::io("bind the state over", &target))?;
    }
    Ok(())
}

/// Shows the state's machine-id at its place in the read-only root.
pub(crate) fn machine_id(root: &Root, system: &dyn System) -> Result<(), Error> {
    let (source, target) = (root.at(paths::MACHINE_ID), root.at(paths::ETC_MACHINE_ID));
    fs::metadata(&target).map_err(Error::io("find", &target))?;
    system.bind(&source, &target).map_err(Error::io("bind the state over", &target))
}
