//! Restarting the box and switching it off, through systemd, which stops everything in order before.
//!
//! Must never call `reboot(2)` itself: services would lose what they have not written.

use std::time::Duration;

use crate::tool::{self, ToolError};

/// systemd answers at once; it only notes the job.
const SYSTEMCTL_MAX: Duration = Duration::from_secs(20);

/// What can be done to the machine as a whole.
pub(crate) trait Machine: Send + Sync {
    /// Begins to restart it.
    fn reboot(&self) -> Result<(), MachineError>;
    /// Begins to switch it off.
    fn power_off(&self) -> Result<(), MachineError>;
}

/// Why it stays on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("systemd refused (status {status}: {said}); pull the plug only if asking again does not help")]
    Refused { status: i32, said: String },
}

/// The machine that this process runs on.
pub(crate) struct Systemd;

impl Machine for Systemd {
    fn reboot(&self) -> Result<(), MachineError> {
        begin("reboot.target")
    }

    fn power_off(&self) -> Result<(), MachineError> {
        begin("poweroff.target")
    }
}

/// Asks pid 1 by its own socket; needs neither logind nor a message bus.
fn begin(target: &str) -> Result<(), MachineError> {
    let arguments = ["start", "--no-block", "--job-mode=replace-irreversibly", target];
    let said = tool::run("systemctl", &arguments, SYSTEMCTL_MAX)?;
    match said.status {
        0 => Ok(()),
        status => Err(MachineError::Refused { status, said: said.shown() }),
    }
}
