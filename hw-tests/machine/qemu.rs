//! QEMU's process: what it reads at its start, what it inherits, and its end.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Pid;

use super::arguments::{CMDLINE_BYTES_MAX, Inherited};
use super::{Board, MachineError, device_tree};
use crate::eeprom::Boot;

/// QEMU's process, which never outlives this.
pub(super) struct Qemu(Option<Child>);

impl Qemu {
    /// Its standard output, which can be taken once.
    pub(super) fn console(&mut self) -> Option<ChildStdout> {
        self.0.as_mut()?.stdout.take()
    }

    /// Its process, unless it was waited for.
    pub(super) fn process(&self) -> Option<Pid> {
        self.0.as_ref().map(Pid::from_child)
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(super) fn wait(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Fails only for a process that somebody else has waited for.
            let _ = child.wait();
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(child) = &mut self.0 {
            // Fails only for a process that has ended.
            let _ = child.kill();
        }
        self.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes what QEMU reads at its start, and gives the kernel command line.
pub(super) fn prepare(board: &Board, boot: &Boot, folder: &Path, boots: u32) -> Result<String, MachineError> {
    let cmdline = cmdline(board, boot)?;
    let initramfs = boot.initramfs.iter().map(|bytes| ("initramfs", bytes.as_slice()));
    for (name, bytes) in
        [("kernel", boot.kernel.as_slice()), ("cmdline", cmdline.as_bytes())].into_iter().chain(initramfs)
    {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(MachineError::file(path))?;
    }
    device_tree::write(board, boot, boots, &folder.join("board.dtb"))?;
    Ok(cmdline)
}

pub(super) fn create(path: &Path) -> Result<File, MachineError> {
    File::create(path).map_err(MachineError::file(path))
}

pub(super) fn qemu_failed(output: String) -> MachineError {
    MachineError::Tool { tool: "qemu-system-aarch64", output }
}

/// Starts QEMU with its console on a pipe and `errors` for what it complains about. Gives the bench's ends of the
/// monitor and of the probe's port.
pub(super) fn spawn(
    memory: &OwnedFd,
    errors: File,
    arguments: impl FnOnce(Inherited) -> Vec<String>,
) -> Result<(Qemu, [UnixStream; 2]), MachineError> {
    let (monitor, monitor_of_qemu) = pair()?;
    let (probe, probe_of_qemu) = pair()?;
    for fd in [memory.as_fd(), monitor_of_qemu.as_fd(), probe_of_qemu.as_fd()] {
        inheritable(fd, true)?;
    }
    let inherited = Inherited {
        memory: memory.as_raw_fd(),
        monitor: monitor_of_qemu.as_raw_fd(),
        probe: probe_of_qemu.as_raw_fd(),
    };
    // QEMU ends with the thread that starts it, even if that one is killed and can't clean up.
    let started = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "qemu-system-aarch64"])
        .args(arguments(inherited))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn();
    inheritable(memory.as_fd(), false)?;
    let child = started.map_err(|error| qemu_failed(error.to_string()))?;
    Ok((Qemu(Some(child)), [monitor, probe]))
}

/// The kernel command line: the console of QEMU's machine, what the boot partition says, what the bench adds.
pub(super) fn cmdline(board: &Board, boot: &Boot) -> Result<String, MachineError> {
    let parts = ["console=ttyAMA0", &boot.cmdline].into_iter().map(str::to_owned);
    let line = parts.chain(board.cmdline.iter().cloned()).collect::<Vec<_>>().join(" ");
    // The kernel needs one byte for the zero at the end.
    if line.len() < CMDLINE_BYTES_MAX {
        Ok(line)
    } else {
        Err(MachineError::Cmdline { bytes: line.len(), max: CMDLINE_BYTES_MAX - 1 })
    }
}

fn pair() -> Result<(UnixStream, UnixStream), MachineError> {
    UnixStream::pair().map_err(|error| MachineError::Tool { tool: "socketpair", output: error.to_string() })
}

/// Whether programs that are started from now on inherit `fd`.
fn inheritable(fd: impl AsFd, inherit: bool) -> Result<(), MachineError> {
    let flags = if inherit { FdFlags::empty() } else { FdFlags::CLOEXEC };
    fcntl_setfd(fd, flags).map_err(|error| MachineError::Tool { tool: "fcntl", output: error.to_string() })
}

/// The guest's memory: kept by whoever holds it, so that a reset leaves ramoops as it was.
pub(super) fn memory() -> Result<OwnedFd, MachineError> {
    rustix::fs::memfd_create("lucid-pi", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|error| MachineError::Tool { tool: "memfd_create", output: error.to_string() })
}
