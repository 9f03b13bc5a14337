//! What can be wrong with a configuration, and where it stands.
//!
//! Every error names the key, the value, the rule and the place. The value of an unknown key is never repeated: it
//! may be a secret that was put into the wrong file.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The configuration file; lines count from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Place::Environment(name) => write!(formatter, "environment variable {name}"),
            Place::Default => write!(formatter, "default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration file `{}`", path.display())]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("configuration file `{}` is larger than {bytes_max} bytes: is it the right file?", path.display())]
    TooLarge {
        /// The file as it was named.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// The file is not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        message: String,
    },
    /// A key or section that does not exist.
    #[error("{place}: unknown key `{key}`{}", hint(nearest.as_deref()))]
    Unknown {
        /// Where.
        place: Place,
        /// The key as it was written.
        key: String,
        /// The most similar one that exists.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("{place}: `{key}` is `{value}`, but must be {rule}")]
    Invalid {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// The value as it was written, shortened.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// A key that this file can't set.
    #[error("{place}: `{key}` can't be set in a file that lies in it; remove the line")]
    Misplaced {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
    },
    /// Two values that are right alone and wrong together.
    #[error("{first} and {second}: {rule}")]
    Conflict {
        /// Key, value and place of the one to change.
        first: String,
        /// Key, value and place of the one it clashes with.
        second: String,
        /// What must hold.
        rule: &'static str,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Everything that is wrong, at once, so that one round of mending is enough. Never empty.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the configuration has {} error(s); nothing was started", self.0.len())?;
        self.each().try_for_each(|error| write!(formatter, "\n  {error}"))
    }
}

impl ConfigErrors {
    /// Each with its causes, on a line.
    pub(crate) fn each(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|error| lucid_error::chain(error))
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that starts all the same, but that the owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Warning {
    /// A variable of the original system that nothing reads any more.
    Obsolete {
        /// The variable.
        name: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A variable that looks like a mistyped one.
    Mistyped {
        /// The variable.
        name: String,
        /// The one that exists.
        nearest: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Obsolete { name, instead } => {
                write!(formatter, "environment variable {name} is not used any more: {instead}")
            }
            Warning::Mistyped { name, nearest } => {
                write!(
                    formatter,
                    "environment variable {name} is not a setting and was ignored; did you mean {nearest}?"
                )
            }
        }
    }
}

/// A value as an error may show it: one line, no control characters, at most 80 characters.
pub(crate) fn shown(value: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let escape = |character: char| match character {
        '\'' | '"' | '\\' => String::from(character),
        other => other.escape_debug().to_string(),
    };
    let mut text: String = value.chars().take(CHARACTERS_MAX).map(escape).collect();
    if value.chars().nth(CHARACTERS_MAX).is_some() {
        text.push('…');
    }
    text
}
