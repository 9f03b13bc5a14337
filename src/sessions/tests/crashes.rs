//! Killed at any moment: every acknowledged byte is there, nothing that was never sent, and no file that no row counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use lucid_ports::{RecordingState, SessionId};

use super::{CHUNK, Running, World, stream_of, until};
use crate::{ApiState, progress::stamp, repository::NewChunk};

/// Bytes of one piece of a body.
const PIECE: usize = 170;

/// Uploads `pieces` pieces, waits until so many more chunks are durable, and ends the runtime there: every task is
/// dropped at the await where it stands. Gives what was acknowledged before.
fn killed_after(world: &World, id: SessionId, stream: &[u8], pieces: usize, chunks: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (reached, at_the_point) = mpsc::channel();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (running, offset, before) = runtime.block_on(async {
        let running = world.start();
        let (offset, _) = running.client.offset("alice.user", id).await;
        let before = running.row(id).chunks;
        (running, offset as usize, before)
    });
    let rest: Vec<_> =
        stream[offset..].chunks(PIECE).map(Bytes::copy_from_slice).map(Ok::<_, std::io::Error>).collect();
    let last = pieces >= rest.len();
    let body = stream::iter(rest.into_iter().take(pieces)).chain(stream::once(async move {
        reached.send(()).unwrap();
        if last { Ok(Bytes::new()) } else { std::future::pending().await }
    }));
    let (client, told) = (running.client.clone(), acknowledged.clone());
    runtime.spawn(async move {
        let complete = if last { "?1" } else { "?0" };
        let reply = client.append("alice.user", id, offset as u64, complete, Body::from_stream(body)).await;
        // While the runtime goes down, another end is possible; a good one must hold.
        if reply.status == StatusCode::NO_CONTENT {
            told.store(reply.header("upload-offset").parse().unwrap(), Ordering::SeqCst);
        }
    });
    at_the_point.recv_timeout(Duration::from_secs(60)).unwrap();
    // The last body may have fewer chunks than that: it is killed wherever it is, or once the recording is complete.
    runtime.block_on(until("that point", || {
        let row = running.row(id);
        if last { chunks % 2 == 1 || row.state != RecordingState::Recording } else { row.chunks >= before + chunks }
    }));
    let durable = running.row(id).durable_bytes;
    drop(running);
    drop(runtime);
    durable.max(acknowledged.load(Ordering::SeqCst))
}

#[test]
fn killed_at_random_points_nothing_acknowledged_is_lost() {
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..4_u64 {
        let world = World::new();
        let stream = stream_of(round, 25 * CHUNK + 99);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let id = runtime.block_on(async {
            let running = world.start();
            let id = running.client.create("alice.user", "").await;
            running.stop().await;
            id
        });
        let mut acknowledged = 0;
        loop {
            let pieces = rng.usize(1..60);
            // Of the chunks that are full, some: the others are on their way at that moment.
            let chunks = rng.u64(0..=(pieces * PIECE / CHUNK) as u64);
            acknowledged = killed_after(&world, id, &stream, pieces, chunks).max(acknowledged);
            let (state, durable) = runtime.block_on(reopened(&world, id, &stream, acknowledged));
            if state != RecordingState::Recording {
                assert_eq!(durable, stream.len() as u64);
                break;
            }
            acknowledged = durable;
        }
    }
}

/// Opens the disks again and looks at everything.
async fn reopened(world: &World, id: SessionId, stream: &[u8], acknowledged: u64) -> (RecordingState, u64) {
    let running = world.start();
    let row = running.row(id);
    assert!(row.durable_bytes >= acknowledged, "{} durable, {acknowledged} acknowledged", row.durable_bytes);
    assert_eq!(running.client.content("alice.user", id).await.body, stream[..row.durable_bytes as usize]);
    assert_eq!(world.disks.chunk_files(id), row.chunks, "files that no row counts are swept");
    running.stop().await;
    (row.state, row.durable_bytes)
}

/// A chunk file of a cut upload never gets in the way of the chunk that takes its index next.
#[tokio::test]
async fn uncounted_chunk_files_are_swept() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    running.client.append("alice.user", id, 0, "?0", vec![1; 2 * CHUNK]).await;
    for index in [2, 3, 9] {
        running.repository.put_chunk(id, index, vec![0; 50]).await.unwrap();
    }
    // While it runs, the next upload sweeps.
    running.client.append("alice.user", id, 2 * CHUNK as u64, "?0", Body::empty()).await;
    assert_eq!(world.disks.chunk_files(id), 2);

    // The start sweeps, and leaves alone what it does not know.
    running.repository.put_chunk(id, 2, vec![0; 50]).await.unwrap();
    let strangers = world.disks.data().join("session-storage/chunks/0123");
    std::fs::create_dir(&strangers).unwrap();
    running.stop().await;
    let running = world.start();
    assert_eq!(world.disks.chunk_files(id), 2);
    assert!(strangers.exists());
    running.stop().await;
}

/// A chunk file of a complete recording is never swept, whatever its index.
#[tokio::test]
async fn only_what_still_records_is_swept() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(&stream_of(1, 3 * CHUNK)).await;
    running.stop().await;
    let running = world.start();
    assert_eq!(world.disks.chunk_files(id), 3);
    assert_eq!(running.client.content("alice.user", id).await.body, stream_of(1, 3 * CHUNK));
    running.stop().await;
}

/// The row goes before the files when a recording is deleted, and the file before the row when a chunk is written: a
/// store that has a row without its chunk was damaged, and says so instead of giving other bytes.
#[tokio::test]
async fn a_row_without_its_chunk_is_an_error() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let chunk = NewChunk { index: 0, bytes: 10, stored_bytes: 60, leaf: [0; 32] };
    running.repository.count_chunk(id, chunk, stamp(&*world.clock)).await.unwrap();
    assert!(!content_is_whole(&running, id).await);
    running.stop().await;
}

async fn content_is_whole(running: &Running, id: SessionId) -> bool {
    let recording = running.row(id);
    let api: &ApiState = &running.api;
    let content = crate::content::read(running.repository.clone(), api.pool.clone(), &recording, 0..10).unwrap();
    content.all(|piece| async move { piece.is_ok() }).await
}
