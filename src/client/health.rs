//! How a running appliance is, as far as the caller may know.

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::api::{escaped, read_json};
use crate::connection::{CALL_TIMEOUT, Client, Transport};
use crate::error::ClientError;
use crate::pin::Fingerprint;
use crate::server::Server;

/// A state and why.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    /// One word.
    pub state: String,
    /// Why, where there is anything to say.
    pub reason: Option<String>,
}

/// One service.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceHealth {
    /// Its name.
    pub name: String,
    /// Whether the box is not ready without it.
    pub critical: bool,
    /// Its health.
    pub health: State,
    /// Restarts since the box started.
    pub restarts: u64,
    /// Seconds since its life last changed.
    pub since_s: u64,
}

/// Whether the dashboard of `server` calls itself healthy or starting. Needs no login; tells no reasons.
///
/// # Errors
/// No connection, or another certificate than the pinned one.
pub async fn is_healthy(server: &Server, pinned: Option<Fingerprint>) -> Result<bool, ClientError> {
    let transport = Transport::new(server.clone(), pinned)?;
    let attempted = format!("ask {server} for its health");
    let response = transport.send(&attempted, transport.request(Method::GET, "/health").timeout(CALL_TIMEOUT)).await?;
    Ok(response.status() == StatusCode::OK)
}

/// Every service, in the order of their start. For developers.
///
/// # Errors
/// The server can't be reached or refuses.
pub async fn services(client: &Client) -> Result<Vec<ServiceHealth>, ClientError> {
    let attempted = "ask for the services";
    let get = |http: &Transport| http.request(Method::GET, "/api/services").timeout(CALL_TIMEOUT);
    read_json(attempted, client.send(attempted, get).await?).await
}

/// The services as a table for people, with a head line.
pub fn services_table(services: &[ServiceHealth]) -> String {
    let mut text = format!("{:20}  {:10}  {:>8}  {:>9}  REASON\n", "SERVICE", "HEALTH", "RESTARTS", "SINCE (S)");
    for service in services {
        let reason = service.health.reason.as_deref().map(escaped).unwrap_or_default();
        let (name, state) = (escaped(&service.name), escaped(&service.health.state));
        text.push_str(&format!("{name:20}  {state:10}  {:>8}  {:>9}  {reason}\n", service.restarts, service.since_s));
    }
    text
}
