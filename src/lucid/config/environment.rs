//! Reads the environment: settings in the original form, and what the original system had and this one has not.
//!
//! Must never repeat a value of a variable that is not a setting: many of the old ones are secrets.

use std::ffi::OsString;

use super::errors::{Place, Warning};
use super::file::{Found, Set, invalid};
use super::keys::KEYS;
use super::nearest;
use super::obsolete::OBSOLETE;

/// The process environment in the form that [`super::Settings::load`] takes. Bytes that are no UTF-8 become U+FFFD,
/// which every kind of setting refuses, instead of a variable that silently is not there.
pub(crate) fn process() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// Checks every variable. An empty one counts as not set: that is what `${NAME:-}` in a compose file leaves behind.
pub(crate) fn read(environment: impl Iterator<Item = (String, String)>) -> (Found, Vec<Warning>) {
    let mut found = Found::default();
    let mut warnings = Vec::new();
    // Sorted, so that messages come in the same order whatever the order of the environment.
    let mut variables: Vec<_> = environment.filter(|(_, value)| !value.trim().is_empty()).collect();
    variables.sort();
    for (name, value) in variables {
        if let Some(key) = KEYS.iter().find(|key| key.about().env == Some(&*name)) {
            let place = Place::Environment(name);
            match key.accept_text(&value) {
                Some(value) => found.values.push((key.about().path, Set { value, place })),
                None => found.errors.push(invalid(key, place, &value)),
            }
        } else {
            warnings.extend(remark(name));
        }
    }
    (found, warnings)
}

fn remark(name: String) -> Option<Warning> {
    if let Some((name, instead)) = OBSOLETE.iter().find(|(obsolete, _)| *obsolete == name) {
        return Some(Warning::Obsolete { name, instead });
    }
    nearest::variable(&name).map(|nearest| Warning::Mistyped { name, nearest })
}
