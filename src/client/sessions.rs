//! Listing, looking up and deleting recordings.

use reqwest::Method;
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::api::{Session, SessionPage, escaped};
use crate::connection::{CALL_TIMEOUT, Client, Transport};
use crate::error::ClientError;

/// Sessions asked for at once.
const PAGE_MAX: usize = 200;
/// Longest label shown in the table, in characters.
const LABEL_CHARS_MAX: usize = 40;
/// Longest owner shown: the longest name of an account, and the words for a removed one.
const OWNER_CHARS_MAX: usize = 48;

/// The newest `limit` recordings that this account may see.
///
/// # Errors
/// The server can't be reached or refuses.
pub async fn list(client: &Client, limit: usize) -> Result<Vec<Session>, ClientError> {
    let mut sessions = Vec::new();
    let mut before: Option<String> = None;
    while sessions.len() < limit {
        let count = PAGE_MAX.min(limit - sessions.len());
        let before_text = before.take().map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("/api/sessions?limit={count}{before_text}");
        let page: SessionPage = client.json("list sessions", |http| http.request(Method::GET, &path)).await?;
        let is_empty = page.sessions.is_empty();
        sessions.extend(page.sessions);
        match page.next {
            Some(next) if !is_empty => before = Some(next),
            _ => break,
        }
    }
    sessions.truncate(limit);
    Ok(sessions)
}

/// One recording.
///
/// # Errors
/// There is none with this id, or the server can't be reached.
pub async fn session(client: &Client, id: Uuid) -> Result<Session, ClientError> {
    let path = format!("/api/sessions/{id}");
    client.json(&format!("look up session {id}"), |http| http.request(Method::GET, &path)).await
}

/// Deletes a recording for ever: its key is destroyed.
///
/// # Errors
/// There is none with this id, it still runs, or the server can't be reached.
pub async fn delete(client: &Client, id: Uuid) -> Result<(), ClientError> {
    let path = format!("/api/sessions/{id}");
    let request = |http: &Transport| http.request(Method::DELETE, &path).timeout(CALL_TIMEOUT);
    client.send(&format!("delete session {id}"), request).await.map(|_| ())
}

/// The recordings as a table for people, with a head line.
pub fn table(sessions: &[Session]) -> String {
    let mut text = format!(
        "{:36}  {:16}  {:9}  {:>12}  {:>8}  {:12}  LABEL\n",
        "SESSION", "STARTED (UTC)", "STATE", "BYTES", "BLOCK", "OWNER"
    );
    for session in sessions {
        let state = format!("{:?}", session.state).to_lowercase();
        let block = session.block_height.map_or_else(|| "-".to_owned(), |height| height.to_string());
        let shown = |text: &str, chars_max| escaped(&text.chars().take(chars_max).collect::<String>());
        text.push_str(&format!(
            "{:36}  {:16}  {state:9}  {:>12}  {block:>8}  {:12}  {}\n",
            session.id.to_string(),
            started(session.started_ms),
            session.length(),
            shown(&session.owner.shown(), OWNER_CHARS_MAX),
            shown(&session.label, LABEL_CHARS_MAX)
        ));
    }
    text
}

fn started(unix_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let time = i64::try_from(unix_ms / 1000).ok().and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    time.and_then(|time| time.format(format).ok()).unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests;
