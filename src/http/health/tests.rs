//! The health route, with and without a caller.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::Request;
use lucid_ports::{AuthError, Authenticator, Identity, Role};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::bearer::authenticate_with;

struct Fake;

impl Authenticator for Fake {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let account = lucid_ports::AccountId::from_bytes([7; 16]);
        let identity =
            Identity { account, user: "ada".to_owned(), role: Role::User, token_id: Uuid::nil(), auth_age_s: 0 };
        if bearer == "good" { Ok(identity) } else { Err(AuthError::Invalid) }
    }
}

async fn ask(report: HealthReport, method: &str, bearer: Option<&str>) -> (u16, Vec<u8>) {
    let router = route::<()>("session-api", move || report.clone()).layer(authenticate_with(Arc::new(Fake)));
    let mut request = Request::builder().method(method).uri(HEALTH_PATH);
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    (response.status().as_u16(), to_bytes(response.into_body(), 4096).await.unwrap().to_vec())
}

#[tokio::test]
async fn status_decides_the_code_and_reasons_need_a_caller() {
    let table = [
        (HealthStatus::Healthy, 200, "healthy"),
        (HealthStatus::Starting, 200, "starting"),
        (HealthStatus::Waiting, 503, "waiting"),
        (HealthStatus::Unhealthy, 503, "unhealthy"),
    ];
    for (status, code, word) in table {
        let report = HealthReport::because(status, "the SSD is not there");
        for bearer in [None, Some("bad")] {
            let (got, body) = ask(report.clone(), "GET", bearer).await;
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((got, body), (code, json!({"service": "session-api", "status": word})));
        }
        let (got, body) = ask(report, "GET", Some("good")).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let full = json!({"service": "session-api", "status": word, "reasons": ["the SSD is not there"]});
        assert_eq!((got, body), (code, full));
    }
}

#[tokio::test]
async fn head_is_answered_and_other_methods_are_not() {
    let (status, body) = ask(HealthReport::healthy(), "HEAD", None).await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(ask(HealthReport::healthy(), "POST", None).await.0, 405);
}
