//! What people write of a root set, a key list or a channel: TOML, times as dates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lucid_bundle::{KeyList, PublicKey, ReleaseKey, RootSet, UnixSeconds, Use};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{error::of, files};
use crate::error::Error;

/// Longest description in bytes: sixteen releases with their notes.
const BYTES_MAX: usize = 64 * 1024;

/// A time as people write it: date, time and zone.
pub(super) struct Moment(pub(super) UnixSeconds);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = toml::value::Datetime::deserialize(deserializer)?.to_string();
        moment(&text).map(Self).ok_or_else(|| D::Error::custom(format!("`{text}` has no zone, or lies before 1970")))
    }
}

/// The second that a text such as `2026-01-31T12:00:00Z` names (RFC 3339); None if it names none since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<UnixSeconds> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp().try_into().ok()
}

/// A time for people, to the second, in UTC.
pub(crate) fn date(second: UnixSeconds) -> String {
    let moment = i64::try_from(second).ok().and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("second {second}"))
}

/// Reads a description.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = files::read(path, BYTES_MAX)?;
    toml::from_slice(&bytes).map_err(of(path))
}

/// Reads what a root set shall be: the document's own members, in TOML.
pub(super) fn root_set(path: &Path) -> Result<RootSet, Error> {
    read(path)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyListText {
    version: u64,
    root_version: u64,
    keys: Vec<KeyText>,
    #[serde(default)]
    revoked: Vec<PublicKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    key: PublicKey,
    name: String,
    not_after: Moment,
    uses: BTreeSet<Use>,
}

/// Reads what a key list shall be.
pub(super) fn key_list(path: &Path) -> Result<KeyList, Error> {
    let KeyListText { version, root_version, keys, revoked } = read(path)?;
    let key = |KeyText { key, name, not_after: Moment(not_after), uses }| ReleaseKey {
        key,
        name,
        not_after,
        uses: uses.into_iter().collect(),
    };
    Ok(KeyList { version, root_version, keys: keys.into_iter().map(key).collect(), revoked })
}

/// What a channel shall be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelText {
    pub(super) sequence: u64,
    pub(super) issued: Moment,
    pub(super) expires: Moment,
    #[serde(default)]
    pub(super) releases: Vec<ReleaseText>,
}

/// A release of a channel. What its bundle says itself is not said again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseText {
    /// The bundle's file, from the description's folder.
    pub(super) bundle: PathBuf,
    pub(super) url: String,
    /// Of all boxes: 100 for all.
    pub(super) percent: u8,
    #[serde(default)]
    pub(super) hold: bool,
    #[serde(default)]
    pub(super) notes: String,
}

/// Reads what a channel shall be.
pub(super) fn channel(path: &Path) -> Result<ChannelText, Error> {
    read(path)
}

#[cfg(test)]
mod tests;
