//! What the stage asks of the kernel that a test can't give it on a directory: mounts, the host name, the clock.
//!
//! Decides nothing. Must never be called but from a step, which contains what goes wrong.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, mount, mount_bind};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{ClockId, clock_settime};

/// A check of the state's file system takes below a second. One that takes longer waits for a card that doesn't answer.
const CHECK_S_MAX: i64 = 60;

/// A file system to mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mount<'a> {
    pub(crate) source: &'a Path,
    pub(crate) kind: &'a str,
    pub(crate) flags: MountFlags,
    pub(crate) options: &'a str,
}

/// What the stage asks of the kernel.
pub(crate) trait System {
    /// Whether something is mounted on a directory.
    fn is_mount_point(&self, path: &Path) -> io::Result<bool>;
    /// Mounts a file system on a directory.
    fn mount(&self, mount: &Mount<'_>, target: &Path) -> io::Result<()>;
    /// Shows a directory or file at a second place.
    fn bind(&self, source: &Path, target: &Path) -> io::Result<()>;
    /// Major and minor number of the device that a path lies on.
    fn device_of(&self, path: &Path) -> io::Result<(u32, u32)>;
    /// Runs `e2fsck -p`; its exit status, or `None` if a signal ended it.
    fn check(&self, program: &Path, device: &Path, output: Option<File>) -> io::Result<Option<i32>>;
    /// Sets the host name.
    fn set_host_name(&self, name: &str) -> io::Result<()>;
    /// The clock.
    fn now(&self) -> SystemTime;
    /// Sets the clock.
    fn set_clock(&self, time: SystemTime) -> io::Result<()>;
    /// Writes out what is in memory and restarts the machine. Returns only if that failed, or if it is not a real one.
    fn restart(&self) -> io::Result<()>;
}

/// The running kernel.
pub(crate) struct Linux;

impl System for Linux {
    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok(fs::metadata(path)?.dev() != fs::metadata(parent)?.dev())
    }

    fn mount(&self, what: &Mount<'_>, target: &Path) -> io::Result<()> {
        let options = std::ffi::CString::new(what.options)?;
        Ok(mount(what.source, target, what.kind, what.flags, options.as_c_str())?)
    }

    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        Ok(mount_bind(source, target)?)
    }

    fn device_of(&self, path: &Path) -> io::Result<(u32, u32)> {
        let device = fs::metadata(path)?.dev();
        Ok((rustix::fs::major(device), rustix::fs::minor(device)))
    }

    fn check(&self, program: &Path, device: &Path, output: Option<File>) -> io::Result<Option<i32>> {
        let out = |file: Option<File>| file.map_or_else(Stdio::null, Stdio::from);
        let mut command = Command::new(program);
        command.arg("-p").arg(device).stdin(Stdio::null());
        let errors = output.as_ref().map(File::try_clone).transpose()?;
        let mut child = command.stdout(out(output)).stderr(out(errors)).spawn()?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let limit = Timespec { tv_sec: CHECK_S_MAX, tv_nsec: 0 };
        if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit))? == 0 {
            // Not waited for: a process that waits for a device does not even die. Whoever is pid 1 then reaps it.
            child.kill()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end within {CHECK_S_MAX} s")));
        }
        Ok(child.wait()?.code())
    }

    fn set_host_name(&self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn set_clock(&self, time: SystemTime) -> io::Result<()> {
        let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let tv_sec = i64::try_from(since_1970.as_secs()).map_err(io::Error::other)?;
        let time = rustix::time::Timespec { tv_sec, tv_nsec: since_1970.subsec_nanos().into() };
        Ok(clock_settime(ClockId::Realtime, time)?)
    }

    fn restart(&self) -> io::Result<()> {
        rustix::fs::sync();
        Ok(rustix::system::reboot(rustix::system::RebootCommand::Restart)?)
    }
}

#[cfg(test)]
pub(crate) mod fake;
