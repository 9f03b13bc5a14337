//! What `lucid-pi` says: progress and errors to standard error. The one place that writes to the terminal.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

/// Says one line, with the time since the board was switched on. A guest's control characters stay out of the terminal.
pub(crate) fn step(since: Duration, text: &str) {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    // A terminal that is gone is no reason to stop a board.
    let _ = writeln!(io::stderr(), "{:6.1} s  {text}", since.as_secs_f64());
}

/// Says one line.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says why it failed, with all causes.
pub(crate) fn error(error: &dyn Error) {
    say(&format!("lucid-pi: {}", lucid_error::chain(error)));
}
