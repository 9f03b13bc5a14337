//! What is wrong with a provisioning file, in words for whoever wrote it.

use super::value::BadValue;

/// Why a provisioning file was not applied. Shown on the console and the dashboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisioningError {
    /// It is longer than anything sensible.
    #[error("lucid.toml has {bytes} bytes, at most {bytes_max} are read; shorten it")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It is no UTF-8.
    #[error("lucid.toml is not UTF-8 text; save it as UTF-8")]
    NotText,
    /// Its bytes were overwritten on a first boot.
    #[error("lucid.toml was consumed by a first boot before; write the image anew to provision again")]
    Consumed,
    /// It is no TOML, or holds a key or a type that is not known.
    #[error("lucid.toml, line {line}: {message}; correct it there")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the parser said, never with a secret's value.
        message: String,
    },
    /// A value breaks a rule.
    #[error("lucid.toml, `{key}`: {bad}; correct it there")]
    Value {
        /// The key with its table, for example `network.address`.
        key: &'static str,
        /// The value and the rule.
        bad: BadValue,
    },
    /// It was written for another release.
    #[error("lucid.toml, `version`: {version} is not known; this release reads version 1")]
    Version {
        /// What stands there.
        version: i64,
    },
    /// A key lacks its partner.
    #[error("lucid.toml, `{key}` is missing: {rule}; add it there")]
    Missing {
        /// The key that should be there.
        key: &'static str,
        /// Why.
        rule: &'static str,
    },
}
