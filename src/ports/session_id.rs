//! The identifier of a recorded session.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies one recorded session: a UUID version 7 (RFC 9562), so that ids sort by the time of their making.
///
/// Parsing accepts the hyphenated lower-case form only, 36 characters: an id is also a directory name and part of a
/// URL, and one spelling leaves no room for a second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Uuid);

/// The text is not a session id.
#[derive(Debug, thiserror::Error)]
#[error("not a session id: expected a UUID of 36 characters in lower case")]
pub struct InvalidSessionId;

impl SessionId {
    /// A new id for a session that starts now.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes as they stand in anchors and in the additional data of a chunk.
    pub fn bytes(&self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The id with these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        let uuid = Uuid::try_parse(text).map_err(|_| InvalidSessionId)?;
        if uuid.hyphenated().to_string() == text { Ok(Self(uuid)) } else { Err(InvalidSessionId) }
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, InvalidSessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests;
