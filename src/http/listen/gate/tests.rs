//! Who may speak plain HTTP, and what is said to the others.

use axum::body::Body;
use axum::routing::any;
use tower::ServiceExt;

use super::*;

const LAN: &str = "192.168.1.9:5000";

async fn send(policy: PlainPolicy, peer: &str, tls: bool, method: &str, path: &str) -> Response {
    let echo = async |headers: HeaderMap| {
        let seen = headers.contains_key(AUTHORIZATION) || headers.contains_key(COOKIE);
        if seen { "credentials" } else { "no credentials" }
    };
    let router = Router::new().route("/secret", any(echo)).route(HEALTH_PATH, any(echo));
    let mut request = http::Request::builder().method(method).uri(path);
    request = request.header(AUTHORIZATION, "Bearer x").header(COOKIE, "lucid_session=x");
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectionInfo { peer: peer.parse().unwrap(), tls });
    layer(router, policy).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn plain_http_is_for_this_machine_unless_allowed() {
    use PlainPolicy::{Always, Loopback};
    let table = [
        (Loopback, LAN, true, "/secret", 200),
        (Loopback, LAN, false, "/secret", 426),
        (Loopback, LAN, false, "/health", 200),
        (Loopback, LAN, false, "/health/", 426),
        (Loopback, LAN, false, "//health", 426),
        (Loopback, LAN, false, "/%68ealth", 426),
        (Loopback, LAN, false, "/nowhere", 426),
        (Loopback, "127.0.0.1:1", false, "/secret", 200),
        (Loopback, "127.8.8.8:1", false, "/secret", 200),
        (Loopback, "[::1]:1", false, "/secret", 200),
        (Loopback, "[::ffff:127.0.0.1]:1", false, "/secret", 200),
        (Loopback, "[::ffff:192.168.1.9]:1", false, "/secret", 426),
        (Loopback, "[fe80::1]:1", false, "/secret", 426),
        (Always, LAN, false, "/secret", 200),
    ];
    for (policy, peer, tls, path, status) in table {
        let response = send(policy, peer, tls, "GET", path).await;
        assert_eq!(response.status(), status, "{policy:?} {peer} tls {tls} {path}");
    }
    assert_eq!(send(Loopback, LAN, false, "POST", "/health").await.status(), 426);
    assert_eq!(send(Loopback, LAN, false, "HEAD", "/health").await.status(), 200);
}

#[tokio::test]
async fn the_refusal_says_how_to_upgrade() {
    let response = send(PlainPolicy::Loopback, LAN, false, "GET", "/secret").await;
    assert_eq!(response.headers()[UPGRADE], "TLS/1.2, HTTP/1.1");
    assert_eq!(response.headers()[CONNECTION], "Upgrade");
    let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], "tls_required");
}

#[tokio::test]
async fn credentials_sent_in_clear_are_not_looked_at() {
    let text = async |response: Response| axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
    let clear = send(PlainPolicy::Loopback, LAN, false, "GET", "/health").await;
    assert_eq!(text(clear).await, "no credentials");
    let encrypted = send(PlainPolicy::Loopback, LAN, true, "GET", "/health").await;
    assert_eq!(text(encrypted).await, "credentials");
}
