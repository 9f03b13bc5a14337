//! Lines on standard error, for a person: time, level, service, message, fields.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::os::unix::fs::MetadataExt;

use crate::TerminalFormat;
use crate::line::{Level, Line};

/// Ends a colour.
const RESET: &str = "\x1b[0m";
/// What is less important.
const DIM: &str = "\x1b[2m";

/// Standard error as a sink of lines.
#[derive(Debug)]
pub(crate) struct Terminal {
    coloured: bool,
}

impl Terminal {
    /// None where nothing is to be written.
    pub(crate) fn new(format: TerminalFormat) -> Option<Self> {
        let coloured = match format {
            TerminalFormat::Off => return None,
            TerminalFormat::Auto => io::stderr().is_terminal(),
            TerminalFormat::Plain => false,
            TerminalFormat::Coloured => true,
        };
        Some(Self { coloured })
    }

    /// Writes one line, whole.
    pub(crate) fn write(&self, line: &Line) {
        let text = self.format(line);
        if io::stderr().lock().write_all(text.as_bytes()).is_err() {
            metrics::counter!("lucid_log_lines_dropped_total", "sink" => "terminal").increment(1);
        }
    }

    /// The line as text. The date is left out: a terminal shows what happens now.
    fn format(&self, line: &Line) -> String {
        let clock = line.time.get(11..23).unwrap_or(&line.time);
        let (colour, name) = match line.level {
            Level::Error => ("\x1b[31m", "ERROR"),
            Level::Warn => ("\x1b[33m", "WARN"),
            Level::Info => ("\x1b[32m", "INFO"),
            Level::Debug => ("\x1b[34m", "DEBUG"),
            Level::Trace => ("\x1b[35m", "TRACE"),
        };
        let (colour, dim, reset) = if self.coloured { (colour, DIM, RESET) } else { ("", "", "") };
        let mut text = format!("{dim}{clock}{reset} {colour}{name:<5}{reset} {}: {}", line.service, line.message);
        for (name, value) in &line.fields {
            write!(text, " {dim}{name}={reset}{value}").expect("writing to a String cannot fail");
        }
        text.push('\n');
        text
    }
}

/// Whether `stream`, a `DEVICE:INODE` in decimal, is what standard error is connected to (systemd.exec(5),
/// `JOURNAL_STREAM`).
pub(crate) fn is_standard_error(stream: &str) -> bool {
    let Some((device, inode)) = stream.split_once(':') else { return false };
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    device.parse() == Ok(metadata.dev()) && inode.parse() == Ok(metadata.ino())
}

#[cfg(test)]
mod tests;
