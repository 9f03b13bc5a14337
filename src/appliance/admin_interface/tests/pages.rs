//! What the pages show and do.

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use lucid_ports::{Account, Role};

use super::fakes::{HOSTILE, NOW_MS, account_of, bench, recording};

#[tokio::test]
async fn an_unclaimed_appliance_shows_the_claim_page_only() {
    let bench = bench();
    bench.fakes.with(|world| world.claimed = false);
    let mut browser = bench.browser();
    for path in ["/", "/sessions", "/services", "/accounts", "/login"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/claim"), "{path}");
    }
    let page = browser.get("/claim").await;
    assert!(page.status == 200 && page.body.contains("One-time code"));
    for part in
        ["Ten wrong tries, by anybody on your network, make a code void", "shows a new one", "within two minutes"]
    {
        assert!(page.body.contains(part), "{part}");
    }
}

#[tokio::test]
async fn claiming_shows_the_recovery_key_once_and_logs_in() {
    let bench = bench();
    bench.fakes.with(|world| world.claimed = false);
    let mut browser = bench.browser();
    let password = "correct horse battery";
    let fields = |code, again| [("code", code), ("name", "ada"), ("password", password), ("again", again)];
    let differs = browser.post("/claim", &fields("RIGHT-CODE", "something else!")).await;
    assert!(differs.status == 422 && differs.body.contains("two passwords differ"));
    let wrong = browser.post("/claim", &fields("WRONG", password)).await;
    assert!(wrong.body.contains("9 tries are left"), "{}", wrong.body);
    let claimed = browser.post("/claim", &fields("RIGHT-CODE", password)).await;
    assert!(claimed.status == 200 && claimed.body.contains("AGE-SECRET-KEY-1EXAMPLE"));
    assert_eq!(claimed.header("cache-control"), "no-store");
    assert!(!claimed.body.contains(password));
    let again = browser.post("/claim", &fields("RIGHT-CODE", password)).await;
    assert_eq!(again.header("location"), "/login");
    let overview = browser.get("/?done=saved").await;
    assert!(overview.body.contains("The appliance is yours") && !overview.body.contains("AGE-SECRET"));
}

#[tokio::test]
async fn the_overview_says_whether_all_is_well() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let page = browser.get("/").await;
    assert_eq!(page.status, 200);
    for part in ["All is well", "5.0 GB free", "Simulated hardware", "<svg", "°C", "Pi 5"] {
        assert!(page.body.contains(part), "{part} is missing");
    }
    bench.view.send_modify(|view| {
        std::sync::Arc::make_mut(view).device = Some(Err("the hardware has not answered".to_owned()));
    });
    let page = browser.get("/").await;
    assert!(page.body.contains("Needs attention") && page.body.contains("has not answered"));
}

#[tokio::test]
async fn a_service_that_does_not_answer_leaves_the_page_standing() {
    tokio::time::pause();
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    bench.fakes.with(|world| world.slow_chain = true);
    let page = browser.get("/blocks").await;
    assert!(page.status == 200 && page.body.contains("block-manager does not answer"));
    bench.fakes.with(|world| world.slow_chain = false);
    let page = browser.get("/blocks").await;
    assert!(page.status == 200 && page.body.contains("The blocks can't be shown"));
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_and_shown_to_their_owner_only() {
    let bench = bench();
    bench.fakes.with(|world| {
        world.recordings = (0..30).map(|number| recording(&format!("talk {number}"), "bob")).collect();
        world.recordings.push(recording("secret talk", "ada"));
    });
    let hidden = bench.fakes.with(|world| world.recordings.last().unwrap().id);
    let mut browser = bench.logged_in("bob").await;
    let first = browser.get("/sessions").await;
    assert!(first.body.contains("talk 29") && !first.body.contains("secret talk"));
    assert_eq!(first.body.matches("<tr>").count(), 26);
    let start = first.body.find("/sessions?before=").expect("there is an older page");
    let older = browser.get(&first.body[start..start + 53]).await;
    assert!(older.status == 200 && older.body.contains("talk 0") && !older.body.contains("talk 29"));
    assert_eq!(browser.get(&format!("/sessions/{hidden}")).await.status, 404);
    assert_eq!(browser.get("/sessions/nonsense").await.status, 404);
    assert!(bench.logged_in("ada").await.get("/sessions").await.body.contains("secret talk"));
}

#[tokio::test]
async fn deleting_asks_first_and_is_noted() {
    let bench = bench();
    bench.fakes.with(|world| world.recordings.push(recording("talk", "bob")));
    let id = bench.fakes.with(|world| world.recordings[0].id);
    let mut browser = bench.logged_in("bob").await;
    let confirm = browser.get(&format!("/sessions/{id}/delete")).await;
    assert!(confirm.body.contains("Delete this session?"));
    assert_eq!(bench.fakes.with(|world| world.recordings.len()), 1);
    let reply = browser.post(&format!("/sessions/{id}/delete"), &[("csrf", &confirm.csrf())]).await;
    assert_eq!(reply.header("location"), "/sessions?done=deleted");
    assert!(bench.fakes.with(|world| world.recordings.is_empty() && world.notes[0].action == "session-delete"));
    assert_eq!(bench.fakes.with(|world| world.notes[0].peer.clone()), "192.0.2.7");
}

#[tokio::test]
async fn downloads_lead_to_the_api() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let id = recording("x", "bob").id;
    let reply = browser.get(&format!("/sessions/{id}/content")).await;
    assert_eq!(reply.header("location"), format!("/api/sessions/{id}/content"));
}

