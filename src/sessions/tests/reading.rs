//! Bytes going out, and who may have them: lists, descriptions, plaintext and ranges of it.

use axum::body::Body;
use http::{Method, StatusCode};
use lucid_ports::{AccountState, Load, Recordings, RecordingsError, Role, SessionId};
use serde_json::{Value, json};

use super::{CHUNK, Client, Reply, World, account, identity, request, stream_of};
use crate::RecordingsPort;

async fn range(client: &Client, id: SessionId, range: &str) -> Reply {
    let path = format!("/api/sessions/{id}/content");
    client.send(request("alice.user", Method::GET, &path, &[("range", range)], Body::empty())).await
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let sessions = reply.json()["sessions"].as_array().unwrap().clone();
    sessions.iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_recording_is_described() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "a label").await;
    let described = running.client.get("alice.user", &format!("/api/sessions/{id}")).await.json();
    assert_eq!((&described["state"], &described["durable_bytes"]), (&"recording".into(), &0.into()));

    let id = running.anchored(&world, &stream_of(1, 2 * CHUNK + 1)).await;
    let described = running.client.get("alice.user", &format!("/api/sessions/{id}")).await.json();
    let expected = [
        ("id", Value::from(id.to_string())),
        ("label", "a label".into()),
        ("owner", json!({ "id": account("alice"), "name": "alice", "account": "present" })),
        ("state", "anchored".into()),
        ("durable_bytes", 2001.into()),
        ("chunks", 3.into()),
        ("block_height", 0.into()),
        ("started_ms", super::NOON_MS.into()),
    ];
    for (member, value) in expected {
        assert_eq!(described[member], value, "{member}");
    }
    assert_eq!(described["root"].as_str().unwrap().len(), 64);
    assert!(described["stored_bytes"].as_u64().unwrap() > 3 * 40);
    running.stop().await;
}

#[tokio::test]
async fn every_range_is_the_slice_that_it_names() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(2, 4 * CHUNK + 123);
    let id = running.recorded(&stream).await;
    let mut rng = fastrand::Rng::with_seed(3);
    let edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 4 * CHUNK, 4 * CHUNK + 122];
    let random = (0..30).map(|_| (rng.usize(..stream.len()), rng.usize(..stream.len())));
    let pairs =
        edges.iter().flat_map(|first| edges.iter().map(|last| (*first, *last))).chain(random.collect::<Vec<_>>());
    for (first, last) in pairs.filter(|(first, last)| first <= last) {
        let reply = range(&running.client, id, &format!("bytes={first}-{last}")).await;
        assert_eq!(reply.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(reply.body, stream[first..=last], "{first}-{last}");
        assert_eq!(reply.header("content-range"), format!("bytes {first}-{last}/4123"));
        assert_eq!(reply.header("content-length"), (last - first + 1).to_string());
    }
    for (text, slice) in [("bytes=-1", 4122..4123), ("bytes=-1200", 2923..4123), ("bytes=4000-", 4000..4123)] {
        assert_eq!(range(&running.client, id, text).await.body, stream[slice]);
    }
    running.stop().await;
}

#[tokio::test]
async fn ranges_beyond_the_end_and_ranges_that_are_ignored() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(4, CHUNK + 5);
    let id = running.recorded(&stream).await;
    for text in ["bytes=1005-", "bytes=9999-99999", "bytes=-0"] {
        let reply = range(&running.client, id, text).await;
        assert_eq!(reply.problem(), (416, "range_not_satisfiable".to_owned()), "{text}");
        assert_eq!(reply.header("content-range"), "bytes */1005");
    }
    for text in ["bytes=0-1,5-6", "lines=1-2", "garbage", "bytes=-"] {
        let reply = range(&running.client, id, text).await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &stream[..]), "{text}");
        assert_eq!((reply.header("accept-ranges"), reply.header("content-range")), ("bytes", ""));
    }
    let empty = running.recorded(b"").await;
    let reply = running.client.content("alice.user", empty).await;
    assert_eq!((reply.status, reply.header("content-length"), reply.body.len()), (StatusCode::OK, "0", 0));
    assert_eq!(range(&running.client, empty, "bytes=0-").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    running.stop().await;
}

/// What is durable can be read while the recording goes on.
#[tokio::test]
async fn a_running_recording_can_be_read() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", b"so far".to_vec()).await;
    assert_eq!(running.client.content("alice.user", id).await.body, b"so far"[..]);
    running.stop().await;
}

