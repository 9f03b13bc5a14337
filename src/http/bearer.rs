//! Who is calling: extractors over the box's [`Authenticator`].
//!
//! The credential is `Authorization: Bearer TOKEN`, or the cookie `lucid_session` that the dashboard sets. The
//! authenticator comes from an axum extension, set once by [`authenticate_with`]. Where none is set nobody is let in.
//!
//! A cookie is sent by a browser whoever made the page, so with a cookie a request that changes something must come
//! from our own pages: `Sec-Fetch-Site` or `Origin` has to say so. Tokens must never be logged or echoed.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use lucid_ports::{AuthError, Authenticator, Identity, Role};

use crate::Problem;

/// Name of the dashboard's cookie. Set it `HttpOnly; SameSite=Strict; Path=/`, and `Secure` over TLS.
pub const SESSION_COOKIE: &str = "lucid_session";
/// Longest token looked at, in bytes: a compact JWT of ours is under 1 KiB.
const TOKEN_BYTES_MAX: usize = 4096;

/// Any authenticated caller. Refuses with 401, or with 503 while auth-service is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub Identity);

/// A caller who is developer or admin. Refuses others with 403 `role_required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeveloperCaller(pub Identity);

/// A caller who is admin. Refuses others with 403 `role_required`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminCaller(pub Identity);

/// The caller where a good credential came along, else none. Never refuses: for routes that say more to those who may
/// see more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaybeCaller(pub Option<Identity>);

impl Caller {
    /// Refuses with 403 `role_required` unless the caller has `role` or a higher one.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        require(&self.0, role)
    }
}

/// The extension that the extractors read: add it as a layer around the routes that use them.
pub fn authenticate_with(authenticator: Arc<dyn Authenticator>) -> Extension<Arc<dyn Authenticator>> {
    Extension(authenticator)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        identify(parts).map(Self)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// None where no credential was sent; a bad one is refused all the same.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        match credential(&parts.headers) {
            Ok(None) => Ok(None),
            _ => identify(parts).map(|identity| Some(Self(identity))),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DeveloperCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let identity = identify(parts)?;
        require(&identity, Role::Developer)?;
        Ok(Self(identity))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let identity = identify(parts)?;
        require(&identity, Role::Admin)?;
        Ok(Self(identity))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(identify(parts).ok()))
    }
}

/// Where a token was found: what a browser adds by itself is trusted less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential<'a> {
    Header(&'a str),
    Cookie(&'a str),
}

/// The caller of a request, or why they are not let in.
fn identify(parts: &Parts) -> Result<Identity, Problem> {
    let Some(credential) = credential(&parts.headers)? else {
        return Err(Problem::unauthorized("credentials_missing", "log in first: this needs a token"));
    };
    let token = match credential {
        Credential::Header(token) => token,
        Credential::Cookie(token) => {
            require_own_page(&parts.method, &parts.headers)?;
            token
        }
    };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(refusal(&AuthError::Invalid));
    }
    let authenticator = parts.extensions.get::<Arc<dyn Authenticator>>();
    let authenticator = authenticator.ok_or_else(|| refusal(&AuthError::Unavailable))?;
    authenticator.authenticate(token).map_err(|error| refusal(&error))
}

/// The token of a request. The header wins over the cookie; two `Authorization` headers are refused, because two
/// readers of them might not choose the same one.
fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(malformed("more than one `Authorization` header")),
        (Some(value), None) => {
            let token = value.to_str().ok().and_then(bearer_token);
            token.map(|token| Some(Credential::Header(token))).ok_or_else(|| malformed("not `Bearer TOKEN`"))
        }
        (None, _) => Ok(session_cookie(headers).map(Credential::Cookie)),
    }
}

/// The token in `Bearer TOKEN`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The dashboard's cookie (RFC 6265, section 4.2.1). The first one counts.
fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(name, _)| *name == SESSION_COOKIE);
    named.next().map(|(_, token)| token).filter(|token| !token.is_empty())
}

/// Refuses a request that changes something and was made by a page of somebody else (cross-site request forgery).
/// Browsers send `Origin` with every such request; a client that sends neither header is not a browser.
fn require_own_page(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name| headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap_or(""));
    let foreign = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text(HOST.as_str()),
        (None, None) => false,
    };
    if foreign {
        return Err(Problem::forbidden("foreign_page", "this request was made by a page that is not the dashboard"));
    }
    Ok(())
}

/// Refuses a caller below `role`.
fn require(identity: &Identity, role: Role) -> Result<(), Problem> {
    if identity.role >= role {
        return Ok(());
    }
    let needed = match role {
        Role::User => "user",
        Role::Developer => "developer",
        Role::Admin => "admin",
    };
    Err(Problem::forbidden("role_required", format!("this needs the role `{needed}`")))
}

/// 400 for a header that is there and is not a bearer token (RFC 6750, section 3.1: `invalid_request`).
fn malformed(what: &str) -> Problem {
    Problem::bad_request("invalid_authorization", format!("the credential can't be read: {what}"))
}

/// The reply to a token that was not accepted.
fn refusal(error: &AuthError) -> Problem {
    let detail = error.to_string();
    match error {
        AuthError::Unclaimed => Problem::forbidden("unclaimed", detail),
        AuthError::Invalid => Problem::invalid_token("token_invalid", detail),
        AuthError::Expired => Problem::invalid_token("token_expired", detail),
        AuthError::Revoked => Problem::invalid_token("token_revoked", detail),
        AuthError::Unavailable => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "auth_unavailable", detail).with_retry_after_s(5)
        }
    }
}

#[cfg(test)]
mod tests;
