//! One log line: bounded in size, free of control characters.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Longest text kept of a message or field, in bytes; longer ones end in `…`.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;
/// Fields kept of a line, those of its spans included.
const FIELDS_MAX: usize = 32;
/// RFC 3339 in UTC to the millisecond.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be and goes on.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

/// A log line as it stands in a file, and as the dashboard gets it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When it was logged, RFC 3339 in UTC with milliseconds.
    pub time: String,
    /// How grave it is.
    pub level: Level,
    /// The service it belongs to.
    pub service: String,
    /// The module that logged it.
    pub target: String,
    /// What is said. At most 4 KiB, control characters escaped.
    pub message: String,
    /// Names and values, those of the enclosing spans first. Each as bounded and escaped as the message.
    #[serde(serialize_with = "as_map")]
    pub fields: Vec<(String, Value)>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating-point number; JSON has no word for those that are not finite: they become null.
    Float(f64),
    /// Anything else, as text.
    Text(String),
}

impl Line {
    /// The bytes of memory it takes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| {
            let text = if let Value::Text(text) = value { text.len() } else { 0 };
            size_of::<(String, Value)>() + name.len() + text
        });
        size_of::<Self>()
            + self.time.len()
            + self.service.len()
            + self.target.len()
            + self.message.len()
            + fields.sum::<usize>()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(formatter),
            Self::Signed(value) => value.fmt(formatter),
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
            Self::Text(value) => formatter.write_str(value),
        }
    }
}

/// The fields as a JSON object, in their order.
fn as_map<S: Serializer>(fields: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
}

/// A moment as a line says it.
pub(crate) fn format_time(moment: SystemTime) -> String {
    // Years that the format can't hold need a clock beyond the year 9999: say so rather than fail.
    OffsetDateTime::from(moment).format(TIME).unwrap_or_else(|_| "invalid".to_owned())
}

/// Text being written, escaped and cut at [`TEXT_BYTES_MAX`]. Once cut it refuses more, which stops the formatting of
/// a huge value early.
#[derive(Debug, Default)]
pub(crate) struct BoundedText {
    text: String,
    cut: bool,
}

impl BoundedText {
    pub(crate) fn into_string(self) -> String {
        self.text
    }

    /// What `value` says, bounded and escaped.
    pub(crate) fn of(value: impl fmt::Display) -> String {
        let mut bounded = Self::default();
        // An error means that the text is cut, or that the value can't say itself: both leave what there is.
        let _cut_or_unwilling = write!(bounded, "{value}");
        bounded.into_string()
    }

    /// Adds one character, escaped or not, whole or not at all.
    fn push(&mut self, character: impl Iterator<Item = char> + Clone) -> fmt::Result {
        let bytes = character.clone().map(char::len_utf8).sum::<usize>();
        if self.text.len() + bytes > TEXT_BYTES_MAX {
            self.cut = true;
            self.text.push('…');
            return Err(fmt::Error);
        }
        self.text.extend(character);
        Ok(())
    }
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        for character in piece.chars() {
            if is_dangerous(character) {
                self.push(character.escape_default())?;
            } else {
                self.push(std::iter::once(character))?;
            }
        }
        Ok(())
    }
}

/// Control characters (C0, C1, DEL), and what reorders or breaks a line for a reader: bidirectional overrides and
/// isolates, line and paragraph separators, marks without width.
fn is_dangerous(character: char) -> bool {
    let reorders = matches!(character, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    character.is_control() || reorders || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The fields of a line or span. Collects what tracing hands over.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields {
    pub(crate) message: Option<String>,
    pub(crate) values: Vec<(String, Value)>,
}

impl Fields {
    /// Adds a field. A name that is there already takes the new value (`Span::record`).
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if let Some((_, old)) = self.values.iter_mut().find(|(known, _)| known == name) {
            *old = value;
        } else if self.values.len() < FIELDS_MAX {
            self.values.push((name.to_owned(), value));
        }
    }
}

impl tracing::field::Visit for Fields {
    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.set(field.name(), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.set(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.set(field.name(), Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &tracing::field::Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let text = BoundedText::of(format_args!("{value:?}"));
        if field.name() == "message" {
            self.message = Some(text);
        } else {
            self.set(field.name(), Value::Text(text));
        }
    }
}

#[cfg(test)]
mod tests;
