//! Log-in, cookies, roles, forged requests.

use axum::{body::Body, http::Request};

use super::fakes::bench;

#[tokio::test]
async fn every_page_has_the_headers() {
    let bench = bench();
    let mut browser = bench.logged_in("ada").await;
    for path in ["/", "/login", "/claim", "/sessions/nonsense", "/accounts", "/static/x/y"] {
        let reply = browser.get(path).await;
        assert!(
            reply.header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"),
            "{path}"
        );
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        assert!(!reply.body.contains(" style=") && !reply.body.contains(" onclick="), "{path}: inline");
        assert!(!reply.body.contains("<script>") && !reply.body.contains("<style"), "{path}: inline");
    }
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_known_by_their_content() {
    let bench = bench();
    let mut browser = bench.browser();
    let page = browser.get("/login").await.body;
    for name in ["style.css", "live.js", "icon.svg"] {
        let end = page.find(name).unwrap() + name.len();
        let path = page[page[..end].rfind("/static").unwrap()..end].to_owned();
        let asset = browser.get(&path).await;
        assert_eq!(asset.status, 200);
        assert!(asset.header("cache-control").contains("immutable"));
        let again = Request::get(&path).header("if-none-match", asset.header("etag")).body(Body::empty());
        assert_eq!(browser.send(again.unwrap()).await.status, 304);
    }
}

#[tokio::test]
async fn cookies_are_for_the_browser_and_this_host_alone() {
    let bench = bench();
    for (tls, secure) in [(true, true), (false, false)] {
        let mut browser = bench.browser();
        browser.tls = tls;
        let fields = [("name", "bob"), ("password", "correct horse battery")];
        let reply = browser.post("/login", &fields).await;
        let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(cookies.len(), 2);
        for cookie in cookies {
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
            assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
        }
    }
}

#[tokio::test]
async fn log_in_leads_to_pages_of_this_appliance_only() {
    let bench = bench();
    let mut browser = bench.browser();
    let reply = browser.get("/blocks?before=5").await;
    assert_eq!(reply.header("location"), "/login?next=/blocks%3Fbefore%3D5");
    let table = [
        ("/blocks?before=5", "/blocks?before=5"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ];
    for (next, expected) in table {
        let fields = [("name", "bob"), ("password", "correct horse battery"), ("next", next)];
        let reply = bench.browser().post("/login", &fields).await;
        assert_eq!(reply.header("location"), expected, "{next:?}");
    }
}

#[tokio::test]
async fn wrong_passwords_say_so_and_throttling_says_how_long() {
    let bench = bench();
    let mut browser = bench.browser();
    let wrong = browser.post("/login", &[("name", "bob"), ("password", "wrong")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("Name or password is wrong.") && wrong.body.contains("value=\"bob\""));
    assert!(!wrong.body.contains("value=\"wrong\"") && browser.cookies.is_empty());
    let throttled = browser.post("/login", &[("name", "bob"), ("password", "throttle me")]).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
}

#[tokio::test]
async fn roles_see_what_is_theirs() {
    let bench = bench();
    let table = [
        ("bob", "/", 200),
        ("bob", "/sessions", 200),
        ("bob", "/blocks", 200),
        ("bob", "/services", 403),
        ("bob", "/services/x", 403),
        ("bob", "/accounts", 403),
        ("bob", "/audit", 403),
        ("dev", "/services", 200),
        ("dev", "/services/x", 404),
        ("dev", "/accounts", 403),
        ("ada", "/accounts", 200),
        ("ada", "/audit", 200),
    ];
    for (name, path, expected) in table {
        assert_eq!(bench.logged_in(name).await.get(path).await.status, expected, "{name} {path}");
    }
    for path in ["/blocks/validate", "/services/x/restart", "/services/x/level", "/accounts", "/accounts/ada/remove"] {
        let mut bob = bench.logged_in("bob").await;
        let csrf = bob.get("/").await.csrf();
        assert_eq!(bob.post(path, &[("csrf", &csrf)]).await.status, 403, "{path}");
    }
    assert!(!bench.logged_in("bob").await.get("/").await.body.contains("/accounts"));
}

#[tokio::test]
async fn forms_without_the_right_token_change_nothing() {
    let bench = bench();
    let mut ada = bench.logged_in("ada").await;
    let other = bench.logged_in("bob").await.get("/").await.csrf();
    let own = ada.get("/").await.csrf();
    for token in ["", "00", &other, &"g".repeat(64), &own[..62]] {
        let reply = ada.post("/blocks/validate", &[("csrf", token)]).await;
        assert!(reply.status == 403 && reply.body.contains("nothing was changed"), "{token}");
    }
    assert_eq!(ada.post("/blocks/validate", &[("csrf", &own)]).await.status, 303);
}

#[tokio::test]
async fn foreign_pages_are_refused() {
    let bench = bench();
    let mut ada = bench.logged_in("ada").await;
    let csrf = ada.get("/").await.csrf();
    let table = [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "https://lucid.local", 303),
        ("sec-fetch-site", "same-origin", 303),
        ("accept", "*/*", 303),
    ];
    for (name, value, expected) in table {
        let request = Request::post("/blocks/validate")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("host", "lucid.local")
            .header(name, value)
            .body(Body::from(format!("csrf={csrf}")));
        assert_eq!(ada.send(request.unwrap()).await.status, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn an_expired_log_in_is_renewed_once_for_all() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let csrf = browser.get("/").await.csrf();
    let old = browser.cookies.clone();
    bench.fakes.with(|world| world.expired.push(old[0].1.clone()));
    let mut tabs: Vec<_> = (0..8).map(|_| browser.clone()).collect();
    let replies = futures_util::future::join_all(tabs.iter_mut().map(|tab| tab.get("/sessions"))).await;
    for reply in &replies {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(bench.fakes.with(|world| world.refreshed.len()), 1);
    assert!(tabs.iter().all(|tab| tab.cookies == tabs[0].cookies && tab.cookies != old));
    // A form that was open all the while still works.
    let reply = tabs[0].post("/logout", &[("csrf", &csrf)]).await;
    assert_eq!(reply.header("location"), "/login?done=logged-out");
    assert!(tabs[0].cookies.is_empty());
    assert_eq!(tabs[1].get("/").await.header("location"), "/login");
}

#[tokio::test]
async fn garbage_in_cookies_is_nobody() {
    let bench = bench();
    for value in ["", "x", "access:ada:root:1", &"a".repeat(10_000), "access:ada:admin"] {
        let mut browser = bench.browser();
        browser.cookies.push(("lucid_session".to_owned(), value.to_owned()));
        assert_eq!(browser.get("/").await.header("location"), "/login", "{value:.20}");
    }
    let mut browser = bench.browser();
    browser.cookies.push(("lucid_refresh".to_owned(), "refresh:nonsense".to_owned()));
    assert_eq!(browser.get("/").await.header("location"), "/login");
}

#[tokio::test]
async fn while_auth_service_is_away_the_page_says_so() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    bench.fakes.with(|world| world.away = true);
    for path in ["/", "/login", "/claim"] {
        let reply = browser.get(path).await;
        assert!(reply.status == 503 && reply.body.contains("Auth-service is not available"), "{path} {}", reply.body);
    }
}

#[tokio::test]
async fn changing_the_password_keeps_this_browser_logged_in() {
    let bench = bench();
    let mut bob = bench.logged_in("bob").await;
    let csrf = bob.get("/account").await.csrf();
    let fields = |old, again| [("csrf", csrf.as_str()), ("old", old), ("new", "another long one"), ("again", again)];
    assert_eq!(bob.post("/account/password", &fields("x", "differs")).await.status, 400);
    assert_eq!(bob.post("/account/password", &fields("wrong", "another long one")).await.status, 422);
    let before = bob.cookies.clone();
    let reply = bob.post("/account/password", &fields("correct horse battery", "another long one")).await;
    assert_eq!(reply.header("location"), "/account?done=password");
    assert_ne!(bob.cookies, before);
    let key = [("csrf", csrf.as_str()), ("password", "correct horse battery")];
    assert_eq!(bob.post("/account/recovery-key", &key).await.status, 403);
    let mut ada = bench.logged_in("ada").await;
    let csrf = ada.get("/account").await.csrf();
    let key = [("csrf", csrf.as_str()), ("password", "correct horse battery")];
    assert!(ada.post("/account/recovery-key", &key).await.body.contains("AGE-SECRET-KEY-1SECOND"));
}
