//! What is refused, and what fails: nothing that was acknowledged is lost by it.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, StatusCode};
use lucid_ports::{RecordingState, Storage};
use lucid_proof::manifest::CHUNKS_MAX;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CHUNK, World, attach, on_disk, ready, request, stream_of};
use crate::{
    api,
    chunk_memory::ChunkMemory,
    chunker::Cut,
    upload::{Piece, Upload},
    uploads::UploadError,
};

#[tokio::test]
async fn offsets_that_do_not_fit_are_refused_with_the_right_one() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", vec![7; 1500]).await;
    for offset in [0, 1, 1000, 1499, 1501, u64::MAX] {
        let reply = running.client.append("alice.user", id, offset, "?1", vec![9; 100]).await;
        assert_eq!(reply.problem(), (409, "mismatching_upload_offset".to_owned()), "{offset}");
        assert_eq!(reply.header("upload-offset"), "1500");
    }
    // A repeated request, as from a client whose first reply was lost, changes nothing.
    assert_eq!(running.client.content("alice.user", id).await.body, vec![7; 1500]);
    assert_eq!(running.row(id).state, RecordingState::Recording);
    running.stop().await;
}

#[tokio::test]
async fn a_complete_recording_takes_no_more() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"all of it").await;
    for (offset, complete) in [(9, "?1"), (9, "?0"), (0, "?1")] {
        let reply = running.client.append("alice.user", id, offset, complete, b"more".to_vec()).await;
        assert_eq!(reply.problem(), (409, "completed_upload".to_owned()));
    }
    assert_eq!(running.client.offset("alice.user", id).await, (9, "?1".to_owned()));
    assert_eq!(running.client.content("alice.user", id).await.body, b"all of it"[..]);
    running.stop().await;
}

#[tokio::test]
async fn headers_that_can_not_be_understood_are_refused() {
    const PARTIAL: &str = "application/partial-upload";
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Headers, u16, &str); 15] = [
        (&[], 415, "not_a_partial_upload"),
        (&[("content-type", "application/octet-stream")], 415, "not_a_partial_upload"),
        (&[("content-type", "application/partial-uploads")], 415, "not_a_partial_upload"),
        (&[("content-type", PARTIAL)], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "-1")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "+0")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "0x0")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "0 0")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "18446744073709551616")], 400, "bad_upload_offset"),
        (&[("content-type", PARTIAL), ("upload-offset", "0")], 400, "bad_upload_complete"),
        (&[("content-type", PARTIAL), ("upload-offset", "0"), ("upload-complete", "1")], 400, "bad_upload_complete"),
        (&[("content-type", PARTIAL), ("upload-offset", "0"), ("upload-complete", "true")], 400, "bad_upload_complete"),
        (&[("content-type", PARTIAL), ("upload-offset", "0"), ("upload-complete", "?2")], 400, "bad_upload_complete"),
        (&[("content-type", PARTIAL), ("upload-offset", "0"), ("upload-complete", "")], 400, "bad_upload_complete"),
    ];
    for (headers, status, code) in cases {
        let path = format!("/api/sessions/{id}/stream");
        let reply = running.client.send(request("alice.user", Method::PATCH, &path, headers, Body::from("x"))).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{headers:?}");
    }
    assert_eq!(running.client.offset("alice.user", id).await, (0, "?0".to_owned()));
    running.stop().await;
}

