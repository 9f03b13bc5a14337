//! Rules that tie two settings together. Pure; looks at values that are right alone.

use super::Settings;
use super::errors::ConfigError;
use super::keys::{ACCESS_TOKEN_S, DATA_DIR, KEYS, RECORDING_ONLY_C, REFRESH_TOKEN_S, SHED_C, STATE_DIR};
use super::kind::{Key, Port};

/// Everything that does not go together.
pub(crate) fn check(settings: &Settings) -> Vec<ConfigError> {
    let mut errors = same_ports(settings);
    if settings.integer(&SHED_C) >= settings.integer(&RECORDING_ONLY_C) {
        let rule = "load is shed step by step, so the first must be lower";
        errors.push(conflict(settings, SHED_C.about.path, RECORDING_ONLY_C.about.path, rule));
    }
    if settings.integer(&REFRESH_TOKEN_S) <= settings.integer(&ACCESS_TOKEN_S) {
        let rule = "the first must be longer, or no login could ever be renewed";
        errors.push(conflict(settings, REFRESH_TOKEN_S.about.path, ACCESS_TOKEN_S.about.path, rule));
    }
    if settings.path(&DATA_DIR) == settings.path(&STATE_DIR) {
        let rule = "they must differ, because the wrapping keys must not lie beside the data they wrap";
        errors.push(conflict(settings, DATA_DIR.about.path, STATE_DIR.about.path, rule));
    }
    errors
}

fn same_ports(settings: &Settings) -> Vec<ConfigError> {
    let ports: Vec<&Port> =
        KEYS.iter().filter_map(|key| if let Key::Port(port) = key { Some(*port) } else { None }).collect();
    let mut errors = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let number = settings.port(port);
        let earlier = ports[..index].iter().find(|other| number != 0 && settings.port(other) == number);
        if let Some(earlier) = earlier {
            let rule = "two services can't share a port; give one of them another";
            errors.push(conflict(settings, port.about.path, earlier.about.path, rule));
        }
    }
    errors
}

fn conflict(settings: &Settings, key: &str, other_key: &str, rule: &'static str) -> ConfigError {
    let told = |key: &str| format!("`{key}` is {} ({})", settings.shown(key), settings.place(key));
    ConfigError::Conflict { first: told(key), second: told(other_key), rule }
}
