//! Refusals of the extractors, driven through a router.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use serde::Deserialize;
use tower::ServiceExt;

use super::*;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Order {
    name: String,
    count: u32,
}

#[derive(Deserialize)]
struct Page {
    limit: u8,
}

fn router() -> Router {
    Router::new()
        .route("/orders", post(async |Json(order): Json<Order>| Json(order)))
        .route("/any", post(async |Json(value): Json<serde_json::Value>| Json(value)))
        .route("/orders/{id}", get(async |Path(id): Path<u32>| id.to_string()))
        .route("/list", get(async |Query(page): Query<Page>| page.limit.to_string()))
        .layer(DefaultBodyLimit::max(1024))
}

async fn check(request: http::request::Builder, body: impl Into<Body>, status: u16, code: &str) {
    let response = router().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), status, "{code}");
    let bytes = to_bytes(response.into_body(), 64 * 1024).await.unwrap();
    if !code.is_empty() {
        let problem: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().chars().count() <= 1024);
    }
}

fn json_post() -> http::request::Builder {
    Request::post("/orders").header("content-type", "application/json")
}

#[tokio::test]
async fn json_bodies() {
    check(json_post(), r#"{"name":"a","count":1}"#, 200, "").await;
    check(Request::post("/orders"), r#"{"name":"a","count":1}"#, 415, "unsupported_media_type").await;
    let text = Request::post("/orders").header("content-type", "text/plain");
    check(text, r#"{"name":"a","count":1}"#, 415, "unsupported_media_type").await;
    check(json_post(), "", 400, "invalid_json").await;
    check(json_post(), r#"{"name":"a","#, 400, "invalid_json").await;
    check(json_post(), vec![0xff, 0x00, 0x16], 400, "invalid_json").await;
    check(json_post(), "[".repeat(1000), 422, "invalid_value").await;
    // Nested deeper than the parser's limit of 128, which is what keeps it off the end of the stack.
    let deep = Request::post("/any").header("content-type", "application/json");
    check(deep, "[".repeat(500) + &"]".repeat(500), 400, "invalid_json").await;
    check(json_post(), r#"{"name":"a","count":-1}"#, 422, "invalid_value").await;
    check(json_post(), r#"{"name":"a","count":1,"more":2}"#, 422, "invalid_value").await;
    check(json_post(), r#"{"name":"a","name":"b","count":1}"#, 422, "invalid_value").await;
    check(json_post(), format!(r#"{{"{}":1}}"#, "x".repeat(900)), 422, "invalid_value").await;
    check(json_post(), format!(r#"{{"name":"{}","count":1}}"#, "x".repeat(2000)), 413, "body_too_large").await;
}

#[tokio::test]
async fn paths_and_queries() {
    check(Request::get("/orders/7"), "", 200, "").await;
    check(Request::get("/orders/-7"), "", 400, "invalid_path").await;
    check(Request::get("/orders/%FF"), "", 400, "invalid_path").await;
    check(Request::get("/list?limit=3"), "", 200, "").await;
    check(Request::get("/list"), "", 400, "invalid_query").await;
    check(Request::get("/list?limit=999"), "", 400, "invalid_query").await;
}

#[tokio::test]
async fn a_reply_is_json_and_one_that_cannot_be_is_an_internal_error() {
    let response = Json(Order { name: "a".to_owned(), count: 1 }).into_response();
    assert_eq!(response.headers()["content-type"], "application/json");
    let impossible = std::collections::HashMap::from([(vec![1], 1)]);
    assert_eq!(Json(impossible).into_response().status(), 500);
}
