//! What a verifier needs from the appliance: its key, its latest signed checkpoint, and that one extends another.

use data_encoding::HEXLOWER;
use reqwest::Method;
use serde::Deserialize;

use crate::api::reply;
use crate::connection::Client;
use crate::error::ClientError;

/// The latest checkpoint of the chain, a signed note.
///
/// # Errors
/// The server can't be reached or refuses.
pub async fn checkpoint(client: &Client) -> Result<String, ClientError> {
    client.text("fetch the checkpoint", "/api/chain/checkpoint").await
}

/// The line of the key that signs checkpoints. Worth keeping elsewhere: it is what a verifier trusts.
///
/// # Errors
/// The server can't be reached or refuses.
pub async fn verifier_key(client: &Client) -> Result<String, ClientError> {
    client.text("fetch the verifier key", "/api/chain/key").await
}

/// Longest path accepted: a log of 2^63 entries needs no more.
const PATH_MAX: usize = 128;

#[derive(Deserialize)]
struct Consistency {
    path: Vec<String>,
}

/// The path that shows that the log of `new` blocks begins with the log of `old` blocks (RFC 6962, section 2.1.2).
/// Nothing is checked here.
///
/// # Errors
/// The server can't be reached or refuses, or its reply is no list of hashes.
pub async fn consistency(client: &Client, old: u64, new: u64) -> Result<Vec<[u8; 32]>, ClientError> {
    let attempted = "fetch the consistency proof";
    let path = format!("/api/chain/consistency?old={old}&new={new}");
    let proof: Consistency = client.json(attempted, |http| http.request(Method::GET, &path)).await?;
    if proof.path.len() > PATH_MAX {
        return Err(reply(attempted, format!("a path of {} hashes", proof.path.len())));
    }
    let hash = |text: &String| HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok();
    let hashes: Option<Vec<[u8; 32]>> = proof.path.iter().map(hash).collect();
    hashes.ok_or_else(|| reply(attempted, "a hash that is not 64 hexadecimal digits".to_owned()))
}

#[cfg(test)]
mod tests;
