//! Why a board could not be run.

use std::io;
use std::path::PathBuf;

use super::QmpError;
use crate::disk::DiskError;
use crate::eeprom::NoBoot;

/// Why a board could not be run, or did not do what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The boot disk cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing boots.
    #[error("the EEPROM boots nothing")]
    NoBoot(#[from] NoBoot),
    /// The kernel would cut the line off.
    #[error("the kernel command line has {bytes} bytes, of which the kernel reads {max}; shorten what the bench adds")]
    Cmdline {
        /// Its length.
        bytes: usize,
        /// The kernel's limit.
        max: usize,
    },
    /// What NVMe writes cannot be recorded.
    #[error(
        "disk `{serial}` cannot be recorded on NVMe: QEMU's NVMe drops the mark of writes that are forced to the disk \
             (FUA), which would then count as lost; attach it as USB or SD"
    )]
    Record {
        /// Its serial number.
        serial: String,
    },
    /// A file of the bench cannot be read or written.
    #[error("cannot use `{}`; check space and rights", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tool is missing or did not do its work.
    #[error("{tool} failed: {output}; run hw-tests/setup")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// What it said.
        output: String,
    },
    /// QEMU's monitor did not answer as it should.
    #[error("QEMU's monitor failed; look at the console's log in `{}`", .log.display())]
    Monitor {
        /// The console's log.
        log: PathBuf,
        /// Why.
        #[source]
        source: QmpError,
    },
    /// The board did not say or do something in time.
    #[error("waited {seconds} s for {what}; the console's last lines, all of it in `{}`:\n{tail}", .log.display())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The console's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The board ended while something else was waited for.
    #[error("the board stopped before {what}; the console's last lines, all of it in `{}`:\n{tail}", .log.display())]
    Stopped {
        /// What was waited for.
        what: String,
        /// The console's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
}

impl MachineError {
    /// An error about a file of the bench.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
