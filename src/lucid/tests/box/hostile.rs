//! What strangers and broken programs send: each gets a clear answer, and nothing else happens.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    bench::{Owner, Place, Reply, mix, send},
    crash::assert_no_panic,
    proof::record,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn bad_requests_get_clear_answers() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(20, 1_500_000));
    bad_tokens(&place, &owner);
    bad_paths(&owner);
    bad_bodies(&place, &owner);
    bad_labels(&owner);
    bad_uploads(&owner, &id);
    bad_http(&place);
    owner.wait_for_all();
    owner.validate_chain();
    assert_eq!(owner.session(&id).unwrap()["state"], "anchored");
    assert_no_panic(&running);
}

fn bad_tokens(place: &Place, owner: &Owner) {
    let token = &owner.access_token;
    let (head, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let none = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
    let flipped: String = signature.chars().rev().collect();
    let other = Place::new();
    let stranger = Owner::claim(&other, &other.start());
    let cases = [
        ("garbage", "x".to_owned()),
        ("cut", token[..token.len() / 2].to_owned()),
        ("unsigned", format!("{none}.{body}.")),
        ("signed by nobody", format!("{none}.{body}.{signature}")),
        ("another signature", format!("{head}.{body}.{flipped}")),
        ("a refresh token", owner.refresh_token.clone()),
        ("another box's", stranger.access_token),
        ("far too long", "a".repeat(8000)),
    ];
    for (what, token) in cases {
        for (method, target) in [("GET", "/api/sessions"), ("GET", "/api/services"), ("GET", "/api/backup")] {
            let reply = send(place.dashboard(), method, target, &[("Authorization", &format!("Bearer {token}"))], b"");
            assert_eq!(reply.status, 401, "{what}: {target}: {}", reply.text());
            assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
            assert!(reply.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")), "{what}");
        }
    }
    let half = send(place.dashboard(), "GET", "/api/sessions", &[("Authorization", "Bearer ")], b"");
    half.expect_problem(400, "invalid_authorization");
    send(place.dashboard(), "GET", "/api/sessions", &[], b"").expect_problem(401, "credentials_missing");
    let refreshed = format!("{{\"refresh_token\":\"{}\"}}", owner.access_token);
    let reply = send(place.dashboard(), "POST", "/api/auth/refresh", &[JSON], refreshed.as_bytes());
    reply.expect_problem(401, "session_ended");
}

fn bad_paths(owner: &Owner) {
    let long = format!("/api/sessions/{}", "a".repeat(4000));
    let targets = [
        "/api/sessions/../../../etc/passwd",
        "/api/sessions/..%2f..%2f..%2fetc%2fpasswd",
        "/api/sessions/%2e%2e/%2e%2e/etc/passwd",
        "/api/sessions/%2e%2e%2fsession-storage.redb/content",
        "/api/sessions/..%5c..%5cetc/export",
        "/api/sessions/%00/content",
        "/api/sessions/%ff%fe",
        "/api/sessions/not-an-id",
        "/api/sessions/00000000-0000-0000-0000-000000000000",
        "/api/chain/blocks/-1",
        "/api/chain/blocks/99999999999999999999999999",
        "/api/chain/blocks/999999999",
        "/api/chain/anchors/..%2f..",
        "/api/sessions?limit=many",
        "/api/chain/consistency?old=9&new=1",
        "/static/../../../etc/passwd",
        "/static/x/..%2f..%2fetc%2fpasswd",
        long.as_str(),
    ];
    for target in targets {
        let reply = owner.get(target);
        assert!(matches!(reply.status, 400 | 404), "{target}: {} {}", reply.status, reply.text());
        assert!(!reply.text().contains("root:"), "{target}");
        assert_problem(&reply, target);
    }
}

/// Problems on the API, pages elsewhere.
#[track_caller]
fn assert_problem(reply: &Reply, target: &str) {
    if target.starts_with("/api/") {
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{target}");
        assert!(reply.json()["code"].is_string(), "{target}: {}", reply.text());
    }
}

fn bad_bodies(place: &Place, owner: &Owner) {
    let long = vec![b'x'; 3 * 1024 * 1024];
    let login =
        |headers: &[(&str, &str)], body: &[u8]| send(place.dashboard(), "POST", "/api/auth/login", headers, body);
    login(&[JSON], &long).expect_problem(413, "body_too_large");
    login(&[JSON], b"{").expect_problem(400, "invalid_json");
    login(&[JSON], b"{\"name\":1}").expect_problem(422, "invalid_value");
    login(&[], b"{}").expect_problem(415, "unsupported_media_type");
    owner.ask("POST", "/api/sessions", &[JSON], &long).expect_problem(413, "body_too_large");
    owner.ask("POST", "/api/sessions", &[JSON], b"\xff\xfe").expect_problem(400, "invalid_json");
    owner.ask("PUT", "/api/sessions", &[], b"").expect_problem(405, "method_not_allowed");
}

fn bad_labels(owner: &Owner) {
    let create = |label: &str| {
        owner.ask("POST", "/api/sessions", &[JSON], serde_json::json!({ "label": label }).to_string().as_bytes())
    };
    for label in ["a\nb", "\u{1b}[2J", "\0", &"x".repeat(201)] {
        create(label).expect_problem(400, "bad_label");
    }
    let hostile = "<script>alert(1)</script>\"'&../..";
    let id = create(hostile).expect(201).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(owner.session(&id).unwrap()["label"], hostile);
    let cookie = format!("lucid_session={}", owner.access_token);
    for target in ["/sessions".to_owned(), format!("/sessions/{id}")] {
        let page = owner.ask("GET", &target, &[("Cookie", &cookie)], b"").expect(200).text();
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(!page.contains("<script>alert"), "{page}");
    }
}

fn bad_uploads(owner: &Owner, anchored: &str) {
    let open = owner.ask("POST", "/api/sessions", &[JSON], b"{}").expect(201).json()["id"].as_str().unwrap().to_owned();
    let patch = |id: &str, offset: &str, complete: &str, media: &str| {
        let headers = [("Content-Type", media), ("Upload-Offset", offset), ("Upload-Complete", complete)];
        owner.ask("PATCH", &format!("/api/sessions/{id}/stream"), &headers, b"bytes")
    };
    let partial = "application/partial-upload";
    let wrong = patch(&open, "7", "?0", partial).expect_problem(409, "mismatching_upload_offset");
    assert_eq!(wrong.header("upload-offset"), Some("0"));
    patch(&open, "-1", "?0", partial).expect_problem(400, "bad_upload_offset");
    patch(&open, "18446744073709551616", "?0", partial).expect_problem(400, "bad_upload_offset");
    patch(&open, "0", "yes", partial).expect_problem(400, "bad_upload_complete");
    patch(&open, "0", "?0", "text/plain").expect_problem(415, "not_a_partial_upload");
    patch(anchored, "0", "?1", partial).expect_problem(409, "completed_upload");
    patch("00000000-0000-0000-0000-000000000000", "0", "?1", partial).expect_problem(404, "no_such_recording");
    owner.ask("DELETE", &format!("/api/sessions/{open}"), &[], b"").expect_problem(409, "still_recording");
    assert_eq!(owner.session(&open).unwrap()["durable_bytes"], 0);
}

/// Bytes that are no request of HTTP/1.1 at all. An answer, if any, is an error; then the connection ends.
fn bad_http(place: &Place) {
    let header = format!("GET /health HTTP/1.1\r\nHost: box\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    let cases: [&[u8]; 7] = [
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\xff\xff garbage in place of a handshake",
        header.as_bytes(),
    ];
    for case in cases {
        let mut stream = TcpStream::connect(("127.0.0.1", place.dashboard())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let _ = stream.write_all(case);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.starts_with("HTTP/1.1 2"), "{}: {text}", case.escape_ascii());
    }
    send(place.dashboard(), "GET", "/health", &[], b"").expect(200);
}
