//! The hardware watchdog, started: from here on, a boot that stands still is reset.
//!
//! Opening starts it, and closing without the magic letter leaves it running (kernel documentation, "The Linux Watchdog
//! driver API"). It gives systemd its own time, 15 s on a Pi, to open it again. Must never write to it: not even to
//! feed it, which is systemd's.

use std::fs::OpenOptions;

use crate::error::Error;
use crate::root::Root;

const DEVICE: &str = "/dev/watchdog0";

/// Starts the watchdog.
pub(crate) fn start(root: &Root) -> Result<(), Error> {
    let path = root.at(DEVICE);
    let opened = OpenOptions::new().write(true).open(&path);
    opened.map(drop).map_err(Error::io("open", &path))
}
