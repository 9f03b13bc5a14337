//! Which callers get in, by header and by cookie.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::any;
use http::Request;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;

/// Knows tokens by their text.
struct Fake;

impl Authenticator for Fake {
    fn authenticate(&self, bearer: &str) -> Result<Identity, AuthError> {
        let role = match bearer {
            "user" => Role::User,
            "developer" => Role::Developer,
            "admin" => Role::Admin,
            "expired" => return Err(AuthError::Expired),
            "revoked" => return Err(AuthError::Revoked),
            "away" => return Err(AuthError::Unavailable),
            "unclaimed" => return Err(AuthError::Unclaimed),
            _ => return Err(AuthError::Invalid),
        };
        let account = lucid_ports::AccountId::from_bytes([7; 16]);
        Ok(Identity { account, user: bearer.to_owned(), role, token_id: Uuid::nil(), auth_age_s: 0 })
    }
}

fn routes() -> Router {
    Router::new()
        .route("/any", any(async |Caller(identity): Caller| identity.user))
        .route("/developer", any(async |DeveloperCaller(identity): DeveloperCaller| identity.user))
        .route("/admin", any(async |AdminCaller(identity): AdminCaller| identity.user))
        .route("/maybe", any(async |MaybeCaller(caller): MaybeCaller| caller.map_or("nobody".into(), |it| it.user)))
        .route("/optional", any(async |caller: Option<Caller>| caller.map_or("nobody".into(), |it| it.0.user)))
        .route("/require", any(async |caller: Caller| caller.require(Role::Developer)))
}

/// Names and values of headers.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// Sends `headers` to `path`, returns the status and the code of the problem or the text.
async fn send(path: &str, method: &str, headers: Headers<'_>) -> (u16, String, Option<String>) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = routes().layer(authenticate_with(Arc::new(Fake)));
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    let text = String::from_utf8(to_bytes(response.into_body(), 4096).await.unwrap().to_vec()).unwrap();
    let code =
        serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|it| Some(it["code"].as_str()?.to_owned()));
    (status, code.unwrap_or(text), challenge)
}

