//! How a boot ended, told from QEMU's events and the console.

use super::qmp::Event;
use crate::eeprom::Reset;

/// What the kernel prints before it resets by request.
const RESTARTING: &str = "reboot: Restarting system";

/// How a boot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The system switched itself off.
    PowerOff,
    /// The system restarted itself, with the argument that it gave.
    Reboot(Option<String>),
    /// The hardware watchdog was not fed.
    Watchdog,
    /// The kernel panicked, and reset after its time-out.
    Panic,
    /// The board was reset in a way that the console does not explain.
    Reset,
    /// The power failed, or QEMU did.
    PowerCut,
}

impl Ending {
    /// What the reset leaves for the EEPROM; none if the power was off.
    #[must_use]
    pub fn reset(&self) -> Option<Reset> {
        match self {
            Self::Reboot(Some(argument)) => Some(Reset::from_argument(argument)),
            Self::Reboot(None) | Self::Watchdog | Self::Panic | Self::Reset => Some(Reset::default()),
            Self::PowerOff | Self::PowerCut => None,
        }
    }

    /// Reads it from the events since the start, in order, and the console's whole text.
    pub(super) fn read(events: &[Event], console: &[String]) -> Self {
        let stop = events.iter().find(|event| event.name == "SHUTDOWN");
        let reason = stop.and_then(|event| event.data.get("reason")?.as_str());
        match reason {
            Some("guest-shutdown") => Self::PowerOff,
            Some("guest-reset") if events.iter().any(|event| event.name == "WATCHDOG") => Self::Watchdog,
            Some("guest-reset") => Self::reset_of(console),
            _ => Self::PowerCut,
        }
    }

    fn reset_of(console: &[String]) -> Self {
        let restarting = console.iter().rev().find_map(|line| line.split_once(RESTARTING).map(|(_, rest)| rest));
        if let Some(rest) = restarting {
            let argument = rest.trim().strip_prefix("with command '").and_then(|rest| rest.strip_suffix('\''));
            return Self::Reboot(argument.map(str::to_owned));
        }
        let panicked = console.iter().any(|line| line.contains("Kernel panic - not syncing"));
        if panicked { Self::Panic } else { Self::Reset }
    }
}