#[tokio::test]
async fn labels() {
    let world = World::new();
    let running = world.start();
    let created = async |json: &str| running.client.try_create("alice.user", json).await;
    for label in ["", "a label", "Sitzung am Montag, 9 Uhr 🖥", &"ü".repeat(200)] {
        let reply = created(&serde_json::json!({ "label": label }).to_string()).await;
        assert_eq!((reply.status, reply.json()["label"].as_str()), (StatusCode::CREATED, Some(label)));
        assert_eq!(reply.header("location"), format!("/api/sessions/{}", reply.json()["id"].as_str().unwrap()));
        assert_eq!((reply.header("upload-offset"), reply.header("upload-complete")), ("0", "?0"));
    }
    assert_eq!(created("{}").await.status, StatusCode::CREATED);
    for label in ["\n", "a\tb", "\u{0}", "\u{7f}", "\u{85}", &"x".repeat(201)] {
        let reply = created(&serde_json::json!({ "label": label }).to_string()).await;
        assert_eq!(reply.problem(), (400, "bad_label".to_owned()), "{label:?}");
    }
    for (json, status) in [("", 400), ("{", 400), ("5", 422), (r#"{"label":5}"#, 422), (r#"{"owner":"bob"}"#, 422)] {
        assert_eq!(created(json).await.status.as_u16(), status, "{json}");
    }
    running.stop().await;
}

#[tokio::test]
async fn one_upload_too_many_is_refused_and_a_takeover_is_none() {
    let mut world = World::new();
    world.config.uploads_max = 2;
    let running = world.start();
    let mut attached = Vec::new();
    for _ in 0..2 {
        let id = running.client.create("alice.user", "").await;
        let (body, uploading) = attach(&running.client, id, 0);
        body.send(Ok(Bytes::from(vec![5; CHUNK]))).await.unwrap();
        running.durable(id, CHUNK as u64).await;
        attached.push((id, body, uploading));
    }
    let third = running.client.create("alice.user", "").await;
    let reply = running.client.append("alice.user", third, 0, "?1", b"x".to_vec()).await;
    assert_eq!(reply.problem(), (503, "too_many_uploads".to_owned()));
    assert_eq!(reply.header("retry-after"), "10");

    let (id, _body, uploading) = attached.remove(0);
    let reply = running.client.append("alice.user", id, CHUNK as u64, "?1", Body::empty()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "its own place is free for it: {reply:?}");
    assert_eq!(uploading.await.unwrap().problem(), (409, "superseded_upload".to_owned()));
    let reply = running.client.append("alice.user", third, 0, "?1", b"x".to_vec()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    running.stop().await;
}

#[tokio::test]
async fn without_a_usable_disk_nothing_begins() {
    let world = World::new();
    let running = world.start();
    let gone = Storage::Waiting { reason: "the SSD was pulled out".to_owned() };
    for (storage, status, code) in [(ready(true), 507, "disk_full"), (gone, 503, "storage_not_usable")] {
        world.storage.send_replace(storage);
        let reply = running.client.try_create("alice.user", "{}").await;
        assert_eq!(reply.problem(), (status, code.to_owned()));
    }
    world.storage.send_replace(ready(false));
    assert_eq!(running.client.try_create("alice.user", "{}").await.status, StatusCode::CREATED);
    running.stop().await;
}

#[tokio::test]
async fn a_disk_that_fills_up_ends_the_upload_and_keeps_what_it_acknowledged() {
    let world = World::new();
    let running = world.start();
    let gone = Storage::Waiting { reason: "the SSD was pulled out".to_owned() };
    for (storage, status, code) in [(ready(true), 507, "disk_full"), (gone, 503, "storage_not_usable")] {
        let id = running.client.create("alice.user", "").await;
        let (body, uploading) = attach(&running.client, id, 0);
        body.send(Ok(Bytes::from(vec![1; CHUNK]))).await.unwrap();
        running.durable(id, CHUNK as u64).await;
        world.storage.send_replace(storage);
        body.send(Ok(Bytes::from(vec![2; CHUNK]))).await.unwrap();
        assert_eq!(uploading.await.unwrap().problem(), (status, code.to_owned()));

        world.storage.send_replace(ready(false));
        assert_eq!(running.client.offset("alice.user", id).await, (CHUNK as u64, "?0".to_owned()));
        let reply = running.client.append("alice.user", id, CHUNK as u64, "?1", vec![2; CHUNK]).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
        let expected = [vec![1; CHUNK], vec![2; CHUNK]].concat();
        assert_eq!(running.client.content("alice.user", id).await.body, expected);
    }
    running.stop().await;
}

#[test]
fn a_full_disk_reaches_the_client_as_one() {
    let full = lucid_store::StoreError::DiskFull { action: "write", path: "x".into() };
    let problem = api::upload_problem(UploadError::Repository(full.into()));
    assert_eq!(axum::response::IntoResponse::into_response(problem).status(), StatusCode::INSUFFICIENT_STORAGE);
}

/// The chunks' directory fails in the middle: the client hears of it, and goes on when it is mended.
#[tokio::test]
async fn a_failing_disk_loses_nothing_that_was_acknowledged() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(6, 6 * CHUNK);
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", stream[..2 * CHUNK].to_vec()).await;
    let (dir, aside) = (world.disks.chunk_dir(id), world.disks.dir.path().join("aside"));
    std::fs::rename(&dir, &aside).unwrap();
    std::fs::write(&dir, "not a directory").unwrap();
    let reply = running.client.append("alice.user", id, 2 * CHUNK as u64, "?1", stream[2 * CHUNK..].to_vec()).await;
    assert_eq!(reply.problem().0, 500);
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(&aside, &dir).unwrap();

    let (offset, complete) = running.client.offset("alice.user", id).await;
    assert_eq!((offset, &*complete), (2 * CHUNK as u64, "?0"));
    let rest = stream[offset as usize..].to_vec();
    assert_eq!(running.client.append("alice.user", id, offset, "?1", rest).await.status, StatusCode::NO_CONTENT);
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    running.stop().await;
}

/// A chunk that can't be written in the middle of several: the ones behind it are not counted, and their files go.
#[tokio::test]
async fn nothing_is_counted_behind_a_chunk_that_failed() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(7, 8 * CHUNK);
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", stream[..CHUNK].to_vec()).await;
    let (uploading_body, uploading) = attach(&running.client, id, CHUNK as u64);
    uploading_body.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
    uploading_body.send(Ok(Bytes::from_static(b"y"))).await.unwrap();
    // In the way of chunk 2, and only there; the attaching has looked already.
    std::fs::write(world.disks.chunk_file(id, 2), "in the way").unwrap();
    uploading_body.send(Ok(Bytes::from(vec![b'z'; 6 * CHUNK]))).await.unwrap();
    drop(uploading_body);
    assert_eq!(uploading.await.unwrap().problem().0, 500);
    let row = running.row(id);
    assert_eq!((row.chunks, row.durable_bytes), (2, 2 * CHUNK as u64));

    let reply = running.client.append("alice.user", id, 2 * CHUNK as u64, "?1", vec![b'!'; CHUNK]).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    assert_eq!((running.row(id).chunks, world.disks.chunk_files(id)), (3, 3));
    running.stop().await;
}

