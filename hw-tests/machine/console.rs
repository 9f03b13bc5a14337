//! The serial console: every line with its time, kept in memory and in a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many last lines an error shows.
const TAIL_LINES: usize = 25;

/// Longest line in bytes; the rest becomes a line of its own. A guest must not fill the bench's memory by one line.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Lines so far.
#[derive(Default)]
struct Text {
    lines: Vec<String>,
    ended: bool,
    failed: Option<io::Error>,
}

/// What can be seen of a console; clones see the same one.
#[derive(Clone)]
pub struct Console {
    shared: Arc<(Mutex<Text>, Condvar)>,
}

impl Console {
    /// Reads lines until the guest's end is closed; each goes to `log` with the seconds since now in front.
    pub(crate) fn read(from: impl Read + Send + 'static, log: File) -> (Self, JoinHandle<()>) {
        let console = Self { shared: Arc::default() };
        let reading = console.clone();
        let reader = thread::spawn(move || {
            let failed = reading.follow(BufReader::new(from), log).err();
            let mut text = reading.text();
            text.ended = true;
            text.failed = failed;
            drop(text);
            reading.shared.1.notify_all();
        });
        (console, reader)
    }

    fn follow(&self, mut from: impl BufRead, mut log: File) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let mut bytes = Vec::new();
            if from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            writeln!(log, "{:8.2} {line}", began.elapsed().as_secs_f64())?;
            self.text().lines.push(line);
            self.shared.1.notify_all();
        }
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.text().lines.clone()
    }

    /// The last lines so far, and why reading ended if it failed.
    pub(super) fn tail(&self) -> String {
        let text = self.text();
        let tail = text.lines[text.lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        match &text.failed {
            Some(error) => format!("{tail}\n(the bench could not read on: {error})"),
            None => tail,
        }
    }

    /// Waits until a line from number `from` on contains `wanted`: its number. `None` if the time is over, or the
    /// console ended without.
    #[must_use]
    pub fn wait(&self, from: usize, wanted: &str, limit: Duration) -> Option<usize> {
        let find = |text: &Text| text.lines.iter().skip(from).position(|line| line.contains(wanted));
        let waiting = |text: &mut Text| find(text).is_none() && !text.ended;
        let waited = self.shared.1.wait_timeout_while(self.text(), limit, waiting);
        let (text, _) = waited.unwrap_or_else(PoisonError::into_inner);
        find(&text).map(|index| from + index)
    }

    /// Waits for a line after the first `from`, or the end. The lines after it, empty at the end.
    #[must_use]
    pub fn next(&self, from: usize, limit: Duration) -> Vec<String> {
        let waiting = |text: &mut Text| text.lines.len() <= from && !text.ended;
        let waited = self.shared.1.wait_timeout_while(self.text(), limit, waiting);
        let (text, _) = waited.unwrap_or_else(PoisonError::into_inner);
        text.lines.get(from..).unwrap_or_default().to_vec()
    }

    /// Whether the guest's end is closed.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.text().ended
    }
}
