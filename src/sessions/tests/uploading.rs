//! Bytes coming in: whole, in parts, broken, and from two connections.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, StatusCode};
use lucid_ports::RecordingState;

use super::{CHUNK, World, attach, broken, request, stream_of, until};

#[tokio::test]
async fn a_recording_of_any_length_comes_back_as_it_was() {
    let world = World::new();
    let running = world.start();
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 10 * CHUNK + 7] {
        let stream = stream_of(length as u64, length);
        let id = running.recorded(&stream).await;
        let row = running.row(id);
        assert_eq!((row.durable_bytes, row.chunks), (length as u64, length.div_ceil(CHUNK) as u64));
        assert_ne!(row.state, RecordingState::Recording);
        assert_eq!(running.client.content("alice.user", id).await.body, stream, "{length} bytes");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_upload_is_resumed_wherever_it_stopped() {
    let world = World::new();
    let running = world.start();
    let mut rng = fastrand::Rng::with_seed(1);
    for round in 0..8 {
        let stream = stream_of(round, 20 * CHUNK);
        let id = running.client.create("alice.user", "").await;
        let mut offset = 0;
        while offset < stream.len() {
            let end = (offset + rng.usize(1..6 * CHUNK)).min(stream.len());
            let complete = if end == stream.len() { "?1" } else { "?0" };
            let reply =
                running.client.append("alice.user", id, offset as u64, complete, stream[offset..end].to_vec()).await;
            assert_eq!((reply.status, reply.header("upload-offset")), (StatusCode::NO_CONTENT, &*end.to_string()));
            assert_eq!(running.client.offset("alice.user", id).await, (end as u64, complete.to_owned()));
            offset = end;
        }
        assert_eq!(running.client.content("alice.user", id).await.body, stream, "round {round}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_came_before_a_break_is_kept() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(2, 5 * CHUNK + 300);
    let id = running.client.create("alice.user", "").await;
    let pieces: Vec<_> = stream.chunks(700).map(|piece| Ok(Bytes::copy_from_slice(piece))).chain([broken()]).collect();
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let reply = running.client.append("alice.user", id, 0, "?1", body).await;
    assert_eq!(reply.problem(), (503, "upload_interrupted".to_owned()));
    // The break came before the end: nothing may take the recording for complete.
    assert_eq!(running.client.offset("alice.user", id).await, (stream.len() as u64, "?0".to_owned()));
    assert_eq!(running.client.content("alice.user", id).await.body, stream);

    let reply = running.client.append("alice.user", id, stream.len() as u64, "?1", Body::empty()).await;
    assert_eq!((reply.status, reply.header("upload-complete")), (StatusCode::NO_CONTENT, "?1"));
    running.stop().await;
}

/// A client that vanishes without a word: the reply that nobody waits for is dropped, with the request.
#[tokio::test]
async fn what_came_before_the_client_vanished_is_kept() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (body, uploading) = attach(&running.client, id, 0);
    body.send(Ok(Bytes::from_static(b"half a sen"))).await.unwrap();
    // The second piece is taken only when the first has gone on.
    body.send(Ok(Bytes::from_static(b"tence"))).await.unwrap();
    uploading.abort();
    assert!(uploading.await.unwrap_err().is_cancelled());
    until("the upload has ended", || running.uploads.running() == 0).await;
    let (offset, complete) = running.client.offset("alice.user", id).await;
    assert!(offset == 10 || offset == 15, "{offset}");
    assert_eq!(complete, "?0");
    assert_eq!(running.client.content("alice.user", id).await.body, b"half a sentence"[..offset as usize]);
    running.stop().await;
}

#[tokio::test]
async fn a_slow_upload_becomes_durable_by_age() {
    let mut world = World::new();
    world.config.chunk_age = std::time::Duration::from_millis(20);
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (body, uploading) = attach(&running.client, id, 0);
    body.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    running.durable(id, 5).await;
    body.send(Ok(Bytes::from_static(b"second"))).await.unwrap();
    running.durable(id, 11).await;
    assert_eq!(running.row(id).chunks, 2);
    drop(body);
    assert_eq!(uploading.await.unwrap().header("upload-offset"), "11");
    running.stop().await;
}

#[tokio::test]
async fn a_second_connection_takes_over_and_nothing_interleaves() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(3, 9 * CHUNK);
    let id = running.client.create("alice.user", "").await;
    let (first, first_upload) = attach(&running.client, id, 0);
    first.send(Ok(Bytes::copy_from_slice(&stream[..3 * CHUNK]))).await.unwrap();
    running.durable(id, 3 * CHUNK as u64).await;

    // The first one hangs, with its connection open: it is told at once, without sending another byte.
    let rest = stream[3 * CHUNK..].to_vec();
    let second = running.client.append("alice.user", id, 3 * CHUNK as u64, "?1", rest).await;
    assert_eq!(second.status, StatusCode::NO_CONTENT, "{second:?}");
    assert_eq!(first_upload.await.unwrap().problem(), (409, "superseded_upload".to_owned()));
    assert!(first.is_closed());
    assert_eq!(running.client.content("alice.user", id).await.body, stream);
    running.stop().await;
}

#[tokio::test]
async fn asking_for_the_offset_ends_a_connection_that_hangs() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (body, uploading) = attach(&running.client, id, 0);
    body.send(Ok(Bytes::from_static(b"on its way"))).await.unwrap();
    // The second piece is taken only when the first has gone on: the upload is attached now.
    body.send(Ok(Bytes::from_static(b", perhaps"))).await.unwrap();
    let (offset, _) = running.client.offset("alice.user", id).await;
    assert!(offset == 0 || offset == 10 || offset == 19, "{offset}");
    assert_eq!(uploading.await.unwrap().problem(), (409, "superseded_upload".to_owned()));
    assert_eq!(running.row(id).durable_bytes, offset);
    running.stop().await;
}

