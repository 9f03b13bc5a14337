//! Texts in requests: checked when they are read, and valid ever after.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest id of a disk in bytes: SCSI serial numbers may have 252, of which USB bridges fill 64 at most.
const DISK_ID_BYTES_MAX: usize = 64;
/// Longest reason in bytes: one line of the journal.
const REASON_BYTES_MAX: usize = 200;

/// A text that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} has 1 to {bytes_max} printable ASCII characters; shorten it, or take the one that is shown")]
pub struct BadText {
    what: &'static str,
    bytes_max: usize,
}

/// By what a disk is named: its serial number or, for one that has none, the kernel's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskId(String);

/// Why something is asked, in one line for the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

impl DiskId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DiskId {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        line(text, "the id of a disk", DISK_ID_BYTES_MAX).map(Self)
    }
}

impl FromStr for Reason {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        line(text, "a reason", REASON_BYTES_MAX).map(Self)
    }
}

/// One line without surrounding blanks, which drives pad their serial numbers with.
fn line(text: &str, what: &'static str, bytes_max: usize) -> Result<String, BadText> {
    let text = text.trim_matches(' ');
    let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.is_empty() || text.len() > bytes_max || !is_printable {
        return Err(BadText { what, bytes_max });
    }
    Ok(text.to_owned())
}

/// Reads and writes a text as itself.
macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = BadText;

            fn try_from(text: String) -> Result<Self, BadText> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

as_text!(DiskId);
as_text!(Reason);

#[cfg(test)]
mod tests;
