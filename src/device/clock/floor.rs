//! The floor: what time it is at least, kept in a file of two numbers.
//!
//! Promises: replaced whole or not at all (written aside, synced, renamed, directory synced).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// First word of the file; the number counts formats.
const FORMAT: &str = "lucid-clock-1";

/// A floor beyond 2200-01-01 is damage, and would hold the clock for good.
pub(super) const FLOOR_MAX_MS: u64 = 7_258_118_400_000;

/// Everybody may know the time.
const MODE: u32 = 0o644;

/// The file holds under 60 bytes.
const FILE_BYTES_MAX: u64 = 256;

/// Why the floor could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The file is there and can't be read.
    #[error("cannot read the clock floor in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file holds something else. It is set aside, as `clock.bad`, when the floor is next kept.
    #[error("`{}` holds no clock floor: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The floor was not kept; the one kept before stands.
    #[error("cannot keep the clock floor in `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What time it is at least, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Floor {
    /// The latest time seen.
    pub(super) floor_ms: u64,
    /// The latest time seen while synchronized; never above `floor_ms`.
    pub(super) synchronized_ms: u64,
}

impl Floor {
    /// The same floor, raised to a time that is certainly past.
    pub(super) fn at_least(self, built_ms: u64) -> Self {
        Self { floor_ms: self.floor_ms.max(built_ms), synchronized_ms: self.synchronized_ms.max(built_ms) }
    }
}

/// The floor file of a state directory.
#[derive(Debug)]
pub(super) struct FloorFile {
    path: PathBuf,
}

impl FloorFile {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join("clock") }
    }

    /// The kept floor; `None` before the first was kept.
    pub(super) fn load(&self) -> Result<Option<Floor>, ClockError> {
        let damaged = |problem| ClockError::Damaged { path: self.path.clone(), problem };
        match lucid_file::read(&self.path, FILE_BYTES_MAX) {
            Ok(None) => Ok(None),
            Ok(Some(content)) => parse(&content).map(Some).map_err(damaged),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(damaged(error.to_string())),
            Err(source) => Err(ClockError::Read { path: self.path.clone(), source }),
        }
    }

    /// Replaces the kept floor. On success it survives a power cut.
    pub(super) fn keep(&self, floor: Floor) -> Result<(), ClockError> {
        lucid_file::replace(&self.path, render(floor).as_bytes(), MODE, |_| Ok(()))
            .map_err(|source| ClockError::Write { path: self.path.clone(), source })
    }

    /// Moves a damaged file out of the way; nothing is deleted unread.
    pub(super) fn set_aside(&self) -> Result<(), ClockError> {
        match fs::rename(&self.path, self.path.with_extension("bad")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ClockError::Write { path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }
}

fn render(floor: Floor) -> String {
    format!("{FORMAT} {} {}\n", floor.floor_ms, floor.synchronized_ms)
}

fn parse(content: &[u8]) -> Result<Floor, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not text".to_owned())?;
    // The line end tells a whole file from one cut short in its last number.
    let line = text.strip_suffix('\n').ok_or_else(|| "it is cut short".to_owned())?;
    let [FORMAT, floor, synchronized] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("expected `{FORMAT}` and two numbers"));
    };
    let floor = Floor { floor_ms: parse_ms(floor)?, synchronized_ms: parse_ms(synchronized)? };
    match floor.synchronized_ms <= floor.floor_ms {
        true => Ok(floor),
        false => Err("its second number is above its first".to_owned()),
    }
}

fn parse_ms(field: &str) -> Result<u64, String> {
    match field.parse() {
        Ok(ms) if ms <= FLOOR_MAX_MS => Ok(ms),
        Ok(_) => Err("it lies beyond the year 2200".to_owned()),
        Err(error) => Err(format!("a time in it is no number: {error}")),
    }
}
