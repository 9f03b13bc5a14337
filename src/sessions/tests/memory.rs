//! Memory does not grow with the recording: what has been taken in and is not durable yet has a bound.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use lucid_kit::{Class, Pool};

use super::{CHUNK, World, until};
use crate::upload::under_way_max;

/// Bytes of one piece of a body.
const PIECE: usize = 100;
/// What one upload may hold: the chunks that are under way, the one that waits for its turn, and the pieces: four in
/// the channel, one on each side of it.
fn held_bytes_max(pool: &Pool) -> usize {
    (under_way_max(pool.width()) + 1) * CHUNK + 6 * PIECE
}

/// Takes all computing threads of recordings until the senders are dropped.
async fn occupy(pool: &Pool) -> Vec<mpsc::Sender<()>> {
    let mut held = Vec::new();
    for _ in 0..pool.width() {
        let (sender, dropped) = mpsc::channel::<()>();
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let pool = pool.clone();
        let work = move || {
            begun.send(()).unwrap();
            assert!(dropped.recv().is_err());
        };
        tokio::spawn(async move { pool.run(Class::Recording, work).await });
        beginning.await.unwrap();
        held.push(sender);
    }
    held
}

/// A body of so many pieces, and how many bytes of it were taken.
fn counted(pieces: usize, seen: impl Fn(usize) + Send + 'static) -> (Arc<AtomicUsize>, Body) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let body = stream::iter(0..pieces).map(move |number| {
        seen(count.fetch_add(PIECE, Ordering::SeqCst) + PIECE);
        Ok::<_, io::Error>(Bytes::from(vec![number as u8; PIECE]))
    });
    (taken, Body::from_stream(body))
}

#[tokio::test]
async fn a_stalled_pipeline_holds_the_sender_back() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (threads, held_max) = (occupy(&world.pool).await, held_bytes_max(&world.pool));
    let (taken, body) = counted(500, |_| {});
    let (client, total) = (running.client.clone(), 500 * PIECE);
    let uploading = tokio::spawn(async move { client.append("alice.user", id, 0, "?1", body).await });
    until("the queues are full", || taken.load(Ordering::SeqCst) >= held_max - 6 * PIECE).await;
    // This runtime has one thread: whatever could still take a piece has its turn here.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let held = taken.load(Ordering::SeqCst);
    assert!(held <= held_max, "{held} bytes taken while nothing is written, the bound is {held_max}");
    assert_eq!(running.row(id).durable_bytes, 0);

    drop(threads);
    let reply = uploading.await.unwrap();
    assert_eq!((reply.status, reply.header("upload-offset")), (StatusCode::NO_CONTENT, &*total.to_string()));
    assert_eq!(taken.load(Ordering::SeqCst), total);
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_durable_is_bounded_at_every_moment() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let (repository, most) = (running.repository.clone(), Arc::new(AtomicUsize::new(0)));
    let worst = most.clone();
    let (_, body) = counted(800, move |taken| {
        let durable = repository.get(id).unwrap().durable_bytes as usize;
        worst.fetch_max(taken - durable, Ordering::SeqCst);
    });
    let reply = running.client.append("alice.user", id, 0, "?1", body).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let most = most.load(Ordering::SeqCst);
    // The chunk being filled, which is open beside the others, may be all but full.
    assert!(most <= held_bytes_max(&world.pool) + CHUNK, "{most} bytes were on their way at once");
    running.stop().await;
}
