//! The routes, with callers of every role.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use lucid_http::bearer::authenticate_with;
use lucid_ports::{AuthError, Authenticator, Identity, Role};
use lucid_proof::{checkpoint::Checkpoint, note::VerifierKey};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::tests::{Bench, anchor, other_anchor, session};

/// Takes the name of a role as its token.
struct ByName;

impl Authenticator for ByName {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let role = match bearer {
            "user" => Role::User,
            "developer" => Role::Developer,
            "admin" => Role::Admin,
            _ => return Err(AuthError::Invalid),
        };
        let account = lucid_ports::AccountId::from_bytes([7; 16]);
        Ok(Identity { account, user: bearer.to_owned(), role, token_id: uuid::Uuid::nil(), auth_age_s: 0 })
    }
}

async fn call(router: &Router, method: Method, path: &str, role: &str, body: Option<Value>) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if !role.is_empty() {
        request = request.header("authorization", format!("Bearer {role}"));
    }
    let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get_json(router: &Router, path: &str) -> Value {
    let (status, body) = call(router, Method::GET, path, "user", None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_chain_is_read_and_anchored_over_http() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let router = chain(running.chain.clone()).merge(anchoring(running.anchoring.clone()));
    let router = router.layer(authenticate_with(Arc::new(ByName)));

    let view = serde_json::to_value(AnchorView::new(&anchor(1))).unwrap();
    let post = |body: Value| call(&router, Method::POST, "/api/anchors", "admin", Some(body));
    let (status, body) = post(view.clone()).await;
    assert_eq!((status, body.contains("pending")), (StatusCode::ACCEPTED, true), "{body}");
    let conflict = serde_json::to_value(AnchorView::new(&other_anchor(1))).unwrap();
    let (status, body) = post(conflict).await;
    assert_eq!((status, body.contains("anchor_conflict")), (StatusCode::CONFLICT, true), "{body}");
    running.engine_until(|status| status.head.as_ref().is_some_and(|head| head.anchors == 1)).await;
    assert_eq!(post(view).await.0, StatusCode::OK);

    let place = get_json(&router, &format!("/api/chain/anchors/{}", session(1))).await;
    let height = place["height"].as_u64().unwrap();
    let state = get_json(&router, &format!("/api/anchors/{}", session(1))).await;
    assert_eq!(state, json!({ "session": session(1), "state": "anchored", "height": height }));
    let block = get_json(&router, &format!("/api/chain/blocks/{height}")).await;
    assert_eq!(block["transactions"][0]["anchor"]["session"], session(1).to_string());
    let blocks = get_json(&router, "/api/chain/blocks?limit=2").await;
    assert_eq!(blocks.as_array().unwrap().len(), 2);
    assert!(get_json(&router, "/api/chain/head").await["anchors"] == 1);

    let key = call(&router, Method::GET, "/api/chain/key", "", None).await.1;
    let key = VerifierKey::parse(key.trim_end()).unwrap();
    let checkpoint = call(&router, Method::GET, "/api/chain/checkpoint", "", None).await.1;
    let (checkpoint, _) = Checkpoint::open(&checkpoint, &[key]).unwrap();
    let path = format!("/api/chain/consistency?old=1&new={}", checkpoint.size);
    assert!(!get_json(&router, &path).await["path"].as_array().unwrap().is_empty());
    let proof = get_json(&router, "/api/chain/log-proof/0").await;
    assert!(proof["size"].as_u64().unwrap() >= checkpoint.size);
    let (status, _) = call(&router, Method::POST, "/api/chain/validate", "developer", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    assert!(get_json(&router, "/api/chain/validation").await["state"].is_string());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_say_why() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let router = chain(running.chain.clone()).merge(anchoring(running.anchoring.clone()));
    let router = router.layer(authenticate_with(Arc::new(ByName)));
    let cases = [
        (Method::GET, "/api/chain/head", "", 401, "credentials_missing"),
        (Method::GET, "/api/chain/blocks", "", 401, "credentials_missing"),
        (Method::GET, "/api/chain/blocks/0", "wrong", 401, "token_invalid"),
        (Method::GET, "/api/chain/blocks/999999", "user", 404, "no_block"),
        (Method::GET, "/api/chain/blocks/minus", "user", 400, "invalid_path"),
        (Method::GET, "/api/chain/blocks?limit=1001", "user", 400, "out_of_range"),
        (Method::GET, "/api/chain/blocks?limit=0", "user", 400, "out_of_range"),
        (Method::GET, "/api/chain/blocks?lmit=3", "user", 400, "invalid_query"),
        (Method::GET, "/api/chain/anchors/NOPE", "user", 400, "invalid_session"),
        (Method::GET, "/api/chain/anchors/00000000-0000-0000-0000-000000000000", "user", 404, "not_anchored"),
        (Method::GET, "/api/chain/consistency?old=5&new=1", "", 400, "out_of_range"),
        (Method::GET, "/api/chain/consistency?old=0&new=999999", "", 400, "out_of_range"),
        (Method::GET, "/api/chain/log-proof/999999", "", 400, "out_of_range"),
        (Method::POST, "/api/chain/validate", "user", 403, "role_required"),
        (Method::POST, "/api/anchors", "user", 403, "role_required"),
        (Method::POST, "/api/anchors", "developer", 403, "role_required"),
    ];
    for (method, path, role, status, code) in cases {
        let (found, body) = call(&router, method, path, role, None).await;
        assert_eq!((found.as_u16(), body.contains(code)), (status, true), "{path}: {body}");
    }
    let good = serde_json::to_value(AnchorView::new(&anchor(1))).unwrap();
    let changes = [
        ("session", json!("NOPE")),
        ("root", json!("abc")),
        ("manifest", json!("AA".repeat(32))),
        ("ended_ms", json!(1)),
        ("started_ms", json!(u64::MAX)),
        ("chunks", json!(-1)),
        ("extra", json!(1)),
    ];
    for (field, value) in changes {
        let mut body = good.clone();
        body[field] = value;
        let (status, body) = call(&router, Method::POST, "/api/anchors", "admin", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {body}");
    }
    running.stop().await;
    let (status, body) = call(&router, Method::GET, "/api/chain/head", "user", None).await;
    assert_eq!((status.as_u16(), body.contains("chain_unavailable")), (503, true));
}
