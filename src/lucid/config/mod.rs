//! Settings: one TOML file, the owner's over it, and environment variables, validated whole before anything starts.
//!
//! Owns the table of keys (`keys`) and everything that derives from it. Promises: all errors at once, each with key,
//! value, rule and place; a variable wins over the files, these over the defaults; a getter can't miss.
//! Must never hold a secret, never read the environment anywhere but in `environment::process`, never write a file.

mod document;
mod environment;
mod errors;
mod file;
pub(crate) mod keys;
mod kind;
mod nearest;
mod obsolete;
mod rules;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

pub(crate) use document::reference;
pub(crate) use environment::process as process_environment;
pub(crate) use errors::ConfigErrors;
pub(crate) use kind::Port;

use errors::{Place, Warning};
use file::{Found, Set};
use keys::KEYS;
use kind::{Address, ChainHead, Choice, Flag, HostName, Integer, Location, NO_HEAD, NOTHING, Optional, Value};

/// The owner's own settings, in the state directory: over the file that came with the appliance, which is read-only.
const OWNERS_FILE: &str = "lucid.toml";
/// The value of a [`Location`] that stands for what is usual where the program runs.
const AUTO: &str = "auto";
/// The value of a [`Location`] that stands for nothing.
const NOWHERE: &str = "none";

/// Checked settings. Holds only what was set; a key that nothing set answers with its default.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Set>,
    warnings: Vec<Warning>,
}

impl Settings {
    /// Reads `file` (if any) and `environment`, and checks everything.
    ///
    /// # Errors
    /// All that is wrong with either, at once; then nothing must be started.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, ConfigErrors> {
        Self::layered(vec![file.map(file::read).unwrap_or_default()], environment)
    }

    /// The same with the owner's own file over `file`. Where that is wrong the box must come up all the same, so that
    /// its owner can mend it: then it has no effect as a whole, and what is wrong comes along.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub(crate) fn load_with_owners(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(Settings, Option<ConfigErrors>), ConfigErrors> {
        let environment: Vec<_> = environment.collect();
        let without = Self::load(file, environment.iter().cloned())?;
        let owners = without.path(&keys::STATE_DIR).join(OWNERS_FILE);
        let is_absent = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
        if std::fs::symlink_metadata(&owners).is_err_and(is_absent) {
            return Ok((without, None));
        }
        let owners = file::read(&owners).without(keys::STATE_DIR.about.path);
        let files = vec![file.map(file::read).unwrap_or_default(), owners];
        match Self::layered(files, environment.into_iter()) {
            Ok(settings) => Ok((settings, None)),
            Err(errors) => Ok((without, Some(errors))),
        }
    }

    /// What was found in files, each over the one before, and the environment over all.
    fn layered(
        files: Vec<Found>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Settings, ConfigErrors> {
        let (from_environment, warnings) = environment::read(environment);
        let mut settings = Settings { values: BTreeMap::new(), warnings };
        let mut errors = Vec::new();
        for Found { values, errors: more } in files.into_iter().chain([from_environment]) {
            settings.values.extend(values);
            errors.extend(more);
        }
        // A rule between two values says nothing while one of them is missing because it was refused.
        if errors.is_empty() {
            errors = rules::check(&settings);
        }
        if errors.is_empty() { Ok(settings) } else { Err(ConfigErrors(errors)) }
    }

    /// What the owner should know although it does not stop the start.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// A whole number, in the unit that its name ends with.
    pub(crate) fn integer(&self, key: &Integer) -> u64 {
        match self.value(key.about.path) {
            Some(Value::Integer(number)) => *number,
            _ => key.default,
        }
    }

    /// A port; 0 lets the system choose.
    pub(crate) fn port(&self, key: &Port) -> u16 {
        match self.value(key.about.path) {
            Some(Value::Integer(number)) => u16::try_from(*number).expect("a checked port is at most 65535"),
            _ => key.default,
        }
    }

    /// A yes or no.
    pub(crate) fn flag(&self, key: &Flag) -> bool {
        match self.value(key.about.path) {
            Some(Value::Flag(flag)) => *flag,
            _ => key.default,
        }
    }

    /// One of the words that the key allows.
    pub(crate) fn choice(&self, key: &Choice) -> &str {
        self.text(key.about.path).unwrap_or(key.default)
    }

    /// A host name.
    pub(crate) fn host_name(&self, key: &HostName) -> &str {
        self.text(key.about.path).unwrap_or(key.default)
    }

    /// A path, absolute or relative to the working directory.
    pub(crate) fn path(&self, key: &Location) -> PathBuf {
        PathBuf::from(self.text(key.about.path).unwrap_or(key.default))
    }

    /// A path of the appliance: what is set, `usual` where that is left to the program, or nothing.
    pub(crate) fn place_of(&self, key: &Location, usual: Option<&str>) -> Option<PathBuf> {
        match self.text(key.about.path).unwrap_or(key.default) {
            AUTO => usual.map(PathBuf::from),
            NOWHERE => None,
            path => Some(PathBuf::from(path)),
        }
    }

    /// A block that the owner names; nothing where none is.
    pub(crate) fn chain_head(&self, key: &ChainHead) -> Option<String> {
        self.text(key.about.path).filter(|text| *text != NO_HEAD).map(str::to_owned)
    }

    /// A text; nothing where none is set.
    pub(crate) fn optional(&self, key: &Optional) -> Option<&str> {
        self.text(key.about.path).filter(|text| *text != NOTHING)
    }

    /// An IP address.
    pub(crate) fn address(&self, key: &Address) -> IpAddr {
        match self.value(key.about.path) {
            Some(Value::Address(address)) => *address,
            _ => key.default,
        }
    }

    /// Whether anything sets `key`.
    pub(crate) fn is_set(&self, key: &HostName) -> bool {
        self.values.contains_key(key.about.path)
    }

    /// The values in force as a TOML file, each with its origin as a comment.
    pub(crate) fn show(&self) -> String {
        document::in_force(self)
    }

    /// Where the value of `path` comes from.
    pub(crate) fn place(&self, path: &str) -> Place {
        self.values.get(path).map_or(Place::Default, |set| set.place.clone())
    }

    /// The value of `path` as the file would write it; empty for a path that is no key.
    fn shown(&self, path: &str) -> String {
        let default = || KEYS.iter().find(|key| key.about().path == path).map(kind::Key::default_value);
        self.value(path).cloned().or_else(default).map(|value| value.to_toml()).unwrap_or_default()
    }

    fn value(&self, path: &str) -> Option<&Value> {
        self.values.get(path).map(|set| &set.value)
    }

    fn text(&self, path: &str) -> Option<&str> {
        match self.value(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