fn multipart(parts: &[(&str, &str)], end: &str) -> Request<Body> {
    let mut body = String::new();
    for (name, value) in parts {
        let file = if *name == "file" { "; filename=\"a.txt\"" } else { "" };
        body += &format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n");
    }
    body += end;
    let request = Request::post("/sessions/upload").header("content-type", "multipart/form-data; boundary=XX");
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn a_plain_form_uploads_a_file() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let csrf = browser.get("/sessions").await.csrf();
    let content = "x".repeat(300_000);
    let fields = [("csrf", csrf.as_str()), ("label", " my\ntalk "), ("file", &content)];
    let reply = browser.send(multipart(&fields, "--XX--\r\n")).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    assert!(reply.header("location").ends_with("?done=uploaded"));
    let uploads = bench.fakes.with(|world| std::mem::take(&mut world.uploads));
    assert_eq!(uploads, [("mytalk".to_owned(), Ok(content.into_bytes()))]);
}

#[tokio::test]
async fn an_upload_that_is_cut_foreign_or_garbled_is_never_complete() {
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let csrf = browser.get("/sessions").await.csrf();
    let foreign = browser.send(multipart(&[("file", "abc"), ("csrf", &csrf)], "--XX--\r\n")).await;
    assert_eq!(foreign.status, 403);
    let wrong = browser.send(multipart(&[("csrf", &"0".repeat(64)), ("file", "abc")], "--XX--\r\n")).await;
    assert_eq!(wrong.status, 403);
    let long = browser.send(multipart(&[("csrf", &csrf), ("label", &"x".repeat(2000))], "--XX--\r\n")).await;
    assert_eq!(long.status, 400);
    let nothing = browser.send(multipart(&[("csrf", &csrf)], "--XX--\r\n")).await;
    assert!(nothing.status == 400 && nothing.body.contains("without a file"));
    assert!(bench.fakes.with(|world| world.uploads.is_empty()));
    let cut = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc";
    let reply = browser.send(multipart(&[("csrf", &csrf)], cut)).await;
    assert_eq!(reply.status, 400);
    assert!(bench.fakes.with(|world| world.uploads.len() == 1 && world.uploads[0].1.is_err()));
    assert!(bench.fakes.with(|world| world.recordings.is_empty()));
}

#[tokio::test]
async fn administrators_manage_accounts() {
    let bench = bench();
    let account = |name: &str, role| Account { id: account_of(name), name: name.to_owned(), role, created_ms: NOW_MS };
    bench.fakes.with(|world| world.accounts = vec![account("ada", Role::Admin)]);
    let mut browser = bench.logged_in("ada").await;
    let csrf = browser.get("/accounts").await.csrf();
    let add = [("csrf", csrf.as_str()), ("name", "eve"), ("password", "long enough here"), ("role", "user")];
    assert_eq!(browser.post("/accounts", &add).await.header("location"), "/accounts?done=added");
    let twice = browser.post("/accounts", &add).await;
    assert!(twice.status == 409 && twice.body.contains("There is an account"), "{}", twice.body);
    let role = [("csrf", csrf.as_str()), ("role", "developer")];
    assert_eq!(browser.post("/accounts/eve/role", &role).await.status, 303);
    assert_eq!(browser.post("/accounts/eve/role", &[("csrf", &csrf), ("role", "root")]).await.status, 400);
    assert_eq!(bench.fakes.with(|world| world.accounts[1].role), Role::Developer);
    assert!(browser.get("/accounts/eve/remove").await.body.contains("Remove the account"));
    assert_eq!(browser.post("/accounts/eve/remove", &[("csrf", &csrf)]).await.status, 303);
    let last = browser.post("/accounts/ada/remove", &[("csrf", &csrf)]).await;
    assert!(last.status == 409 && last.body.contains("last administrator"));
}