/// A chunk that was touched or is missing breaks the reply off; no byte of it goes out.
#[tokio::test]
async fn damage_never_goes_out_as_plaintext() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(5, 3 * CHUNK);
    let id = running.recorded(&stream).await;
    let file = world.disks.chunk_file(id, 1);
    let good = std::fs::read(&file).unwrap();
    let other = std::fs::read(world.disks.chunk_file(id, 2)).unwrap();
    let mut bent = good.clone();
    *bent.last_mut().unwrap() ^= 1;
    for (bytes, what) in
        [(&bent, "flipped"), (&other, "of another place"), (&good[..9].to_vec(), "cut"), (&vec![], "empty")]
    {
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(range(&running.client, id, "bytes=0-999").await.body, stream[..CHUNK], "{what}");
        assert!(broken_off(&running.client, id).await, "{what}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(broken_off(&running.client, id).await, "missing");
    std::fs::write(&file, good).unwrap();
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    running.stop().await;
}

/// Whether the whole content ends in an error, after the first chunk at most.
async fn broken_off(client: &Client, id: SessionId) -> bool {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let path = format!("/api/sessions/{id}/content");
    let reply = client.0.clone().oneshot(request("alice.user", Method::GET, &path, &[], Body::empty())).await.unwrap();
    let (mut body, mut bytes) = (reply.into_body(), 0);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.into_data().unwrap().len(),
            Err(_) => return bytes <= CHUNK,
        }
    }
    false
}

