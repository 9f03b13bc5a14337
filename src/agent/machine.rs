//! Restarting the box and switching it off, through systemd, which stops everything in order before.
//!
//! Must never call `reboot(2)` itself: services would lose what they have not written.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use crate::tool::{self, ToolError};

/// systemd answers at once; it only notes the job.
const SYSTEMCTL_MAX: Duration = Duration::from_secs(20);

/// What an answer takes from here to the owner's browser, on a busy box.
const ANSWER_FIRST: Duration = Duration::from_secs(1);

/// What systemd hands to the kernel at a restart (systemd-shutdown's `REBOOT_PARAM_FILE`), and the kernel to the
/// firmware.
const REBOOT_PARAM: &str = "/run/systemd/reboot-param";
/// The partition is left to autoboot.txt, which is to be read as for a trial (Raspberry Pi documentation, "tryboot").
const TRYBOOT: &str = "0 tryboot";

/// Bounds a trial; started by the stage before systemd.
const TRIAL_TIMER: &str = "lucid-trial.timer";

/// What can be done to the machine as a whole.
pub(crate) trait Machine: Send + Sync {
    /// Begins to restart it.
    fn reboot(&self) -> Result<(), MachineError>;
    /// Begins to restart it into the other slot, once.
    fn try_boot(&self) -> Result<(), MachineError>;
    /// Begins to switch it off.
    fn power_off(&self) -> Result<(), MachineError>;
    /// Takes away what restarts it at the end of a trial: the trial is over, and well.
    fn end_trial(&self) -> Result<(), MachineError>;
}

/// Why it stays on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("systemd refused (status {status}: {said}); pull the plug only if asking again does not help")]
    Refused { status: i32, said: String },
    #[error("`{REBOOT_PARAM}` can't be changed ({0}); restart the box and try again")]
    Parameter(io::Error),
    #[error("no thread can be started ({0}); pull the plug only if asking again does not help")]
    Thread(io::Error),
}

/// The machine that this process runs on.
pub(crate) struct Systemd;

impl Machine for Systemd {
    fn reboot(&self) -> Result<(), MachineError> {
        forget_parameter()?;
        begin_soon("reboot.target")
    }

    fn try_boot(&self) -> Result<(), MachineError> {
        fs::write(REBOOT_PARAM, TRYBOOT).map_err(MachineError::Parameter)?;
        begin_soon("reboot.target")
    }

    fn power_off(&self) -> Result<(), MachineError> {
        begin_soon("poweroff.target")
    }

    fn end_trial(&self) -> Result<(), MachineError> {
        systemctl(&["stop", "--no-block", TRIAL_TIMER])
    }
}

/// Has systemd stop everything, a moment later: by then the answer has reached whoever asked, whose services are
/// stopped first. What goes wrong then is in the journal, and the box goes on as it is.
#[expect(clippy::disallowed_methods, reason = "the agent has no runtime: this is a thread of its own")]
fn begin_soon(target: &'static str) -> Result<(), MachineError> {
    let begin = move || {
        thread::sleep(ANSWER_FIRST);
        let begun = systemctl(&["start", "--no-block", "--job-mode=replace-irreversibly", target]);
        if let Err(error) = begun.inspect_err(|_| forget_parameter().unwrap_or_else(|error| tracing::error!(%error))) {
            tracing::error!(%error, target, "the box does not restart: order it again, or pull the plug");
        }
    };
    thread::Builder::new().name("lucid-restart".to_owned()).spawn(begin).map_err(MachineError::Thread)?;
    Ok(())
}

/// So that the next restart is no trial.
fn forget_parameter() -> Result<(), MachineError> {
    match fs::remove_file(REBOOT_PARAM) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(MachineError::Parameter(error)),
        _ => Ok(()),
    }
}

/// Asks pid 1 by its own socket; needs neither logind nor a message bus.
fn systemctl(arguments: &[&str]) -> Result<(), MachineError> {
    let said = tool::run("systemctl", arguments, SYSTEMCTL_MAX)?;
    match said.status {
        0 => Ok(()),
        status => Err(MachineError::Refused { status, said: said.shown() }),
    }
}
