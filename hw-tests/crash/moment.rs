//! A moment at which all disks of a board lose their power, and where it lies in the record of each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that the threads of a process may take to stand still: one in a system call finishes that first.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);

/// How long the record of each disk was at one moment, in bytes, in the order of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment(Vec<u64>);

impl Moment {
    /// This moment of the disks whose `records` the process `writer` writes. It stands still for it, all its threads:
    /// what was answered before is in the records, whatever is under way may be.
    ///
    /// # Errors
    /// If there is no such process or record, or the process does not stand still.
    pub(crate) fn take(writer: Pid, records: &[PathBuf]) -> io::Result<Self> {
        let _standstill = Standstill::of(writer)?;
        let lengths = records.iter().map(|record| Ok(fs::metadata(record)?.len()));
        lengths.collect::<io::Result<_>>().map(Self)
    }

    /// The lengths, in the order of the records.
    #[must_use]
    pub fn lengths(&self) -> &[u64] {
        &self.0
    }
}

/// A process that stands still for as long as this lives.
struct Standstill(Pid);

impl Standstill {
    fn of(process: Pid) -> io::Result<Self> {
        kill_process(process, Signal::STOP)?;
        let this = Self(process);
        let threads = PathBuf::from(format!("/proc/{}/task", process.as_raw_nonzero()));
        let began = Instant::now();
        while !stand_still(&threads)? {
            if began.elapsed() > STANDSTILL_MAX {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a stopped process goes on"));
            }
            thread::yield_now();
        }
        Ok(this)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

fn stand_still(threads: &Path) -> io::Result<bool> {
    for thread in fs::read_dir(threads)? {
        match fs::read_to_string(thread?.path().join("stat")) {
            // The state follows the name, which may hold anything.
            Ok(stat) if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) => {}
            Ok(_) => return Ok(false),
            // It has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
