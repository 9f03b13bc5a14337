//! What a verifier needs from the appliance: its key and its latest signed checkpoint.

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
