//! Plain HTTP from the LAN: `/health` and nothing else, unless the owner allows it.
//!
//! A token sent in clear may have been read on the way, so credentials are taken off such a request before anything
//! looks at them.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::Problem;
use crate::health::HEALTH_PATH;

/// Who may speak plain HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainPolicy {
    /// Clients on this machine; others get `/health` and 426.
    Loopback,
    /// Everybody: the setting `[compat] plain_http`, or a developer's machine.
    Always,
}

/// The connection that a request came on, as an extension and as an extractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The client's address.
    pub peer: SocketAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl ConnectionInfo {
    /// Whether the client is on this machine, also where an IPv4 client came in on an IPv6 socket.
    pub fn is_loopback(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ConnectionInfo {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| {
            tracing::error!("a handler asks for the connection outside `serve`");
            Problem::internal_without_cause()
        })
    }
}

/// `router` behind the rule of `policy`.
pub(super) fn layer(router: Router, policy: PlainPolicy) -> Router {
    router.layer(from_fn_with_state(policy, gate))
}

async fn gate(State(policy): State<PlainPolicy>, info: ConnectionInfo, mut request: Request, next: Next) -> Response {
    let trusted = info.tls || policy == PlainPolicy::Always || info.is_loopback();
    if trusted {
        return next.run(request).await;
    }
    if is_health(&request) {
        remove_credentials(request.headers_mut());
        return next.run(request).await;
    }
    tls_required().into_response()
}

fn is_health(request: &Request) -> bool {
    request.uri().path() == HEALTH_PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

fn remove_credentials(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    headers.remove(COOKIE);
}

/// 426 (RFC 9110, section 15.5.22); `Upgrade` has to be named in `Connection` (section 7.8).
fn tls_required() -> Problem {
    let detail = "this port speaks HTTPS: use `https://` with the same address and port";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "tls_required", detail)
        .with_header(UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"))
        .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
}

#[cfg(test)]
mod tests;