#[tokio::test]
async fn live_streams_send_what_changed_and_end_with_the_log_in() {
    tokio::time::pause();
    let bench = bench();
    let mut browser = bench.logged_in("bob").await;
    let request = Request::get("/events?view=overview").body(Body::empty()).unwrap();
    let response = browser.exchange(request).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || body.frame().await.map(|frame| frame.unwrap().into_data().unwrap());
    let first = next().await.unwrap();
    let first = std::str::from_utf8(&first).unwrap();
    assert!(first.starts_with("event: parts\ndata: {") && first.contains("All is well"), "{first}");
    bench.view.send_modify(|view| std::sync::Arc::make_mut(view).device = Some(Err("gone".to_owned())));
    let second = next().await.unwrap();
    assert!(std::str::from_utf8(&second).unwrap().contains("Needs attention"));
    let token_id = uuid::Uuid::from_u128(1);
    bench.fakes.with(|world| world.revoked.push(token_id));
    assert!(next().await.is_none());
}

#[tokio::test]
async fn streams_are_bounded_and_for_those_who_may_see() {
    let bench = bench();
    let request = |view: &str| Request::get(format!("/events?view={view}")).body(Body::empty()).unwrap();
    let mut bob = bench.logged_in("bob").await;
    assert_eq!(bench.browser().send(request("overview")).await.status, 401);
    for view in ["services", "service&of=x", "nonsense"] {
        assert_eq!(bob.send(request(view)).await.body, "", "{view}");
    }
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(bob.exchange(request("overview")).await);
    }
    assert_eq!(bob.exchange(request("overview")).await.status(), 503);
    open.clear();
    assert_eq!(bob.exchange(request("overview")).await.status(), 200);
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let bench = bench();
    bench.fakes.with(|world| {
        world.recordings.push(recording(HOSTILE, "bob"));
        world.accounts.push(Account {
            id: account_of(HOSTILE),
            name: HOSTILE.to_owned(),
            role: Role::User,
            created_ms: u64::MAX,
        });
    });
    let id = bench.fakes.with(|world| world.recordings[0].id);
    let mut browser = bench.logged_in("ada").await;
    let session = format!("/sessions/{id}");
    let delete = format!("/sessions/{id}/delete");
    for path in ["/sessions", &session, &delete, "/accounts", "/login?next=%22%3E%3Cscript%3E"] {
        let body = browser.get(path).await.body;
        assert!(!body.contains("<script>") && !body.contains("<img"), "{path}");
    }
}

#[tokio::test]
async fn every_refusal_says_that_the_hardware_is_simulated() {
    let bench = bench();
    let mut bob = bench.logged_in("bob").await;
    let csrf = bob.get("/").await.csrf();
    let mut pages = vec![];
    for (path, status) in [
        ("/audit", 403),
        ("/sessions/nonsense", 404),
        ("/blocks/nonsense", 404),
        ("/nowhere", 404),
        ("/blocks?before=x", 400),
        ("/logout", 405),
    ] {
        pages.push((path, bob.get(path).await, status));
    }
    pages.push(("stale form", bob.post("/logout", &[("csrf", "00")]).await, 403));
    let foreign = Request::post("/logout").header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    pages.push(("foreign page", bob.send(foreign).await, 403));
    let missing = bob.post("/account/password", &[("csrf", &csrf), ("new", "a"), ("again", "b")]).await;
    pages.push(("passwords that differ", missing, 400));
    bench.fakes.with(|world| world.away = true);
    pages.push(("auth-service away", bob.get("/").await, 503));
    for (what, page, status) in pages {
        assert_eq!(page.status, status, "{what}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what}");
        assert!(page.body.contains("Simulated hardware.") && page.body.contains("To the overview"), "{what}");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{what}");
    }
    let real = super::fakes::bench();
    real.view.send_modify(|view| std::sync::Arc::make_mut(view).device = None);
    let page = real.logged_in("bob").await.get("/audit").await;
    assert!(page.status == 403 && !page.body.contains("Simulated hardware."));
}

#[tokio::test]
async fn a_program_gets_no_page_for_an_address_that_is_nothing() {
    let bench = bench();
    let mut bob = bench.logged_in("bob").await;
    let request = Request::get("/nowhere").header("accept", "*/*").body(Body::empty()).unwrap();
    let reply = bob.send(request).await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("content-type")), (404, "", ""));
}
