//! The kinds of settings and how a written value becomes a checked one.
//!
//! Owns the rule of every kind (range, length, allowed words) and its wording. Pure: no file, no environment.
//! Must never change a value silently: what breaks the rule is refused, not clamped.

use std::net::IpAddr;

use toml::de::DeValue;

/// What every setting says about itself.
pub(crate) struct About {
    /// Section and name, as in the file: `session-pipeline.chunk_size_mib`.
    pub(crate) path: &'static str,
    /// The environment variable that sets it too, and wins over the file.
    pub(crate) env: Option<&'static str>,
    /// One or two sentences for the reference.
    pub(crate) doc: &'static str,
}

/// A whole number with its range and unit.
pub(crate) struct Integer {
    /// Name and documentation.
    pub(crate) about: About,
    /// The unit, or an empty text for a plain count.
    pub(crate) unit: &'static str,
    /// Smallest accepted value.
    pub(crate) min: u64,
    /// Largest accepted value.
    pub(crate) max: u64,
    /// Value if nothing sets it.
    pub(crate) default: u64,
}

/// A TCP port. 0 lets the system choose a free one.
pub(crate) struct Port {
    /// Name and documentation.
    pub(crate) about: About,
    /// Value if nothing sets it.
    pub(crate) default: u16,
}

/// A yes or no.
pub(crate) struct Flag {
    /// Name and documentation.
    pub(crate) about: About,
    /// Value if nothing sets it.
    pub(crate) default: bool,
}

/// One word out of a list.
pub(crate) struct Choice {
    /// Name and documentation.
    pub(crate) about: About,
    /// The accepted words, in lower case.
    pub(crate) allowed: &'static [&'static str],
    /// Value if nothing sets it.
    pub(crate) default: &'static str,
}

/// A host name (RFC 1123).
pub(crate) struct HostName {
    /// Name and documentation.
    pub(crate) about: About,
    /// Value if nothing sets it.
    pub(crate) default: &'static str,
}

/// A path in the file system; a relative one counts from the working directory.
pub(crate) struct Location {
    /// Name and documentation.
    pub(crate) about: About,
    /// Value if nothing sets it.
    pub(crate) default: &'static str,
}

/// A block of the chain that the owner names: `none`, `new`, or a hash.
pub(crate) struct ChainHead {
    /// Name and documentation.
    pub(crate) about: About,
}

/// Something that may be left out: the word `none`, or a text with a rule of its own.
pub(crate) struct Optional {
    /// Name and documentation.
    pub(crate) about: About,
    /// What it must be where it is not `none`, to follow the words "must be none, or".
    pub(crate) rule: &'static str,
    /// Whether a text keeps the rule.
    pub(crate) is_right: fn(&str) -> bool,
}

/// An IP address to listen on.
pub(crate) struct Address {
    /// Name and documentation.
    pub(crate) about: About,
    /// Value if nothing sets it.
    pub(crate) default: IpAddr,
}

