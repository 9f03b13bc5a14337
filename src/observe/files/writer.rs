//! Writes lines to `<dir>/<service>/<service>.log`, rotates, and copes with a disk that is full or gone.
//!
//! After a failure it drops lines for [`RETRY`], then tries again; the failure and the recovery are logged once each.
//! It never makes the parent of the log folder: where the SSD is not mounted, that would fill the system's own disk.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::count_dropped;
use crate::line::Line;

/// Size from which a file is rotated.
pub(super) const FILE_BYTES_MAX: u64 = 10 * 1000 * 1000;
/// Rotated files kept beside the current one: with it 40 MB per service.
pub(super) const ROTATIONS: u32 = 3;
/// Pause after a failure. Short enough that a disk that is back is used soon, long enough not to hammer one that is not.
const RETRY: Duration = Duration::from_secs(10);

/// The open files of one log folder.
#[derive(Debug)]
pub(super) struct Writer {
    dir: Option<PathBuf>,
    files: HashMap<String, LogFile>,
    failure: Option<Failure>,
    retry: Duration,
    file_bytes_max: u64,
}

/// The disk does not take lines.
#[derive(Debug)]
struct Failure {
    since: Instant,
    dropped: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { dir: None, files: HashMap::new(), failure: None, retry: RETRY, file_bytes_max: FILE_BYTES_MAX }
    }

    /// Closes all files; those of `dir` are opened when there is something to write.
    pub(super) fn set_dir(&mut self, dir: Option<PathBuf>) {
        self.files.clear();
        self.dir = dir;
        self.failure = None;
    }

    /// Writes one line, or counts it as dropped.
    pub(super) fn write(&mut self, line: &Line) {
        let Some(dir) = self.dir.clone() else {
            count_dropped(1);
            return;
        };
        if let Some(failure) = &mut self.failure
            && failure.since.elapsed() < self.retry
        {
            failure.dropped += 1;
            count_dropped(1);
            return;
        }
        match self.try_write(&dir, line) {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(&dir, &error),
        }
    }

    fn try_write(&mut self, dir: &Path, line: &Line) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        if !self.files.contains_key(&line.service) {
            self.files.insert(line.service.clone(), LogFile::open(dir, &line.service)?);
        }
        let file = self.files.get_mut(&line.service).expect("the file was opened just above");
        if file.bytes > 0 && file.bytes + json.len() as u64 > self.file_bytes_max {
            file.rotate()?;
        }
        file.append(&json)
    }

    /// Notes a failure. All files are closed: after a remount the old ones lead nowhere.
    fn failed(&mut self, dir: &Path, error: &io::Error) {
        self.files.clear();
        count_dropped(1);
        let dropped = self.failure.as_ref().map_or(0, |failure| failure.dropped) + 1;
        if self.failure.is_none() {
            tracing::warn!(%error, dir = %dir.display(), "can't write log files; dropping lines until it works again");
        }
        self.failure = Some(Failure { since: Instant::now(), dropped });
    }

    fn recovered(&mut self) {
        if let Some(failure) = self.failure.take() {
            tracing::info!(dropped_lines = failure.dropped, "log files are written again");
        }
    }
}

/// One service's current file.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Opens or makes `<dir>/<service>/<service>.log`, ending a line that a power cut or a full disk has torn.
    fn open(dir: &Path, service: &str) -> io::Result<Self> {
        make_dir(dir)?;
        let folder = dir.join(service);
        make_dir(&folder)?;
        let path = folder.join(format!("{service}.log"));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(bytes - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                bytes += 1;
            }
        }
        Ok(Self { path, file, bytes })
    }

    /// Appends a whole line. A line that was written in part is cut off again, so that a full disk leaves no torn one.
    fn append(&mut self, json: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(json) {
            // Where even this fails the disk is gone; opening the file again ends the torn line.
            return self.file.set_len(self.bytes).and(Err(error));
        }
        self.bytes += json.len() as u64;
        Ok(())
    }

    /// Moves `.2` to `.3`, `.1` to `.2`, the current file to `.1`, and starts a new one.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..ROTATIONS).rev() {
            rename_if_there(&rotated(&self.path, number), &rotated(&self.path, number + 1))?;
        }
        rename_if_there(&self.path, &rotated(&self.path, 1))?;
        self.file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }
}

/// `name.log.NUMBER`.
fn rotated(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("log.{number}"))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Makes one folder, not its parents.
fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
