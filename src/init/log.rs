//! Lines in the kernel's log: what there is before the journal, and what the journal takes over.
//!
//! Must never hold a secret: the journal is read by administrators and goes into diagnostics.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::root::Root;

/// Longest line in bytes that the kernel takes in one record, its own prefix left aside.
const LINE_BYTES_MAX: usize = 900;

/// Syslog levels: «error» and «informational».
const ERROR: u8 = 3;
const INFO: u8 = 6;

/// The kernel's log.
#[derive(Debug, Clone)]
pub(crate) struct Log(Root);

impl Log {
    pub(crate) fn new(root: &Root) -> Self {
        Self(root.clone())
    }

    pub(crate) fn info(&self, text: &str) {
        self.line(INFO, text);
    }

    pub(crate) fn error(&self, text: &str) {
        self.line(ERROR, text);
    }

    /// Opened for each line: the kernel counts lines per open file, and drops those after the tenth in five seconds.
    /// A log that can't be written has nobody to tell; what it would have said of a problem is in the report, too.
    fn line(&self, level: u8, text: &str) {
        let line = record(level, text);
        if let Ok(mut log) = OpenOptions::new().append(true).open(self.0.at("/dev/kmsg")) {
            let _ = log.write_all(line.as_bytes());
        }
    }
}

/// One record of one line, whatever the text.
fn record(level: u8, text: &str) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let mut end = clean.len().min(LINE_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    format!("<{level}>lucid-init: {}\n", &clean[..end])
}

#[cfg(test)]
mod tests {
    use super::record;

    #[test]
    fn a_record_is_one_bounded_line() {
        assert_eq!(record(6, "a\n<0>b\u{1b}[m"), "<6>lucid-init: a <0>b [m\n");
        let long = record(3, &"ä".repeat(1000));
        assert!(long.len() < 930 && long.ends_with("ä\n"), "{}", long.len());
    }
}
