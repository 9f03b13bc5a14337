//! `/api/auth` over a real service, without a socket.

use axum::body::Body;
use axum::http::{Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::tests::{Appliance, PASSWORD, Running};
use super::*;

/// The routes, and who talks to them from where.
struct Client {
    router: Router,
    peer: &'static str,
}

impl Client {
    fn of(running: &Running) -> Self {
        let door = Arc::new(running.authenticator());
        Self { router: routes(Arc::new(running.accounts.clone()), door), peer: "192.168.1.10:50000" }
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()),
            None => request.body(Body::empty()),
        };
        let mut request = request.unwrap();
        request.extensions_mut().insert(ConnectionInfo { peer: self.peer.parse().unwrap(), tls: true });
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.send(method, path, token, body).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn login(&self, name: &str, password: &str) -> (u16, Value) {
        self.ask("POST", "/api/auth/login", "", Some(json!({"name": name, "password": password}))).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

async fn claimed(appliance: &Appliance, client: &Client) -> Value {
    let body = json!({"code": appliance.code(), "name": "admin", "password": PASSWORD});
    let (status, reply) = client.ask("POST", "/api/auth/claim", "", Some(body)).await;
    assert_eq!(status, 201);
    reply
}

#[tokio::test]
async fn from_the_claim_to_the_log_out() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let client = Client::of(&running);
    assert_eq!(client.ask("GET", "/api/auth/claim", "", None).await, (200, json!({"claimed": false})));
    let (status, problem) = client.login("admin", PASSWORD).await;
    assert_eq!((status, text(&problem["code"])), (403, "unclaimed"));

    let reply = claimed(&appliance, &client).await;
    assert_eq!((text(&reply["recovery_key"]), text(&reply["role"])), ("KEY-1", "admin"));
    assert_eq!(client.ask("GET", "/api/auth/claim", "", None).await, (200, json!({"claimed": true})));

    let (status, login) = client.login("admin", PASSWORD).await;
    assert_eq!((status, &login["expires_in_s"]), (200, &json!(900)));
    let (status, me) = client.ask("GET", "/api/auth/me", text(&login["access_token"]), None).await;
    assert_eq!((status, &me["user"], &me["role"]), (200, &json!("admin"), &json!("admin")));
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let (status, renewed) = client.ask("POST", "/api/auth/refresh", "", Some(refresh.clone())).await;
    assert_eq!(status, 200);
    let token = text(&renewed["access_token"]);
    assert_eq!(client.ask("POST", "/api/auth/logout", token, None).await.0, 204);
    let (status, problem) = client.ask("GET", "/api/auth/me", token, None).await;
    assert_eq!((status, text(&problem["code"])), (401, "token_revoked"));
    let (status, problem) = client.ask("POST", "/api/auth/refresh", "", Some(refresh)).await;
    assert_eq!((status, text(&problem["code"])), (401, "session_ended"));
}

#[tokio::test]
async fn administrators_manage_accounts_and_others_do_not() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let client = Client::of(&running);
    let admin = claimed(&appliance, &client).await;
    let admin = text(&admin["access_token"]);
    let zoe = json!({"name": "zoe", "password": PASSWORD, "role": "user"});
    assert_eq!(client.ask("POST", "/api/auth/accounts", admin, Some(zoe.clone())).await.0, 201);
    let (status, problem) = client.ask("POST", "/api/auth/accounts", admin, Some(zoe.clone())).await;
    assert_eq!((status, text(&problem["code"])), (409, "account_exists"));
    let (_, login) = client.login("zoe", PASSWORD).await;
    let user = text(&login["access_token"]);

    let role = Some(json!({"role": "admin"}));
    let table = [
        ("GET", "/api/auth/accounts", None),
        ("POST", "/api/auth/accounts", Some(zoe)),
        ("DELETE", "/api/auth/accounts/admin", None),
        ("PATCH", "/api/auth/accounts/zoe", role.clone()),
        ("GET", "/api/auth/audit", None),
        ("POST", "/api/auth/recovery-key", Some(json!({"password": PASSWORD}))),
    ];
    for (method, path, body) in table {
        let (status, problem) = client.ask(method, path, user, body.clone()).await;
        assert_eq!((status, text(&problem["code"])), (403, "role_required"), "{method} {path}");
        let (status, problem) = client.ask(method, path, "", body).await;
        assert_eq!((status, text(&problem["code"])), (401, "credentials_missing"), "{method} {path}");
    }
    let change = json!({"old": PASSWORD, "new": "another password"});
    let (status, changed) = client.ask("POST", "/api/auth/password", user, Some(change)).await;
    assert_eq!((status, text(&changed["role"])), (200, "user"));
    assert_eq!(client.ask("PATCH", "/api/auth/accounts/zoe", admin, role).await.0, 204);
    let both = Some(json!({"role": "user", "password": PASSWORD}));
    assert_eq!(client.ask("PATCH", "/api/auth/accounts/zoe", admin, both).await.0, 400);
    let password = Some(json!({"password": "a third password"}));
    assert_eq!(client.ask("PATCH", "/api/auth/accounts/zoe", admin, password).await.0, 204);
    assert_eq!(text(&client.login("zoe", "a third password").await.1["role"]), "admin");
    assert_eq!(client.ask("DELETE", "/api/auth/accounts/zoe", admin, None).await.0, 204);
    assert_eq!(client.ask("DELETE", "/api/auth/accounts/zoe", admin, None).await.0, 404);
    assert_eq!(client.ask("DELETE", "/api/auth/accounts/admin", admin, None).await.0, 409);
    let (_, accounts) = client.ask("GET", "/api/auth/accounts", admin, None).await;
    assert_eq!(accounts.as_array().unwrap().len(), 1);
    let (_, audit) = client.ask("GET", "/api/auth/audit?limit=1", admin, None).await;
    assert_eq!((audit.as_array().unwrap().len(), text(&audit[0]["action"])), (1, "account removed"));
    let (status, reply) =
        client.ask("POST", "/api/auth/recovery-key", admin, Some(json!({"password": PASSWORD}))).await;
    assert_eq!((status, text(&reply["recovery_key"])), (200, "KEY-2"));
}

