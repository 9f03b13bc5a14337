//! `lucid init`: the stage between the kernel and systemd, as pid 1.
//!
//! ```text
//! kernel file systems ─ boot disk ─ /state ─ clock ─ /var ─▶
//! provisioning ─ identity ─ network ─ count ─ watchdog ─ report ─▶ systemd
//!                                       └─▶ other slot
//! ```
//!
//! Everything that systemd reads before any unit runs and that a read-only root can't hold: a machine-id, a `/var`, the
//! network's configuration. It owns `/state` until systemd runs, and the provisioning file for good.
//!
//! Promises: whatever fails, systemd is started, and `/run/lucid/boot.json` says what failed; a box that had an owner
//! is never free to be claimed again; a slot that keeps failing is left for the other one once, and never to and fro.
//! Synchronous, without a runtime, below a second. Must never wait without a limit, format anything, or write to any
//! partition but the state and, in the own clusters of autoboot.txt and the provisioning file, the first.

mod attempts;
mod clock;
mod disk;
mod eeprom;
mod error;
mod fallback;
mod file;
mod identity;
mod log;
mod mounts;
mod network;
mod provisioning;
mod root;
mod stage;
mod state;
mod system;
mod timezone;
mod trial;
mod watchdog;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use lucid_layout::boot::RESCUE_TARGET;

use crate::root::Root;
use crate::system::Linux;

/// The name by which the kernel starts the binary (`init=/usr/bin/lucid-init`).
const NAME: &str = "lucid-init";
/// The same as a command, for `init=/usr/bin/lucid -- init`.
const COMMAND: &str = "init";

/// Where systemd is: the first that can be executed is.
const NEXT: [&str; 3] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/sbin/init"];

/// Why systemd was not started.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// This is no boot: the stage would mount over the running system.
    #[error(
        "`{NAME}` is started by the kernel, as process 1, and by nobody else; see `lucid help` for what you may run"
    )]
    NotTheFirst,
    /// There is no systemd. The kernel panics when process 1 ends, and reboots.
    #[error("cannot execute `{}`: flash the image again", NEXT[0])]
    Next(#[source] io::Error),
}

/// Whether the program was started as this stage. To be asked before anything else is done with the arguments.
#[must_use]
pub fn is_called(arguments: &[OsString]) -> bool {
    let is_named = arguments.first().is_some_and(|name| Path::new(name).file_name().is_some_and(|name| name == NAME));
    let is_command = arguments.get(1).is_some_and(|command| command == COMMAND);
    is_named || is_command || (is_first() && arguments.len() < 2)
}

/// Runs the stage and becomes systemd, which gets the arguments that the kernel gave.
///
/// Returns only if that failed.
#[must_use]
pub fn main(arguments: &[OsString]) -> InitError {
    if !is_first() {
        return InitError::NotTheFirst;
    }
    let report = stage::run(&Root::system(), &Linux);
    let is_ours = |argument: &OsString| argument == COMMAND;
    let rest = arguments.get(1..).unwrap_or_default();
    let rest = if rest.first().is_some_and(is_ours) { &rest[1..] } else { rest };
    // Each attempt returns only with its error; the first one's says most.
    let rescue = report.rescue.is_some().then(|| format!("--unit={RESCUE_TARGET}"));
    let mut errors = NEXT.map(|next| Command::new(next).args(rest).args(&rescue).exec()).into_iter();
    InitError::Next(errors.next().unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn is_first() -> bool {
    std::process::id() == 1
}

#[cfg(test)]
mod tests;
