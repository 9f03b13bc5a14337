//! What somebody who helps wants to see, as one text. For whoever has the code.
//!
//! Must never hold a secret: everything in it is a report that has none, or the kernel's log. A part that can't be read
//! says why in its place.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::{Rescue, reason, status};

/// The agent looks at the board for it.
const STATUS_MAX: Duration = Duration::from_secs(10);
/// The newest lines of the kernel's log that are shown: a whole boot of a Pi has some 600.
const KERNEL_LINES_MAX: usize = 1000;
/// Reads of the kernel's log, one for each record: twice what its buffer of some hundred kilobytes holds.
const RECORDS_MAX: usize = 16_384;
/// Longest record (`PRINTK_MESSAGE_MAX` of the kernel is 2048, and what stands before it is short); more than fits is
/// an error of the read.
const RECORD_BYTES_MAX: usize = 8192;

/// Everything.
pub(super) async fn text(rescue: &Arc<Rescue>) -> String {
    let boot = match rescue.boot.report() {
        Some(report) => json(report),
        None => rescue.boot.problems().join("\n"),
    };
    let update = status::report(rescue).await.map_or_else(|error| not_known(&error), |report| json(&report));
    let agent = rescue.agent.status(STATUS_MAX).await.map_or_else(|error| not_known(&error), |status| json(&status));
    let mut text = format!("Lucid {} in rescue: {}\n", env!("CARGO_PKG_VERSION"), reason(&rescue.boot));
    if let Some(problem) = &rescue.certificate_problem {
        writeln!(text, "certificate: {problem}").expect("writing to a String can't fail");
    }
    for (title, part) in [("boot", boot), ("updates", update), ("agent", agent), ("kernel", kernel(rescue).await)] {
        write!(text, "\n== {title}\n{part}\n").expect("writing to a String can't fail");
    }
    text
}

fn not_known(error: &impl std::fmt::Display) -> String {
    format!("not known: {error}")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| not_known(&error))
}

/// The newest lines, the oldest of them first; or why there are none. On a thread of its own: it is a file.
async fn kernel(rescue: &Arc<Rescue>) -> String {
    let rescue = rescue.clone();
    let reading = tokio::task::spawn_blocking(move || match &rescue.kernel_log {
        Ok(log) => lines(log).map_or_else(|error| not_known(&error), |lines| Vec::from(lines).join("\n")),
        Err(reason) => not_known(reason),
    });
    reading.await.unwrap_or_else(|error| not_known(&error))
}

fn lines(log: &Mutex<File>) -> io::Result<VecDeque<String>> {
    // Whoever panicked in between left it somewhere else, and it is read from its beginning at any rate.
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.seek(SeekFrom::Start(0))?;
    let (mut lines, mut buffer) = (VecDeque::new(), [0; RECORD_BYTES_MAX]);
    for _ in 0..RECORDS_MAX {
        match log.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => lines.extend(record(&buffer[..count])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The record was overwritten meanwhile (the kernel's Documentation/ABI/testing/dev-kmsg): the next is read.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while lines.len() > KERNEL_LINES_MAX {
            lines.pop_front();
        }
    }
    Ok(lines)
}

/// `priority,number,microseconds,flags;message` and lines that begin with a blank, which say what it is about. What is
/// not of that form is shown as it is.
fn record(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let messages = text.lines().filter(|line| !line.starts_with(' '));
    messages.map(|line| message(line).unwrap_or_else(|| line.to_owned())).collect()
}

fn message(line: &str) -> Option<String> {
    let (head, message) = line.split_once(';')?;
    let microseconds: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(format!("[{:5}.{:06}] {message}", microseconds / 1_000_000, microseconds % 1_000_000))
}

#[cfg(test)]
mod tests;