#[tokio::test]
async fn others_recordings_are_as_good_as_absent() {
    let world = World::new();
    let running = world.start();
    let id = running.anchored(&world, b"of alice").await;
    let open = running.client.create("alice.user", "").await;
    let calls = [
        (Method::GET, format!("/api/sessions/{id}"), Role::Developer, 200),
        (Method::GET, format!("/api/sessions/{id}/content"), Role::Developer, 200),
        (Method::GET, format!("/api/sessions/{id}/export"), Role::Developer, 200),
        (Method::POST, format!("/api/sessions/{id}/verify"), Role::Developer, 200),
        (Method::HEAD, format!("/api/sessions/{open}/stream"), Role::Admin, 204),
        (Method::PATCH, format!("/api/sessions/{open}/stream"), Role::Admin, 415),
        (Method::DELETE, format!("/api/sessions/{open}"), Role::Admin, 409),
        (Method::DELETE, format!("/api/sessions/{id}"), Role::Admin, 204),
    ];
    for (method, path, needed, status) in calls {
        for (who, role) in [("bob.user", Role::User), ("dora.developer", Role::Developer), ("root.admin", Role::Admin)]
        {
            let reply = running.client.call(who, method.clone(), &path).await;
            let expected = if role >= needed { status } else { 404 };
            assert_eq!(reply.status.as_u16(), expected, "{who} {method} {path}: {reply:?}");
        }
        let nobody = axum::http::Request::builder().method(method.clone()).uri(&path).body(Body::empty()).unwrap();
        assert_eq!(running.client.send(nobody).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
    running.stop().await;
}

/// What a removed account has left stays where it is: its name may come back, its recordings do not go with the name.
#[tokio::test]
async fn a_later_account_of_the_same_name_gets_nothing() {
    let world = World::new();
    let running = world.start();
    let id = running.anchored(&world, b"of the first alice").await;
    let open = running.client.create("alice.user", "").await;
    world.removed.0.lock().unwrap().push(account("alice"));

    assert!(ids(&running.client.get("alice+2.user", "/api/sessions").await).is_empty());
    for (method, path) in [
        (Method::GET, format!("/api/sessions/{id}")),
        (Method::GET, format!("/api/sessions/{id}/content")),
        (Method::GET, format!("/api/sessions/{id}/export")),
        (Method::HEAD, format!("/api/sessions/{open}/stream")),
        (Method::DELETE, format!("/api/sessions/{id}")),
    ] {
        let reply = running.client.call("alice+2.user", method.clone(), &path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let own = running.client.create("alice+2.user", "").await;
    let listed = running.client.get("root.admin", "/api/sessions").await;
    assert_eq!(ids(&listed), [own, open, id].map(|id| id.to_string()));
    let owners: Vec<_> = listed.json()["sessions"].as_array().unwrap().iter().map(|it| it["owner"].clone()).collect();
    let owner = |name: &str, state| json!({ "id": account(name), "name": "alice", "account": state });
    let (removed, present) = (owner("alice", AccountState::Removed), owner("alice+2", AccountState::Present));
    assert_eq!(owners, [present, removed.clone(), removed]);
    assert_eq!(running.client.content("root.admin", id).await.body, b"of the first alice"[..]);
    let deleted = running.client.call("root.admin", Method::DELETE, &format!("/api/sessions/{id}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    running.stop().await;
}

#[tokio::test]
async fn an_absent_recording_and_a_foreign_one_look_alike() {
    let world = World::new();
    let running = world.start();
    let foreign = running.recorded(b"of alice").await;
    let absent = SessionId::generate();
    let replies = [foreign, absent].map(|id| {
        let client = running.client.clone();
        async move {
            let reply = client.get("bob.user", &format!("/api/sessions/{id}")).await;
            (reply.status, String::from_utf8(reply.body.to_vec()).unwrap().replace(&id.to_string(), "ID"))
        }
    });
    let [foreign, absent] = replies;
    assert_eq!(foreign.await, absent.await);
    running.stop().await;
}

#[tokio::test]
async fn lists_show_what_the_caller_may_see_page_by_page() {
    let world = World::new();
    let running = world.start();
    let (mut all, mut alices) = (Vec::new(), Vec::new());
    for number in 0..7 {
        let who = if number % 3 == 1 { "bob.user" } else { "alice.user" };
        let id = running.client.create(who, "").await.to_string();
        all.insert(0, id.clone());
        if who == "alice.user" {
            alices.insert(0, id);
        }
    }
    for (who, expected) in
        [("alice.user", &alices), ("dora.developer", &all), ("root.admin", &all), ("eve.user", &vec![])]
    {
        assert_eq!(ids(&running.client.get(who, "/api/sessions").await), *expected, "{who}");
        for limit in [1, 2, 5] {
            let (mut listed, mut path) = (Vec::new(), format!("/api/sessions?limit={limit}"));
            loop {
                let reply = running.client.get(who, &path).await;
                listed.extend(ids(&reply));
                let Some(next) = reply.json()["next"].as_str().map(str::to_owned) else { break };
                path = format!("/api/sessions?limit={limit}&before={next}");
            }
            assert_eq!(listed, *expected, "{who} by {limit}");
        }
    }
    for (query, shown) in [("limit=0", 1), ("limit=100000", 7), ("limit=18446744073709551615", 7)] {
        assert_eq!(ids(&running.client.get("root.admin", &format!("/api/sessions?{query}")).await).len(), shown);
    }
    for query in ["limit=-1", "limit=x", "before=x", "before=..", "owner=bob", "limit=99999999999999999999"] {
        let reply = running.client.get("alice.user", &format!("/api/sessions?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_hot_box_records_and_does_not_read() {
    let world = World::new();
    let running = world.start();
    let id = running.anchored(&world, b"to be read later").await;
    for (load, shed) in [(Load::NoReprocessing, false), (Load::RecordingOnly, true), (Load::Full, false)] {
        world.load.send_replace(load);
        for tail in ["content", "export"] {
            let reply = running.client.get("alice.user", &format!("/api/sessions/{id}/{tail}")).await;
            if shed {
                assert_eq!(reply.problem(), (503, "load_shed".to_owned()), "{load:?} {tail}");
                assert_eq!(reply.header("retry-after"), "60");
            } else {
                assert_eq!(reply.status, StatusCode::OK, "{load:?} {tail}");
            }
        }
        running.recorded(b"goes on").await;
        assert_eq!(running.client.get("alice.user", "/api/sessions").await.status, StatusCode::OK);
    }
    running.stop().await;
}

/// The dashboard's way in follows the same rules as the routes.
#[tokio::test]
async fn the_port_of_the_dashboard() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"done").await;
    let open = running.client.create("alice.user", "").await;
    let (lender, slot) = lucid_kit::slot("session-api");
    let port = RecordingsPort(slot);
    let (alice, bob) = (identity("alice", Role::User), identity("bob", Role::User));
    assert!(matches!(port.get(&alice, id).await, Err(RecordingsError::Unavailable(_))));

    let lease = lender.lend(running.api.clone());
    assert_eq!(port.get(&alice, id).await.unwrap().owner.id, alice.account);
    assert_eq!(port.list(&alice, None, 10).await.unwrap().len(), 2);
    assert!(port.list(&bob, None, 10).await.unwrap().is_empty());
    assert!(matches!(port.get(&bob, id).await, Err(RecordingsError::NotFound(_))));
    assert!(matches!(port.delete(&bob, id).await, Err(RecordingsError::NotFound(_))));
    assert!(matches!(port.delete(&alice, open).await, Err(RecordingsError::StillRecording(_))));
    port.delete(&alice, id).await.unwrap();
    assert!(matches!(port.delete(&alice, id).await, Err(RecordingsError::NotFound(_))));
    drop((lease, port));
    running.stop().await;
}
