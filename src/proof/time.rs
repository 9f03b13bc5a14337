//! Points in time with a statement about how far the clock could be believed.
//!
//! A recorder without a clock battery may not know the time; evidence says so instead of hiding it. Must never read a
//! clock: times are given.

use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::wire::{DecodeError, Reader};

/// The last millisecond of the year 9999, after which RFC 3339 has no notation.
pub const UNIX_MS_MAX: u64 = 253_402_300_799_999;

/// How far a time can be believed. The order is from worse to better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum TimeTrust {
    /// The clock was never set from a time source since the start.
    Unsynchronized = 0,
    /// The clock was behind the parent block (or the last known time); time was held there instead of running back.
    Held = 1,
    /// The clock was set from a time source.
    Synchronized = 2,
}

impl TimeTrust {
    /// The word that texts use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsynchronized => "unsynchronized",
            Self::Held => "held",
            Self::Synchronized => "synchronized",
        }
    }

    /// The value of a word, if it is one of the three.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Unsynchronized, Self::Held, Self::Synchronized].into_iter().find(|trust| trust.as_str() == word)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Unsynchronized, Self::Held, Self::Synchronized].into_iter().find(|trust| *trust as u8 == byte)
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted; at most [`UNIX_MS_MAX`].
    pub unix_ms: u64,
    /// How far this can be believed.
    pub trust: TimeTrust,
}

impl Timestamp {
    /// The notation of [`rfc3339`]; the trust is not part of it.
    ///
    /// # Errors
    /// [`TimeError::TooLate`] after the year 9999.
    pub fn rfc3339(self) -> Result<String, TimeError> {
        rfc3339(self.unix_ms)
    }

    pub(crate) fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.unix_ms.to_be_bytes());
        bytes.push(self.trust as u8);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let unix_ms = decode_unix_ms(reader)?;
        let trust = TimeTrust::from_byte(reader.u8()?)
            .ok_or(DecodeError::Value { what: "the time trust", problem: "is none of 0, 1 and 2" })?;
        Ok(Self { unix_ms, trust })
    }
}

pub(crate) fn decode_unix_ms(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.u64()? {
        found if found > UNIX_MS_MAX => {
            Err(DecodeError::Limit { what: "the time in milliseconds", found, max: UNIX_MS_MAX })
        }
        unix_ms => Ok(unix_ms),
    }
}

/// Why a time can't be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// After the year 9999.
    #[error("{unix_ms} ms after 1970 is after the year 9999, which RFC 3339 can't express")]
    TooLate {
        /// The time in question.
        unix_ms: u64,
    },
    /// Not in the one notation that is accepted.
    #[error("`{text}` is not a time of the form 2026-01-31T12:00:00.000Z, 1970 or later")]
    Notation {
        /// What was found.
        text: String,
    },
}

/// A time in RFC 3339, in UTC and with exactly three digits of a second: `2026-01-31T12:00:00.000Z`.
///
/// # Errors
/// [`TimeError::TooLate`] after the year 9999.
pub fn rfc3339(unix_ms: u64) -> Result<String, TimeError> {
    let too_late = TimeError::TooLate { unix_ms };
    if unix_ms > UNIX_MS_MAX {
        return Err(too_late);
    }
    let notation = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(notation).ok())
        .ok_or(too_late)
}

/// Reads what [`rfc3339`] writes, and nothing else, as milliseconds since 1970.
///
/// # Errors
/// [`TimeError::Notation`] for every other text, also for other notations of the same time.
pub fn parse_rfc3339(text: &str) -> Result<u64, TimeError> {
    let notation = || TimeError::Notation { text: text.chars().take(64).collect() };
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| notation())?;
    let unix_ms = u64::try_from(time.to_offset(UtcOffset::UTC).unix_timestamp_nanos() / 1_000_000);
    match unix_ms {
        Ok(unix_ms) if rfc3339(unix_ms).as_deref() == Ok(text) => Ok(unix_ms),
        _ => Err(notation()),
    }
}

#[cfg(test)]
mod tests;