#[tokio::test]
async fn guessing_is_answered_with_429_and_when_to_come_again() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let mut client = Client::of(&running);
    claimed(&appliance, &client).await;
    for _ in 0..5 {
        let (status, problem) = client.login("admin", "wrong wrong wrong").await;
        assert_eq!((status, text(&problem["code"])), (401, "credentials_wrong"));
    }
    let body = Some(json!({"name": "admin", "password": PASSWORD}));
    let response = client.send("POST", "/api/auth/login", "", body).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::RETRY_AFTER]), (429, &"1".parse().unwrap()));
    client.peer = "[2001:db8::1]:50000";
    assert_eq!(client.login("admin", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn bodies_that_are_not_understood_are_refused_before_anything_is_asked() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let client = Client::of(&running);
    claimed(&appliance, &client).await;
    let table = [
        (json!({}), 422),
        (json!({"name": "admin"}), 422),
        (json!({"name": "admin", "password": 7}), 422),
        (json!({"name": "admin", "password": PASSWORD, "role": "admin"}), 422),
        (json!({"name": "admin", "password": "x".repeat(BODY_BYTES_MAX)}), 413),
    ];
    for (body, expected) in table {
        assert_eq!(client.ask("POST", "/api/auth/login", "", Some(body)).await.0, expected);
    }
    assert_eq!(client.ask("POST", "/api/auth/login", "", None).await.0, 415);
}

#[tokio::test]
async fn while_the_service_is_away_callers_are_told_so() {
    let appliance = Appliance::new();
    let running = appliance.start().await;
    let client = Client::of(&running);
    let admin = claimed(&appliance, &client).await;
    running.stop().await;
    let (status, problem) = client.login("admin", PASSWORD).await;
    assert_eq!((status, text(&problem["code"])), (503, "auth_unavailable"));
    let (status, problem) = client.ask("GET", "/api/auth/me", text(&admin["access_token"]), None).await;
    assert_eq!((status, text(&problem["code"])), (503, "auth_unavailable"));
}