/// A row of the table of settings.
pub(crate) enum Key {
    /// A whole number.
    Integer(&'static Integer),
    /// A TCP port.
    Port(&'static Port),
    /// A yes or no.
    Flag(&'static Flag),
    /// One word out of a list.
    Choice(&'static Choice),
    /// A host name.
    HostName(&'static HostName),
    /// A path.
    Location(&'static Location),
    /// A block.
    ChainHead(&'static ChainHead),
    /// A text or nothing.
    Optional(&'static Optional),
    /// An IP address.
    Address(&'static Address),
}

/// A checked value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Of [`Integer`] and [`Port`].
    Integer(u64),
    /// Of [`Flag`].
    Flag(bool),
    /// Of [`Choice`], [`HostName`], [`Location`], [`ChainHead`] and [`Optional`].
    Text(String),
    /// Of [`Address`].
    Address(IpAddr),
}

/// The word for nothing, of an [`Optional`].
pub(crate) const NOTHING: &str = "none";
/// The word for no block at all.
pub(crate) const NO_HEAD: &str = "none";
/// Longest path accepted, in bytes: PATH_MAX of Linux less room for the file names below it.
const LOCATION_BYTES_MAX: usize = 3072;
/// Longest host name, in bytes (RFC 1035).
const HOST_NAME_BYTES_MAX: usize = 253;

impl Key {
    /// Name and documentation.
    pub(crate) fn about(&self) -> &'static About {
        match self {
            Key::Integer(key) => &key.about,
            Key::Port(key) => &key.about,
            Key::Flag(key) => &key.about,
            Key::Choice(key) => &key.about,
            Key::HostName(key) => &key.about,
            Key::Location(key) => &key.about,
            Key::ChainHead(key) => &key.about,
            Key::Optional(key) => &key.about,
            Key::Address(key) => &key.about,
        }
    }

    /// What a value must be, to follow the words "must be".
    pub(crate) fn rule(&self) -> String {
        match self {
            Key::Integer(Integer { unit: "", min, max, .. }) => format!("a whole number from {min} to {max}"),
            Key::Integer(Integer { unit, min, max, .. }) => format!("a whole number from {min} to {max} ({unit})"),
            Key::Port(_) => "a port from 1 to 65535, or 0 for any free one".to_owned(),
            Key::Flag(_) => "true or false".to_owned(),
            Key::Choice(key) => format!("one of {}", key.allowed.join(", ")),
            Key::HostName(_) => "a host name of letters, digits, hyphens and dots".to_owned(),
            Key::ChainHead(_) => "none, new, or the hash of a block in 64 lower-case hexadecimal digits".to_owned(),
            Key::Optional(key) => format!("none, or {}", key.rule),
            Key::Location(_) => "a path without control characters".to_owned(),
            Key::Address(_) => "an IP address, such as 127.0.0.1 or ::".to_owned(),
        }
    }

    /// The value that holds if nothing sets another.
    pub(crate) fn default_value(&self) -> Value {
        match self {
            Key::Integer(key) => Value::Integer(key.default),
            Key::Port(key) => Value::Integer(u64::from(key.default)),
            Key::Flag(key) => Value::Flag(key.default),
            Key::Choice(key) => Value::Text(key.default.to_owned()),
            Key::HostName(key) => Value::Text(key.default.to_owned()),
            Key::Location(key) => Value::Text(key.default.to_owned()),
            Key::ChainHead(_) => Value::Text(NO_HEAD.to_owned()),
            Key::Optional(_) => Value::Text(NOTHING.to_owned()),
            Key::Address(key) => Value::Address(key.default),
        }
    }

    /// Checks a value of the file. `None`: it breaks [`Key::rule`].
    pub(crate) fn accept_toml(&self, value: &DeValue<'_>) -> Option<Value> {
        match value {
            DeValue::Integer(number) if self.is_number() => {
                self.accept_number(u64::from_str_radix(number.as_str(), number.radix()).ok()?)
            }
            DeValue::Boolean(flag) if matches!(self, Key::Flag(_)) => Some(Value::Flag(*flag)),
            DeValue::String(text) if !self.is_number() && !matches!(self, Key::Flag(_)) => self.accept_words(text),
            _ => None,
        }
    }

    /// Checks a value of the environment, where everything is text. `None`: it breaks [`Key::rule`].
    pub(crate) fn accept_text(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Key::Integer(_) | Key::Port(_) => self.accept_number(text.parse().ok()?),
            // The original system wrote Python's `True` in places.
            Key::Flag(_) => text.to_ascii_lowercase().parse().ok().map(Value::Flag),
            // It wrote log levels in capitals, too.
            Key::Choice(_) => self.accept_words(&text.to_ascii_lowercase()),
            _ => self.accept_words(text),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Key::Integer(_) | Key::Port(_))
    }

    fn accept_number(&self, number: u64) -> Option<Value> {
        let fits = match self {
            Key::Integer(key) => (key.min..=key.max).contains(&number),
            _ => number <= u64::from(u16::MAX),
        };
        fits.then_some(Value::Integer(number))
    }

    fn accept_words(&self, text: &str) -> Option<Value> {
        match self {
            Key::Choice(key) => key.allowed.contains(&text).then(|| Value::Text(text.to_owned())),
            Key::HostName(_) => is_host_name(text).then(|| Value::Text(text.to_owned())),
            Key::Location(_) => is_location(text).then(|| Value::Text(text.to_owned())),
            Key::ChainHead(_) => is_chain_head(text).then(|| Value::Text(text.to_owned())),
            Key::Optional(key) => (text == NOTHING || (key.is_right)(text)).then(|| Value::Text(text.to_owned())),
            Key::Address(_) => text.parse().ok().map(Value::Address),
            Key::Integer(_) | Key::Port(_) | Key::Flag(_) => None,
        }
    }
}

impl Value {
    /// As the file would write it.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Value::Integer(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => toml::Value::String(text.clone()).to_string(),
            Value::Address(address) => format!("\"{address}\""),
        }
    }
}

fn is_chain_head(text: &str) -> bool {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hash || matches!(text, NO_HEAD | "new")
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= HOST_NAME_BYTES_MAX && text.split('.').all(label)
}

/// U+FFFD stands for bytes that were no UTF-8: such a path would name another file than the owner meant.
fn is_location(text: &str) -> bool {
    (1..=LOCATION_BYTES_MAX).contains(&text.len())
        && !text.chars().any(|character| character.is_control() || character == char::REPLACEMENT_CHARACTER)
}
