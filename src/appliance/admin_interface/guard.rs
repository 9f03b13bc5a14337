//! Who is at the page, and what every reply of the dashboard carries.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use lucid_http::{ConnectionInfo, bearer::SESSION_COOKIE};
use lucid_ports::{AuthError, Authenticator, Identity, Role, Tokens};
use zeroize::Zeroizing;

use super::{app::Shared, cookies, format, refusal::Refusal};

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Who is at the page; nobody where no good token came along.
#[derive(Clone, Default)]
pub(super) struct Visitor(Option<Arc<Proven>>);

/// Somebody and what proved it.
struct Proven {
    identity: Arc<Identity>,
    token: Zeroizing<String>,
}

/// Somebody logged in. Others are sent to the log-in page, or to the claim page while there is no account.
pub(super) struct Member(pub(super) Arc<Identity>);
/// A developer or an administrator.
pub(super) struct Developer(pub(super) Arc<Identity>);
/// An administrator.
pub(super) struct Admin(pub(super) Arc<Identity>);

impl Visitor {
    /// The visitor of a request that went through [`identify`].
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.0.as_deref().map(|proven| &*proven.identity)
    }

    /// The visitor as of now, for replies that last: nobody once the token ran out or was revoked.
    pub(super) fn still_there(&self, authenticator: &dyn Authenticator) -> Option<Identity> {
        authenticator.authenticate(&self.0.as_deref()?.token).ok()
    }

    fn proven(identity: Identity, token: &str) -> Self {
        Self(Some(Arc::new(Proven { identity: Arc::new(identity), token: Zeroizing::new(token.to_owned()) })))
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &Shared) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}

impl FromRequestParts<Shared> for Member {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refusal> {
        match Visitor::of(&parts.extensions).0 {
            Some(proven) => Ok(Self(proven.identity.clone())),
            None => Err(not_logged_in(parts, app)),
        }
    }
}

impl FromRequestParts<Shared> for Developer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refusal> {
        let Member(identity) = Member::from_request_parts(parts, app).await?;
        if identity.role >= Role::Developer { Ok(Self(identity)) } else { Err(Refusal::role(Role::Developer)) }
    }
}

impl FromRequestParts<Shared> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refusal> {
        let Member(identity) = Member::from_request_parts(parts, app).await?;
        if identity.role >= Role::Admin { Ok(Self(identity)) } else { Err(Refusal::role(Role::Admin)) }
    }
}

fn not_logged_in(parts: &Parts, app: &Shared) -> Refusal {
    match app.pages.accounts.claimed() {
        Ok(false) => Refusal::see_other("/claim"),
        Ok(true) if parts.method == Method::GET => {
            let wanted = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            Refusal::log_in(wanted)
        }
        Ok(true) => Refusal::log_in("/"),
        Err(error) => error.into(),
    }
}

/// Finds out who is there, and renews the log-in where its access token has run out.
pub(super) async fn identify(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let session = cookies::value(request.headers(), SESSION_COOKIE);
    let proven = session.map(|token| (token, app.pages.authenticator.authenticate(token)));
    let (visitor, renewed) = match proven {
        Some((token, Ok(identity))) => (Visitor::proven(identity, token), None),
        Some((_, Err(AuthError::Unavailable))) => {
            return Refusal::unavailable(format::sentence(&AuthError::Unavailable)).into_response();
        }
        Some((_, Err(AuthError::Expired))) | None => renew(&app, request.headers()).await,
        Some((_, Err(_))) => (Visitor::default(), None),
    };
    let is_secure = is_secure(request.extensions());
    request.extensions_mut().insert(visitor);
    let mut response = next.run(request).await;
    // A handler that set cookies of its own (log-in, log-out, new password) has the last word.
    if let Some(tokens) = renewed
        && !response.headers().contains_key(SET_COOKIE)
    {
        add_cookies(response.headers_mut(), cookies::log_in(&tokens, is_secure));
    }
    response
}

async fn renew(app: &Shared, headers: &HeaderMap) -> (Visitor, Option<Tokens>) {
    let Some(refresh_token) = cookies::value(headers, cookies::REFRESH_COOKIE) else {
        return (Visitor::default(), None);
    };
    let Some(tokens) = app.renewals.renew(&*app.pages.accounts, refresh_token).await else {
        return (Visitor::default(), None);
    };
    match app.pages.authenticator.authenticate(&tokens.access_token) {
        Ok(identity) => (Visitor::proven(identity, &tokens.access_token), Some(tokens)),
        Err(error) => {
            tracing::warn!(%error, "a log-in was renewed, but its new token is not accepted");
            (Visitor::default(), None)
        }
    }
}

/// Whether the connection is encrypted, so that cookies may be bound to that.
pub(super) fn is_secure(extensions: &Extensions) -> bool {
    extensions.get::<ConnectionInfo>().is_some_and(|connection| connection.tls)
}

pub(super) fn add_cookies(headers: &mut HeaderMap, cookies: [Option<HeaderValue>; 2]) {
    for cookie in cookies.into_iter().flatten() {
        headers.append(SET_COOKIE, cookie);
    }
}

/// Refuses what changes something and was sent by a page of somebody else. A client that sends neither header is no
/// browser of the last ten years, and has the form's token to bring all the same.
pub(super) async fn refuse_foreign_pages(request: Request, next: Next) -> Response {
    if !request.method().is_safe() && is_foreign(request.headers()) {
        return Refusal::foreign_page().into_response();
    }
    next.run(request).await
}

/// Whether a request was sent by a page of somebody else, by the browser's own words.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text(HOST.as_str()),
        (None, None) => false,
    }
}

/// The headers of every reply. Assets have their own word on caching; a page is never kept.
pub(crate) async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
