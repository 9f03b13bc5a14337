//! Single values: parsed once, and valid ever after.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest part of a bad value that is shown, in characters: values come from outside.
const SHOWN_CHARS_MAX: usize = 80;

/// Longest label of a domain name in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Longest name of a time zone in bytes; the longest in the database has 32.
const TIMEZONE_BYTES_MAX: usize = 64;

/// Longest serial number in bytes: NVMe has 20, ATA 20, SCSI's may have 252, of which USB bridges fill 64 at most.
const SERIAL_BYTES_MAX: usize = 64;

/// A value and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// As it stands in the file, escaped and shortened; None for a secret.
    value: Option<String>,
    rule: &'static str,
}

impl BadValue {
    pub(super) fn new(value: &str, rule: &'static str) -> Self {
        let shown = value.chars().take(SHOWN_CHARS_MAX).collect::<String>();
        Self { value: Some(shown.escape_debug().to_string()), rule }
    }

    pub(super) fn secret(rule: &'static str) -> Self {
        Self { value: None, rule }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(formatter, "`{value}` is not valid: {}", self.rule),
            None => write!(formatter, "its value, which is not shown, is not valid: {}", self.rule),
        }
    }
}

impl std::error::Error for BadValue {}

/// A text that keeps to a rule; read and written as that text.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadValue;

            fn try_from(text: String) -> Result<Self, BadValue> {
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

text! {
    /// A host name of one label (RFC 1123, section 2.1), in lower case.
    Hostname
}

text! {
    /// A name of the IANA time zone database. Whether the system knows it is for whoever can look.
    Timezone
}

text! {
    /// A disk's serial number, as the disk tells it.
    DiskSerial
}

impl FromStr for Hostname {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let rule = "a host name has 1 to 63 letters, digits and hyphens, at least one letter, and neither begins nor \
                    ends with a hyphen; `localhost` is taken";
        let name = text.to_ascii_lowercase();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = !name.is_empty() && name.len() <= LABEL_BYTES_MAX && name.bytes().all(known);
        let has_letter = name.bytes().any(|byte| byte.is_ascii_alphabetic());
        let is_valid = is_label && has_letter && !name.starts_with('-') && !name.ends_with('-') && name != "localhost";
        if is_valid { Ok(Self(name)) } else { Err(BadValue::new(text, rule)) }
    }
}

impl FromStr for Timezone {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        // It becomes part of a path: no part may lead elsewhere, which a dot would be needed for.
        let is_part = |part: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
            part.starts_with(|first: char| first.is_ascii_alphabetic()) && part.bytes().all(known)
        };
        if text.len() <= TIMEZONE_BYTES_MAX && text.split('/').all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadValue::new(text, "a time zone has a name like `Europe/Berlin` or `UTC`"))
    }
}

impl FromStr for DiskSerial {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let serial = text.trim();
        let is_printable = serial.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !serial.is_empty() && serial.len() <= SERIAL_BYTES_MAX && is_printable {
            return Ok(Self(serial.to_owned()));
        }
        Err(BadValue::new(text, "a serial number has 1 to 64 printable ASCII characters; the dashboard shows it"))
    }
}
