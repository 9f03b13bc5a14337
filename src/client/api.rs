//! The JSON that crosses the wire, and the limits on reading it. Names are the API's.

use reqwest::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ClientError;
use crate::secret::Secret;

/// Largest reply read as a whole, in bytes: a list of 1000 sessions is a third of it.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// Longest part of a server's words that is shown, in characters.
const DETAIL_CHARS_MAX: usize = 1024;

/// Where a recording stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Bytes still come in.
    Recording,
    /// All bytes are durable; the manifest is being made.
    Sealing,
    /// The anchor waits for a block.
    Anchoring,
    /// The anchor is in a block.
    Anchored,
    /// Given up.
    Failed,
    /// A state that a newer server knows.
    #[serde(other)]
    Unknown,
}

/// A recording, as the server tells of it. Members that a newer server adds are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// What the owner called it; shown only with control characters escaped.
    #[serde(default)]
    pub label: String,
    /// Who made it.
    #[serde(default)]
    pub owner: Owner,
    /// Where it stands.
    pub state: SessionState,
    /// Length of the recorded stream, in bytes, so far as the server has it.
    #[serde(default)]
    pub bytes: u64,
    /// Of these, what a power cut can't take any more.
    #[serde(default)]
    pub durable_bytes: u64,
    /// Number of chunks.
    #[serde(default)]
    pub chunks: u64,
    /// Start, in milliseconds since 1970-01-01 UTC.
    #[serde(default)]
    pub started_ms: u64,
    /// End, in the same unit.
    #[serde(default)]
    pub ended_ms: Option<u64>,
    /// Merkle root, once sealed.
    #[serde(default)]
    pub root: Option<String>,
    /// Height of the block that anchors it.
    #[serde(default)]
    pub block_height: Option<u64>,
}

/// Who made a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// What the account was called.
    pub name: String,
    /// How the account stands: `present`, `removed` or `unknown`.
    pub account: String,
}

impl Owner {
    /// In the words that people are shown; a server's, so not for a terminal as they are.
    pub(crate) fn shown(&self) -> String {
        if self.account == "removed" { format!("removed account {}", self.name) } else { self.name.clone() }
    }
}

impl Session {
    /// Length of a finished recording. Servers that tell only the durable bytes mean the same.
    pub(crate) fn length(&self) -> u64 {
        self.bytes.max(self.durable_bytes)
    }
}

#[derive(Deserialize)]
pub(crate) struct SessionPage {
    pub(crate) sessions: Vec<Session>,
    /// What to give as `before` for the next page; absent on the last.
    #[serde(default)]
    pub(crate) next: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct NewSession<'a> {
    pub(crate) label: &'a str,
}

#[derive(Serialize)]
pub(crate) struct LoginRequest<'a> {
    pub(crate) name: &'a str,
    pub(crate) password: &'a Secret,
}

#[derive(Serialize)]
pub(crate) struct RefreshRequest<'a> {
    pub(crate) refresh_token: &'a Secret,
}

/// Answer to login and refresh.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Secret,
    #[serde(default)]
    pub(crate) role: String,
}

/// RFC 9457, as far as it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    code: String,
}

/// Reads a whole reply of bounded size.
pub(crate) async fn read_text(attempted: &str, mut response: Response) -> Result<String, ClientError> {
    let mut bytes = Vec::new();
    let broken = |source| ClientError::Connection { attempted: attempted.to_owned(), source };
    while let Some(piece) = response.chunk().await.map_err(|error| broken(error.without_url()))? {
        if bytes.len() + piece.len() > REPLY_BYTES_MAX {
            return Err(reply(attempted, format!("more than {REPLY_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| reply(attempted, "not UTF-8".to_owned()))
}

/// Reads a JSON reply of bounded size.
pub(crate) async fn read_json<T: DeserializeOwned>(attempted: &str, response: Response) -> Result<T, ClientError> {
    let text = read_text(attempted, response).await?;
    serde_json::from_str(&text).map_err(|error| reply(attempted, error.to_string()))
}

/// The reply does not keep what the API promises.
pub(crate) fn reply(attempted: &str, problem: String) -> ClientError {
    ClientError::Reply { attempted: attempted.to_owned(), problem }
}

/// Turns an error status into an error with the server's words.
pub(crate) async fn refused(attempted: &str, response: Response) -> ClientError {
    let status = response.status();
    let text = read_text(attempted, response).await.unwrap_or_default();
    let problem: Problem = serde_json::from_str(&text).unwrap_or_default();
    let words = [problem.detail, problem.title, status.canonical_reason().unwrap_or("an error").to_owned()];
    let detail = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    let code = if problem.code.is_empty() { "-".to_owned() } else { escaped(&problem.code) };
    ClientError::Refused { attempted: attempted.to_owned(), status: status.as_u16(), code, detail: escaped(&detail) }
}

/// Words from elsewhere, safe to show on a terminal: bounded, control characters escaped.
pub(crate) fn escaped(words: &str) -> String {
    let escape = |character: char| match character {
        '\'' | '"' | '\\' => String::from(character),
        other => other.escape_debug().to_string(),
    };
    words.chars().take(DETAIL_CHARS_MAX).map(escape).collect()
}
