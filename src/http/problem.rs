//! Errors as `application/problem+json` (RFC 9457), in one form on every port.
//!
//! The `type` member is left out, which means `about:blank`: `title` is then the status phrase, and what programs
//! match on is `code`, which never changes once published. Codes are `snake_case`. `detail` is for the user: it must
//! never carry the text of an internal error, a secret or a path of the box ([`Problem::internal`] sees to that).

use std::error::Error;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use lucid_error::chain;
use serde::Serialize;

/// Media type of a problem (RFC 9457, section 6.1).
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// A challenge without a reason: no token was sent (RFC 6750, section 3.1).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"lucid\"");
/// A challenge for a token that was sent and refused.
const CHALLENGE_INVALID: HeaderValue = HeaderValue::from_static("Bearer realm=\"lucid\", error=\"invalid_token\"");
/// Longest `detail` sent, in characters: some of it is made from what the client sent, and none should be echoed
/// without a bound.
const DETAIL_CHARS_MAX: usize = 1024;

/// An error reply. Made by one of the functions named after its status; turned into a response by axum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Further headers of the reply. Few: a list is enough.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The JSON form, members in the order of RFC 9457.
#[derive(Serialize)]
struct ProblemBody<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Problem {
    /// A problem of any status. Prefer the functions named after one.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
        }
        Self { status, code, detail, headers: Vec::new() }
    }

    /// 400: the request can't be understood or breaks a rule of its format.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no credential was sent. Carries `WWW-Authenticate` without an error, as RFC 6750 asks for.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header(WWW_AUTHENTICATE, CHALLENGE)
    }

    /// 401: a credential was sent and refused. Carries `WWW-Authenticate` with `error="invalid_token"`.
    pub fn invalid_token(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header(WWW_AUTHENTICATE, CHALLENGE_INVALID)
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: nothing is there, or nothing that this caller may know of.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 409: the request is fine, the present state does not allow it.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 410: it was there and will not come back (a shredded recording).
    pub fn gone(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 413: the body is larger than the route takes.
    pub fn payload_too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// 422: the format is right, a value is not.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429: the caller's rate is used up. `retry_after_s`: seconds until the next request can succeed.
    pub fn too_many_requests(code: &'static str, detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).with_retry_after_s(retry_after_s)
    }

    /// 503: a part that is needed does not run at this moment. Add [`Problem::with_retry_after_s`] where a time is known.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 507: the disk has no room for this.
    pub fn insufficient_storage(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, code, detail)
    }

    /// 500 for an error that the caller can do nothing about. The chain of causes goes to the log, the reply says only
    /// that it is there.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "request failed");
        Self::internal_without_cause()
    }

    /// 500 whose cause is logged elsewhere (a panic).
    pub(crate) fn internal_without_cause() -> Self {
        let detail =
            "an internal error happened; the log of the service has the cause under the request id of this reply";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// The same problem with `Retry-After: retry_after_s`, in seconds. At least 1: zero would invite a busy loop.
    #[must_use]
    pub fn with_retry_after_s(self, retry_after_s: u64) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from(retry_after_s.max(1)))
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code that programs match on.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What happened and what to do next, for the user.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status phrase (RFC 9457, section 4.2.1: what `title` is for `about:blank`).
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body =
            ProblemBody { title: self.title(), status: self.status.as_u16(), detail: &self.detail, code: self.code };
        let json = serde_json::to_vec(&body).expect("strings and a number always become JSON");
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests;