/// Many clients that all believe to be the one: whoever is let in goes on exactly where the last one ended.
#[tokio::test]
async fn of_many_connections_at_once_the_recording_stays_whole() {
    let world = World::new();
    let running = world.start();
    let stream = stream_of(4, 40 * CHUNK);
    let id = running.client.create("alice.user", "").await;
    let clients = (0..4_u64).map(|seed| {
        let (client, stream) = (running.client.clone(), stream.clone());
        tokio::spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..12 {
                // Another one may take over in the middle of asking, too.
                let asked =
                    request("alice.user", Method::HEAD, &format!("/api/sessions/{id}/stream"), &[], Body::empty());
                let Ok(offset) = client.send(asked).await.header("upload-offset").parse::<usize>() else { continue };
                let end = (offset + rng.usize(1..4 * CHUNK)).min(stream.len());
                client.append("alice.user", id, offset as u64, "?0", stream[offset..end].to_vec()).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let (offset, _) = running.client.offset("alice.user", id).await;
    assert!(offset > 0);
    assert_eq!(running.client.content("alice.user", id).await.body, stream[..offset as usize]);
    assert_eq!(running.row(id).chunks, world.disks.chunk_files(id));
    running.stop().await;
}

/// A new incarnation of session-pipeline knows nothing of the former one's uploads, but the repository does.
#[tokio::test]
async fn an_upload_of_an_earlier_incarnation_is_taken_over_too() {
    let world = World::new();
    let former = world.start();
    let id = former.client.create("alice.user", "").await;
    let (body, uploading) = attach(&former.client, id, 0);
    body.send(Ok(Bytes::from(vec![1; 2 * CHUNK]))).await.unwrap();
    former.durable(id, 2 * CHUNK as u64).await;

    let running = world.start_on(former.repository.clone());
    let reply = running.client.append("alice.user", id, 2 * CHUNK as u64, "?1", vec![2; CHUNK]).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    assert_eq!(uploading.await.unwrap().problem(), (409, "superseded_upload".to_owned()));
    let expected = [vec![1; 2 * CHUNK], vec![2; CHUNK]].concat();
    assert_eq!(running.client.content("alice.user", id).await.body, expected);
    drop(former);
    running.stop().await;
}

#[tokio::test]
async fn a_stop_is_an_interruption_and_keeps_what_came() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (body, uploading) = attach(&running.client, id, 0);
    body.send(Ok(Bytes::from(vec![1; CHUNK]))).await.unwrap();
    running.durable(id, CHUNK as u64).await;
    running.uploads.close().await;
    // Not a conflict: the client is to come back, and nobody took its place.
    let reply = uploading.await.unwrap();
    assert_eq!(reply.problem(), (503, "upload_interrupted".to_owned()));
    assert_eq!(reply.header("retry-after"), "1");
    let late = running.client.append("alice.user", id, CHUNK as u64, "?1", Body::empty()).await;
    assert_eq!(late.problem(), (503, "upload_interrupted".to_owned()));
    running.stop().await;

    let running = world.start();
    assert_eq!(running.client.offset("alice.user", id).await, (CHUNK as u64, "?0".to_owned()));
    running.stop().await;
}
