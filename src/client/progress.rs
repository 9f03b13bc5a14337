//! How far a transfer is: a bar where lines go to a terminal, else a plain line every few seconds.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::console::Console;

/// Between two plain lines: a log stays readable, and a person sees that something happens.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress<'a> {
    console: &'a dyn Console,
    bar: Option<ProgressBar>,
    verb: &'static str,
    total_bytes: Option<u64>,
    last_line: Instant,
}

impl<'a> Progress<'a> {
    /// `total_bytes` is unknown for a stream.
    pub(crate) fn new(console: &'a dyn Console, verb: &'static str, total_bytes: Option<u64>) -> Self {
        let bar = console.is_terminal().then(|| bar(verb, total_bytes));
        Self { console, bar, verb, total_bytes, last_line: Instant::now() }
    }

    /// `bytes` are done.
    pub(crate) fn at(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let total = self.total_bytes.map(|total| format!(" of {total}")).unwrap_or_default();
            self.console.line(&format!("{}: {bytes}{total} bytes", self.verb));
        }
    }

    /// A line between, without tearing the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.line(text)),
            None => self.console.line(text),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(verb: &'static str, total_bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match total_bytes {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
        ),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("both templates are constant and valid");
    bar.with_style(style).with_message(verb)
}
