//! Getting to know a server and logging in to it.
//!
//! Two steps, so that the password is asked for only after the certificate is trusted.

use reqwest::Method;

use crate::api::{LoginRequest, Tokens, read_json, refused};
use crate::connection::{CALL_TIMEOUT, Client, Transport};
use crate::console::Console;
use crate::credentials::{CredentialStore, Credentials};
use crate::error::ClientError;
use crate::pin::Fingerprint;
use crate::secret::Secret;
use crate::server::Server;

/// Name and password.
#[derive(Debug)]
pub struct Login {
    /// Account name.
    pub name: String,
    /// Its password.
    pub password: Secret,
}

/// Finds out whether `server` is to be trusted, and by which certificate; `None` for plain HTTP to this machine.
///
/// What was pinned before stays pinned. Otherwise `expected` decides, if given; otherwise the person is asked; and if
/// nobody is there the certificate is taken on first use, and its fingerprint shown.
///
/// # Errors
/// No connection, or the certificate is not the pinned or expected one, or was declined.
pub async fn trust(
    store: &CredentialStore,
    server: &Server,
    expected: Option<Fingerprint>,
    console: &dyn Console,
) -> Result<Option<Fingerprint>, ClientError> {
    if !server.is_tls() {
        return Ok(None);
    }
    let pinned = store.load(server)?.and_then(|credentials| credentials.pinned);
    let transport = Transport::new(server.clone(), pinned)?;
    let attempted = format!("reach {server}");
    // Without credentials: whatever the other side is, it learns nothing.
    transport.send(&attempted, transport.request(Method::GET, "/health").timeout(CALL_TIMEOUT)).await?;
    let found = match (pinned, transport.take_seen()) {
        (Some(pinned), _) => pinned,
        (None, Some(found)) => found,
        (None, None) => return Err(crate::api::reply(&attempted, "no certificate was shown".to_owned())),
    };
    match expected {
        Some(expected) if expected != found => {
            Err(ClientError::CertificateUnexpected { server: server.to_string(), expected, found })
        }
        None if pinned.is_none() && !accepted(server, found, console) => {
            Err(ClientError::CertificateDeclined { server: server.to_string() })
        }
        _ => Ok(Some(found)),
    }
}

fn accepted(server: &Server, found: Fingerprint, console: &dyn Console) -> bool {
    console.line(&format!("{server} is not known yet. Fingerprint of its certificate (SHA-256):\n  {found}"));
    let answer = console.confirm("Is it the fingerprint that the appliance shows?");
    if answer.is_none() {
        console.line("Nobody is there to compare it; it is trusted from now on, and any other will be refused.");
    }
    answer.unwrap_or(true)
}

/// Logs in to `server`, whose certificate [`trust`] has settled, and keeps the login. Returns the account's role.
///
/// # Errors
/// The server refuses or can't be reached, or the credentials can't be kept.
pub async fn login(
    store: &CredentialStore,
    server: &Server,
    pinned: Option<Fingerprint>,
    login: &Login,
) -> Result<String, ClientError> {
    if server.is_tls() && pinned.is_none() {
        return Err(ClientError::CertificateDeclined { server: server.to_string() });
    }
    let attempted = format!("log in to {server} as `{}`", login.name);
    let transport = Transport::new(server.clone(), pinned)?;
    let body = LoginRequest { name: &login.name, password: &login.password };
    let request = transport.request(Method::POST, "/api/auth/login").timeout(CALL_TIMEOUT).json(&body);
    let response = transport.send(&attempted, request).await?;
    if !response.status().is_success() {
        return Err(refused(&attempted, response).await);
    }
    let tokens: Tokens = read_json(&attempted, response).await?;
    let credentials = Credentials {
        server: server.to_string(),
        name: login.name.clone(),
        role: tokens.role.clone(),
        pinned,
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
    };
    store.save(server, &credentials)?;
    Ok(tokens.role)
}

/// Ends the login on the server, and forgets tokens and pinned certificate here, even if the server can't be told.
///
/// # Errors
/// There is no login, or the server was not told: the tokens then stay valid there until they run out.
pub async fn logout(store: &CredentialStore, server: &Server) -> Result<(), ClientError> {
    let client = Client::open(store.clone(), server.clone());
    match client {
        Ok(client) => client.log_out().await,
        Err(error) => {
            store.forget(server)?;
            Err(error)
        }
    }
}
