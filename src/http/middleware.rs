//! What every request goes through, in this order: id, metrics and access log; security headers; panics caught;
//! time limit; body limit.
//!
//! [`crate::serve`] adds all of it. Must never log a query string, a header or a body: they carry secrets.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::Problem;

/// Largest request body unless the route has a `DefaultBodyLimit` of its own: 1 MiB. JSON of ours is a few KiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The request id, taken from the client where it is sane, else made here; also in the reply.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken from a client, in characters.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// The id of a request, as an extension: pass it on where one service calls another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Whether the time limit holds for a request. Set while the request is on its way to the handler.
#[derive(Debug, Clone, Default)]
struct TimeLimit {
    lifted: Arc<AtomicBool>,
}

/// `router` with everything that each port of the box has. `request_ms`: time a handler has to reply.
pub(crate) fn standard(router: Router, service: &'static str, request_ms: u64) -> Router {
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Duration::from_millis(request_ms), limit_time))
        .layer(from_fn(complete))
        .layer(from_fn_with_state(service, observe))
}

/// `router` without the time limit: for uploads, long polls and other requests whose body or reply takes its time. A
/// reply's stream, once begun, is never cut by the limit.
pub fn streaming<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(from_fn(lift_time_limit))
}

async fn lift_time_limit(request: Request, next: Next) -> Response {
    if let Some(limit) = request.extensions().get::<TimeLimit>() {
        limit.lifted.store(true, Ordering::Relaxed);
    }
    next.run(request).await
}

/// Gives the request an id; counts and logs it with its outcome.
async fn observe(State(service): State<&'static str>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let method = method_label(request.method());
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let elapsed = started.elapsed();
    let status = response.status();
    metrics::counter!(
        "lucid_http_requests_total",
        "service" => service, "method" => method, "status" => status.as_str().to_owned()
    )
    .increment(1);
    metrics::histogram!("lucid_http_request_duration_seconds", "service" => service).record(elapsed.as_secs_f64());
    tracing::debug!(method, path, status = status.as_u16(), duration_ms = elapsed.as_millis() as u64, id, "request");
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The client's id where it is short and harmless, so that it may stand in a log; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        let chars = || id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && chars()
    };
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(harmless);
    sent.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The method as a metric label: a closed set, because the client chooses the method.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Makes sure that a reply comes, in our form and with the headers that every reply has.
async fn complete(request: Request, next: Next) -> Response {
    // A panic leaves nothing half-done that anyone else sees: handlers own no state, services are asked by message.
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = match outcome {
        Ok(response) => with_problem(response),
        Err(panic) => {
            tracing::error!(panic = panic_text(&*panic), "a handler panicked");
            Problem::internal_without_cause().into_response()
        }
    };
    add_security_headers(response.headers_mut());
    response
}

/// The message of a panic, as far as it is text.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// axum's own 404 and 405 have no body: gives them one. Other replies pass unchanged, and so does `Allow`.
fn with_problem(response: Response) -> Response {
    let problem = match response.status() {
        StatusCode::NOT_FOUND => Problem::not_found("no_such_route", "nothing is at this path; see /openapi.json"),
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "see the `Allow` header of this reply")
        }
        _ => return response,
    };
    if response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let mut replaced = problem.into_response();
    if let Some(allow) = response.headers().get(http::header::ALLOW) {
        replaced.headers_mut().insert(http::header::ALLOW, allow.clone());
    }
    replaced
}

/// Headers that keep a browser from guessing, framing or storing a reply, unless the handler decided otherwise.
///
/// `Strict-Transport-Security` is left out on purpose: with a certificate authority of the device's own it would lock
/// an owner out who has not installed it yet.
fn add_security_headers(headers: &mut HeaderMap) {
    let defaults = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Refuses with 503 `request_timeout` when the handler has not replied in time and its route is not [`streaming`].
async fn limit_time(State(limit): State<Duration>, mut request: Request, next: Next) -> Response {
    let time_limit = TimeLimit::default();
    request.extensions_mut().insert(time_limit.clone());
    let mut reply = std::pin::pin!(next.run(request));
    match tokio::time::timeout(limit, reply.as_mut()).await {
        Ok(response) => response,
        Err(_) if time_limit.lifted.load(Ordering::Relaxed) => reply.await,
        Err(_) => {
            tracing::warn!(limit_ms = limit.as_millis() as u64, "a request took too long and was given up");
            let detail = "the service did not reply in time; try again in a moment";
            Problem::unavailable("request_timeout", detail).with_retry_after_s(5).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