#[tokio::test]
async fn tokens_in_the_header() {
    let long = format!("Bearer {}", "a".repeat(5000));
    let table: &[(Headers<'_>, u16, &str, bool)] = &[
        (&[("authorization", "Bearer user")], 200, "user", false),
        (&[("authorization", "bearer user")], 200, "user", false),
        (&[("authorization", "Bearer   user ")], 200, "user", false),
        (&[], 401, "credentials_missing", true),
        (&[("authorization", "Bearer nonsense")], 401, "token_invalid", true),
        (&[("authorization", "Bearer expired")], 401, "token_expired", true),
        (&[("authorization", "Bearer revoked")], 401, "token_revoked", true),
        (&[("authorization", &long)], 401, "token_invalid", true),
        (&[("authorization", "Bearer away")], 503, "auth_unavailable", false),
        (&[("authorization", "Bearer unclaimed")], 403, "unclaimed", false),
        (&[("authorization", "Basic dXNlcjpwYXNz")], 400, "invalid_authorization", false),
        (&[("authorization", "Bearer")], 400, "invalid_authorization", false),
        (&[("authorization", "Bearer ")], 400, "invalid_authorization", false),
        (&[("authorization", "user")], 400, "invalid_authorization", false),
        (&[("authorization", "Bearer user"), ("authorization", "Bearer admin")], 400, "invalid_authorization", false),
        // The header wins, also where it is bad.
        (&[("authorization", "Bearer nonsense"), ("cookie", "lucid_session=admin")], 401, "token_invalid", true),
    ];
    for (headers, status, text, challenged) in table {
        let (got_status, got_text, challenge) = send("/any", "GET", headers).await;
        assert_eq!((got_status, got_text.as_str()), (*status, *text), "{headers:?}");
        assert_eq!(challenge.is_some(), *challenged, "{headers:?}");
    }
}

#[tokio::test]
async fn a_missing_token_and_a_bad_one_are_challenged_differently() {
    let (_, _, missing) = send("/any", "GET", &[]).await;
    assert_eq!(missing.unwrap(), "Bearer realm=\"lucid\"");
    let (_, _, bad) = send("/any", "GET", &[("authorization", "Bearer x")]).await;
    assert_eq!(bad.unwrap(), "Bearer realm=\"lucid\", error=\"invalid_token\"");
}

#[tokio::test]
async fn tokens_in_the_cookie() {
    let table: &[(&str, &str, Headers<'_>, u16, &str)] = &[
        ("GET", "lucid_session=user", &[], 200, "user"),
        ("GET", "a=b; lucid_session=user; c=d", &[], 200, "user"),
        ("GET", "lucid_session=", &[], 401, "credentials_missing"),
        ("GET", "xlucid_session=user", &[], 401, "credentials_missing"),
        ("GET", "lucid_session", &[], 401, "credentials_missing"),
        ("GET", ";;;=;", &[], 401, "credentials_missing"),
        // Reading is safe from any page: the reply can't be read by it.
        ("GET", "lucid_session=user", &[("sec-fetch-site", "cross-site")], 200, "user"),
        ("POST", "lucid_session=user", &[("sec-fetch-site", "same-origin")], 200, "user"),
        ("POST", "lucid_session=user", &[("sec-fetch-site", "none")], 200, "user"),
        ("POST", "lucid_session=user", &[("sec-fetch-site", "cross-site")], 403, "foreign_page"),
        ("POST", "lucid_session=user", &[("sec-fetch-site", "same-site")], 403, "foreign_page"),
        ("DELETE", "lucid_session=user", &[("origin", "https://evil.example")], 403, "foreign_page"),
        ("PUT", "lucid_session=user", &[("origin", "https://lucid.local:8443")], 200, "user"),
        ("PUT", "lucid_session=user", &[("origin", "https://lucid.local")], 403, "foreign_page"),
        ("PUT", "lucid_session=user", &[("origin", "null")], 403, "foreign_page"),
        ("PUT", "lucid_session=user", &[("origin", "https://lucid.local:8443.evil.example")], 403, "foreign_page"),
        ("POST", "lucid_session=user", &[], 200, "user"),
    ];
    for (method, cookie, more, status, text) in table {
        let mut headers = vec![("cookie", *cookie), ("host", "lucid.local:8443")];
        headers.extend_from_slice(more);
        let (got_status, got_text, _) = send("/any", method, &headers).await;
        assert_eq!((got_status, got_text.as_str()), (*status, *text), "{method} {cookie} {more:?}");
    }
}

#[tokio::test]
async fn roles_are_ordered() {
    for (path, lowest) in [("/any", 0), ("/developer", 1), ("/require", 1), ("/admin", 2)] {
        for (rank, role) in ["user", "developer", "admin"].into_iter().enumerate() {
            let bearer = format!("Bearer {role}");
            let (status, text, _) = send(path, "GET", &[("authorization", &bearer)]).await;
            let expected = if rank >= lowest { 200 } else { 403 };
            assert_eq!(status, expected, "{role} at {path}");
            assert!(status == 200 || text == "role_required");
        }
    }
}

#[tokio::test]
async fn a_caller_may_be_optional() {
    for (headers, maybe, optional) in [
        (vec![], (200, "nobody"), (200, "nobody")),
        (vec![("authorization", "Bearer user")], (200, "user"), (200, "user")),
        (vec![("authorization", "Bearer x")], (200, "nobody"), (401, "token_invalid")),
        (vec![("authorization", "Basic x")], (200, "nobody"), (400, "invalid_authorization")),
    ] {
        let (status, text, _) = send("/maybe", "GET", &headers).await;
        assert_eq!((status, text.as_str()), maybe, "{headers:?}");
        let (status, text, _) = send("/optional", "GET", &headers).await;
        assert_eq!((status, text.as_str()), optional, "{headers:?}");
    }
}

#[tokio::test]
async fn without_an_authenticator_nobody_gets_in() {
    let request = Request::get("/any").header("authorization", "Bearer admin").body(Body::empty()).unwrap();
    let response = routes().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
}
