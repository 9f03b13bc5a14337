//! The form on the wire, and what must not be on it.

use axum::body::to_bytes;
use serde_json::{Value, json};

use super::*;

async fn body_of(problem: Problem) -> (Response, Value) {
    let (parts, body) = problem.into_response().into_parts();
    let bytes = to_bytes(body, 64 * 1024).await.unwrap();
    (Response::from_parts(parts, axum::body::Body::empty()), serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn each_helper_has_its_status_and_the_form_of_rfc_9457() {
    let table = [
        (Problem::bad_request("c", "d"), 400, "Bad Request"),
        (Problem::unauthorized("c", "d"), 401, "Unauthorized"),
        (Problem::invalid_token("c", "d"), 401, "Unauthorized"),
        (Problem::forbidden("c", "d"), 403, "Forbidden"),
        (Problem::not_found("c", "d"), 404, "Not Found"),
        (Problem::conflict("c", "d"), 409, "Conflict"),
        (Problem::gone("c", "d"), 410, "Gone"),
        (Problem::payload_too_large("c", "d"), 413, "Payload Too Large"),
        (Problem::unprocessable("c", "d"), 422, "Unprocessable Entity"),
        (Problem::too_many_requests("c", "d", 7), 429, "Too Many Requests"),
        (Problem::unavailable("c", "d"), 503, "Service Unavailable"),
        (Problem::insufficient_storage("c", "d"), 507, "Insufficient Storage"),
    ];
    for (problem, status, title) in table {
        let (response, body) = body_of(problem).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(body, json!({"title": title, "status": status, "detail": "d", "code": "c"}));
    }
}

#[tokio::test]
async fn headers_that_a_status_asks_for_are_there() {
    let retry = |problem: Problem| problem.into_response().headers()[RETRY_AFTER].to_str().unwrap().to_owned();
    assert_eq!(retry(Problem::too_many_requests("c", "d", 42)), "42");
    assert_eq!(retry(Problem::too_many_requests("c", "d", 0)), "1");
    assert_eq!(retry(Problem::unavailable("c", "d").with_retry_after_s(3)), "3");
    let challenge = |problem: Problem| problem.into_response().headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned();
    assert_eq!(challenge(Problem::unauthorized("c", "d")), "Bearer realm=\"lucid\"");
    assert_eq!(challenge(Problem::invalid_token("c", "d")), "Bearer realm=\"lucid\", error=\"invalid_token\"");
}

#[test]
fn detail_is_bounded_at_a_character() {
    let problem = Problem::bad_request("c", "ä".repeat(5000));
    assert_eq!(problem.detail().chars().count(), DETAIL_CHARS_MAX);
    assert_eq!(Problem::bad_request("c", "x".repeat(DETAIL_CHARS_MAX)).detail().len(), DETAIL_CHARS_MAX);
}

#[derive(Debug, thiserror::Error)]
#[error("writing block 7")]
struct Outer {
    source: std::io::Error,
}

#[tokio::test]
async fn an_internal_error_tells_the_client_nothing_of_its_cause() {
    let error = Outer { source: std::io::Error::other("secret-path-on-disk") };
    assert_eq!(chain(&error), "writing block 7: secret-path-on-disk");
    let (response, body) = body_of(Problem::internal(&error)).await;
    assert_eq!(response.status(), 500);
    assert_eq!(body["code"], "internal_error");
    let text = body.to_string();
    assert!(!text.contains("secret-path") && !text.contains("block 7"), "{text}");
}
