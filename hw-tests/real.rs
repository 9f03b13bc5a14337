//! A real Pi on the bench, watched over its serial line and reached over the network.
//!
//! It is recognised by what its EEPROM prints at each start (`BOOT_UART=1`), before any of our code runs, and by its
//! certificate authority, before anything is asked of it. Promises that nothing is asked of a board that was not told.
//! Must never write to the serial line.

pub mod target;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::machine::Console;

/// Speed of the Pi's serial line in bits a second.
const BAUD: &str = "115200";

/// What the EEPROM prints before the board's serial number: its lower 32 bits in hexadecimal.
const MARK: &str = " serial ";

/// What it prints after it.
const AFTER: &str = " boardrev ";

/// Why a real board is left alone.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// The serial line cannot be read.
    #[error("cannot read the serial line `{}`; check the adapter, and that no other program uses it", .tty.display())]
    Line {
        /// Its device.
        tty: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It did not start.
    #[error("no board said its serial number in {0} s; set BOOT_UART=1 in its EEPROM, and switch it on now")]
    Silent(u64),
    /// It is another board.
    #[error("this is board {found:08x}, not {told:08x}; nothing was done to it, switch the right one on")]
    Stranger {
        /// What it said.
        found: u32,
        /// What was told.
        told: u32,
    },
    /// Another appliance answers at its address.
    #[error(
        "the appliance at {address} has the certificate authority {found}, not {told}; nothing was asked of it: correct \
         the board's file, or the address"
    )]
    Certificate {
        /// Where.
        address: String,
        /// What it has.
        found: String,
        /// What was told.
        told: String,
    },
    /// The appliance runs on another board.
    #[error("the appliance runs on board {found}, not {told:016x}; nothing was done to it, correct the board's file")]
    Moved {
        /// What it says.
        found: String,
        /// What was told.
        told: u64,
    },
    /// What is to be done goes beyond what was allowed.
    #[error("{0}; nothing was done, allow it by the word `{1}`")]
    NotAllowed(&'static str, &'static str),
}

/// A real board that was recognised.
pub struct RealPi {
    console: Console,
}

impl RealPi {
    /// Waits until the board on `tty` starts, and recognises it as `board`. Its console goes to `log`, too.
    ///
    /// # Errors
    /// If the line cannot be read, no board starts within `limit`, or it is another one.
    pub fn meet(tty: &Path, board: u64, log: &Path, limit: Duration) -> Result<Self, RealError> {
        let failed = |source| RealError::Line { tty: tty.to_owned(), source };
        let set = Command::new("stty").arg("-F").arg(tty).args([BAUD, "raw", "-echo", "-hupcl"]).output();
        let set = set.map_err(failed)?;
        if !set.status.success() {
            return Err(failed(io::Error::other(String::from_utf8_lossy(&set.stderr).into_owned())));
        }
        // It must not become the terminal that controls this process.
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let line = OpenOptions::new().read(true).custom_flags(flags).open(tty).map_err(failed)?;
        let (console, _) = Console::read(line, File::create(log).map_err(failed)?);
        recognise(&console, 0, board, limit)?;
        Ok(Self { console })
    }

    /// Waits until it has started once more after the first `lines` of its console, and is still the same board.
    ///
    /// # Errors
    /// If no board starts within `limit`, or it is another one.
    pub fn meet_again(&self, lines: usize, board: u64, limit: Duration) -> Result<(), RealError> {
        recognise(&self.console, lines, board, limit)
    }

    /// What it prints.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }
}

/// Waits for the serial number on the console after its first `lines`, and compares it.
fn recognise(console: &Console, lines: usize, board: u64, limit: Duration) -> Result<(), RealError> {
    let silent = || RealError::Silent(limit.as_secs());
    let line = console.wait(lines, AFTER, limit).ok_or_else(silent)?;
    let found = console.lines().get(line).and_then(|line| serial(line)).ok_or_else(silent)?;
    // The EEPROM prints the lower half, which the upper half of a Pi 5's number adds nothing to.
    let told = u32::try_from(board & 0xffff_ffff).unwrap_or_default();
    if found == told { Ok(()) } else { Err(RealError::Stranger { found, told }) }
}

fn serial(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(MARK)?;
    let (digits, _) = rest.split_once(AFTER)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
