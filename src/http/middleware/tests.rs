//! What every port adds, driven through a router under paused time.

use axum::body::{Body, Bytes, to_bytes};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::Json;

const REQUEST_MS: u64 = 1000;

fn app() -> Router {
    let slow = async || {
        tokio::time::sleep(Duration::from_secs(60)).await;
        "late"
    };
    let upload = streaming(Router::new().route("/upload", post(slow)));
    let big = Router::new()
        .route("/big", post(async |body: Bytes| body.len().to_string()))
        .layer(DefaultBodyLimit::max(4 * BODY_BYTES_MAX));
    let router = Router::new()
        .route("/ok", get(async || "ok"))
        .route("/echo", post(async |Json(value): Json<Value>| Json(value)))
        .route("/panic", get(async || -> &'static str { panic!("secret of the handler") }))
        .route("/slow", get(slow))
        .route("/own-404", get(async || (StatusCode::NOT_FOUND, "mine")))
        .route(
            "/page",
            get(async || ([(CONTENT_SECURITY_POLICY, "default-src 'self'"), (CACHE_CONTROL, "max-age=1")], "")),
        )
        .route("/id", get(async |axum::Extension(RequestId(id)): axum::Extension<RequestId>| id))
        .merge(upload)
        .merge(big);
    standard(router, "tested", REQUEST_MS)
}

async fn send(request: Request) -> (StatusCode, HeaderMap, String) {
    let response = app().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, 8 * BODY_BYTES_MAX).await.unwrap().to_vec()).unwrap();
    (parts.status, parts.headers, text)
}

fn get_of(path: &str) -> Request {
    Request::get(path).body(Body::empty()).unwrap()
}

fn code(text: &str) -> String {
    serde_json::from_str::<Value>(text).unwrap()["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn errors_of_the_router_are_problems() {
    let (status, headers, text) = send(get_of("/nowhere")).await;
    assert_eq!((status.as_u16(), code(&text).as_str()), (404, "no_such_route"));
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
    let (status, headers, text) = send(Request::post("/ok").body(Body::empty()).unwrap()).await;
    assert_eq!((status.as_u16(), code(&text).as_str()), (405, "method_not_allowed"));
    assert_eq!(headers[http::header::ALLOW], "GET,HEAD");
    let (status, _, text) = send(get_of("/own-404")).await;
    assert_eq!((status.as_u16(), text.as_str()), (404, "mine"));
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let (status, headers, text) = send(get_of("/panic")).await;
    assert_eq!((status.as_u16(), code(&text).as_str()), (500, "internal_error"));
    assert!(!text.contains("secret of the handler"));
    assert!(headers.contains_key(REQUEST_ID) && headers.contains_key(X_CONTENT_TYPE_OPTIONS));
    assert_eq!(send(get_of("/ok")).await.0, 200);
}

#[tokio::test]
async fn replies_carry_security_headers_unless_the_handler_decides() {
    let (_, headers, _) = send(get_of("/ok")).await;
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
    assert_eq!(headers[REFERRER_POLICY], "no-referrer");
    assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(headers[CACHE_CONTROL], "no-store");
    let (_, headers, _) = send(get_of("/page")).await;
    assert_eq!(headers[CONTENT_SECURITY_POLICY], "default-src 'self'");
    assert_eq!(headers[CACHE_CONTROL], "max-age=1");
}

#[tokio::test]
async fn request_ids_are_kept_where_harmless_and_made_elsewhere() {
    for id in ["abc-1_2", &"x".repeat(64)] {
        let (_, headers, text) = send(Request::get("/id").header(REQUEST_ID, id).body(Body::empty()).unwrap()).await;
        assert_eq!((headers[REQUEST_ID].to_str().unwrap(), text.as_str()), (id, id));
    }
    for id in ["", "a b", "a\tb", "<script>", &"x".repeat(65), "ä"] {
        let value = HeaderValue::from_bytes(id.as_bytes()).unwrap();
        let (_, headers, text) = send(Request::get("/id").header(REQUEST_ID, value).body(Body::empty()).unwrap()).await;
        assert_eq!(headers[REQUEST_ID].to_str().unwrap(), text);
        assert!(Uuid::parse_str(&text).is_ok(), "{id:?} became {text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_given_up_unless_its_route_streams() {
    let (status, headers, text) = send(get_of("/slow")).await;
    assert_eq!((status.as_u16(), code(&text).as_str()), (503, "request_timeout"));
    assert!(headers.contains_key("retry-after"));
    let (status, _, text) = send(Request::post("/upload").body(Body::empty()).unwrap()).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, "late"));
}

#[tokio::test]
async fn bodies_are_limited_and_a_route_can_raise_the_limit() {
    let echo = |bytes: usize| {
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        Request::post("/echo").header(CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap()
    };
    assert_eq!(send(echo(BODY_BYTES_MAX)).await.0, 200);
    let (status, _, text) = send(echo(BODY_BYTES_MAX + 1)).await;
    assert_eq!((status.as_u16(), code(&text).as_str()), (413, "body_too_large"));
    let big = Request::post("/big").body(Body::from(vec![0; 3 * BODY_BYTES_MAX])).unwrap();
    assert_eq!(send(big).await.2, (3 * BODY_BYTES_MAX).to_string());
}

#[test]
fn requests_are_counted_with_bounded_labels() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            send(get_of("/ok")).await;
            send(get_of("/ok")).await;
            send(get_of("/panic")).await;
            send(Request::builder().method("BREW").uri("/ok").body(Body::empty()).unwrap()).await;
        });
    });
    let text = handle.render();
    for line in [
        r#"lucid_http_requests_total{service="tested",method="GET",status="200"} 2"#,
        r#"lucid_http_requests_total{service="tested",method="GET",status="500"} 1"#,
        r#"lucid_http_requests_total{service="tested",method="other",status="405"} 1"#,
        r#"lucid_http_request_duration_seconds_count{service="tested"} 4"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("BREW") && !text.contains("/ok"));
}