/// A recording has no more chunks than its manifest can state: one more would keep it from ever being sealed.
#[tokio::test]
async fn a_recording_has_a_last_chunk() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let upload = Upload {
        id,
        key: std::sync::Arc::new(running.repository.key(id).unwrap()),
        first: CHUNKS_MAX,
        cut: Cut { bytes: CHUNK, age: world.config.chunk_age },
        memory: std::sync::Arc::new(ChunkMemory::new(CHUNK, 3, 1)),
        repository: running.repository.clone(),
        pool: world.pool.clone(),
        clock: world.clock.clone(),
        storage: world.storage.subscribe(),
    };
    let (body, pieces) = mpsc::channel(1);
    body.send(Piece::Data(Bytes::from(vec![0; CHUNK]))).await.unwrap();
    let ended = upload.drive(pieces, CancellationToken::new()).await;
    assert!(matches!(ended, Err(UploadError::TooLong)), "{ended:?}");
    running.stop().await;
}

#[tokio::test]
async fn ids_are_never_paths() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"a secret of alice").await.to_string();
    let bad = [
        "..".to_owned(),
        "..%2f..%2fetc%2fpasswd".to_owned(),
        "%2e%2e%2f".to_owned(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{id}%00"),
        format!("{id}%2f..%2f{id}"),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        "0".repeat(10_000),
        "%ff%fe".to_owned(),
    ];
    for bad in bad {
        let paths = ["", "/stream", "/content", "/export", "/verify"].map(|tail| format!("/api/sessions/{bad}{tail}"));
        for (method, path) in [Method::GET, Method::HEAD, Method::GET, Method::GET, Method::POST].into_iter().zip(paths)
        {
            let status = running.client.call("alice.user", method.clone(), &path).await.status.as_u16();
            assert!(matches!(status, 400 | 404 | 405), "{method} {path}: {status}");
        }
        let deleted = running.client.call("admin.admin", Method::DELETE, &format!("/api/sessions/{bad}")).await;
        assert!(matches!(deleted.status.as_u16(), 400 | 404 | 405), "{bad}: {deleted:?}");
    }
    assert_eq!(running.client.content("alice.user", id.parse().unwrap()).await.body, b"a secret of alice"[..]);
    running.stop().await;
}

#[tokio::test]
async fn plaintext_never_touches_the_disk() {
    let world = World::new();
    let running = world.start();
    let marker = b"a very recognisable sentence, typed by alice";
    let id = running.recorded(&marker.repeat(100)).await;
    assert!(!on_disk(world.disks.dir.path(), marker));
    assert!(!on_disk(world.disks.dir.path(), running.repository.key(id).unwrap().expose()));
    running.stop().await;
}
