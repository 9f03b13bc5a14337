//! Deleting destroys the key, on the disk and not only in a row; the other recordings stay.

use std::fs;

use futures_util::poll;
use http::{Method, StatusCode};
use lucid_ports::{RecordingState, SessionId};
use lucid_store::Reader;
use lucid_vault::{VaultError, WrappedKey};

use super::{CHUNK, Running, World, on_disk, stream_of, until};
use crate::{
    RepositoryError,
    repository::forget,
    rows::{GENERATION, KEYS, META},
};

const MARKER: &[u8] = b"a very recognisable sentence, typed by alice";

fn wrapped(running: &Running, id: SessionId) -> Option<WrappedKey> {
    running.repository.store().read(|tx| tx.get(&KEYS, &id.bytes())).unwrap()
}

/// The sealed wrapping keys as they lie in the two slots.
fn slots(world: &World) -> Vec<Vec<u8>> {
    ["wrapping-a", "wrapping-b"].map(|name| fs::read(world.disks.data().join("keys").join(name)).unwrap()).to_vec()
}

/// The 72 sealed bytes behind the header of the slot that is in use.
fn wrapping_key(world: &World) -> Vec<u8> {
    let mut used = slots(world).into_iter().filter(|slot| slot.iter().any(|byte| *byte != 0));
    let key = used.next().unwrap()[16..88].to_vec();
    assert!(used.next().is_none(), "one wrapping key at rest");
    key
}

async fn delete(running: &Running, id: SessionId) -> StatusCode {
    running.client.call("alice.user", Method::DELETE, &format!("/api/sessions/{id}")).await.status
}

#[tokio::test]
async fn a_deleted_recording_is_nowhere_on_the_disk() {
    let world = World::new();
    let running = world.start();
    let kept = running.anchored(&world, &stream_of(1, 3 * CHUNK)).await;
    let id = running.anchored(&world, &MARKER.repeat(100)).await;
    let chunks: Vec<_> = (0..5).map(|index| fs::read(world.disks.chunk_file(id, index)).unwrap()).collect();
    let (key, row_key) = (*running.repository.key(id).unwrap().expose(), wrapped(&running, id).unwrap());
    let old_wrapping_key = wrapping_key(&world);
    assert!(on_disk(world.disks.dir.path(), &old_wrapping_key), "the search finds what is there");
    assert!(on_disk(world.disks.dir.path(), &chunks[0][..40]));

    assert_eq!(delete(&running, id).await, StatusCode::NO_CONTENT);
    for (needle, what) in [
        (MARKER, "its plaintext"),
        (&key[..], "its data key"),
        (&data_encoding::BASE64.encode(&key).into_bytes(), "its data key as text"),
        (&old_wrapping_key, "the key that its data key was wrapped with"),
    ] {
        assert!(!on_disk(world.disks.dir.path(), needle), "{what} is on the disk");
    }
    for chunk in &chunks {
        assert!(!on_disk(world.disks.dir.path(), &chunk[..40]), "a chunk is on the disk");
    }
    assert!(!world.disks.chunk_dir(id).exists());
    assert_eq!(running.client.get("alice.user", &format!("/api/sessions/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(delete(&running, id).await, StatusCode::NOT_FOUND);

    // A copy of its row and its chunks, taken before, is worth nothing now; the others read on.
    let destroyed = running.repository.vault().unwrap(&row_key);
    assert!(matches!(destroyed, Err(VaultError::Destroyed { .. })), "{destroyed:?}");
    assert_eq!(running.client.content("alice.user", kept).await.body, stream_of(1, 3 * CHUNK));
    running.stop().await;
    let running = world.start();
    assert!(matches!(running.repository.vault().unwrap(&row_key), Err(VaultError::Destroyed { .. })));
    assert_eq!(running.client.content("alice.user", kept).await.body, stream_of(1, 3 * CHUNK));
    running.stop().await;
}

#[tokio::test]
async fn many_deletions_leave_the_rest_readable() {
    let world = World::new();
    let running = world.start();
    let mut recordings = Vec::new();
    for seed in 0..8 {
        recordings.push((seed, running.recorded(&stream_of(seed, 500)).await));
    }
    // All at once: they queue, and none takes another for a backup.
    let (gone, kept) = recordings.split_at(5);
    let deletions = gone.iter().map(|(_, id)| delete(&running, *id));
    let statuses = futures_util::future::join_all(deletions).await;
    assert!(statuses.iter().all(|status| *status == StatusCode::NO_CONTENT), "{statuses:?}");
    for (seed, id) in kept {
        assert_eq!(running.client.content("alice.user", *id).await.body, stream_of(*seed, 500));
    }
    assert_eq!(running.repository.count().unwrap(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_running_recording_is_not_deleted() {
    let world = World::new();
    let running = world.start();
    let id = running.client.create("alice.user", "").await;
    let reply = running.client.call("alice.user", Method::DELETE, &format!("/api/sessions/{id}")).await;
    assert_eq!(reply.problem(), (409, "still_recording".to_owned()));
    // Nor by who comes past the check: and the refused attempt leaves no rotation behind.
    assert!(matches!(running.repository.shred(id).await, Err(RepositoryError::WrongState { .. })));
    assert!(matches!(running.repository.shred(SessionId::generate()).await, Err(RepositoryError::NotFound(_))));
    let reply = running.client.append("alice.user", id, 0, "?1", b"goes on".to_vec()).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&running, id).await, StatusCode::NO_CONTENT);
    running.stop().await;
}

#[tokio::test]
async fn a_backup_holds_deletions_off() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"x").await;
    let (one, two) = (running.repository.hold().await, running.repository.hold().await);
    drop(one);
    let reply = running.client.call("alice.user", Method::DELETE, &format!("/api/sessions/{id}")).await;
    assert_eq!(reply.problem().0, 503);
    assert!(reply.json()["detail"].as_str().unwrap().contains("backup"));
    assert!(world.disks.chunk_file(id, 0).exists());
    running.recorded(b"recording goes on").await;
    drop(two);
    assert_eq!(delete(&running, id).await, StatusCode::NO_CONTENT);
    running.stop().await;
}

/// The client of a deletion goes away, and its request is dropped wherever it stands.
#[tokio::test]
async fn a_deletion_whose_caller_goes_away_is_finished() {
    let world = World::new();
    let running = world.start();
    for polls in 0..3 {
        let id = running.recorded(&MARKER.repeat(10)).await;
        let before = wrapping_key(&world);
        let mut shredding = Box::pin(running.repository.shred(id));
        for _ in 0..=polls {
            if poll!(shredding.as_mut()).is_ready() {
                break;
            }
        }
        drop(shredding);
        until("the recording is gone", || running.repository.get(id).is_err()).await;
        // Behind the rotation, which must be over: a new key can be made.
        let next = running.recorded(b"the next one").await;
        until("its chunks are gone", || !world.disks.chunk_dir(id).exists()).await;
        assert!(!on_disk(world.disks.dir.path(), &before), "after {polls} polls");
        assert_eq!(running.client.content("alice.user", next).await.body, b"the next one"[..]);
    }
    running.stop().await;
}

/// Cut before the store's commit: the rotation is dropped, and the recording is there.
#[tokio::test]
async fn a_cut_before_the_commit_deletes_nothing() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"still there").await;
    let rotation = running.repository.vault().begin_rotation().unwrap();
    assert_eq!(slots(&world).iter().filter(|slot| slot.iter().any(|byte| *byte != 0)).count(), 2);
    drop(rotation);
    running.stop().await;

    let running = world.start();
    wrapping_key(&world);
    assert_eq!(running.client.content("alice.user", id).await.body, b"still there"[..]);
    assert_eq!(delete(&running, id).await, StatusCode::NO_CONTENT);
    running.stop().await;
}

/// Cut behind the store's commit: the rotation is finished, and what the deletion had left to do is done.
#[tokio::test]
async fn a_cut_behind_the_commit_is_made_good_at_the_next_start() {
    let world = World::new();
    let running = world.start();
    let kept = running.recorded(b"kept").await;
    let id = running.recorded(&MARKER.repeat(30)).await;
    let (before, row_key) = (wrapping_key(&world), wrapped(&running, id).unwrap());
    let rotation = running.repository.vault().begin_rotation().unwrap();
    let during = rotation.clone();
    running.repository.store().try_write(move |tx| forget(tx, id, &during)).await.unwrap();
    drop(rotation);
    assert!(world.disks.chunk_dir(id).exists());
    running.stop().await;

    let running = world.start();
    assert!(!world.disks.chunk_dir(id).exists());
    assert!(!on_disk(world.disks.dir.path(), &before));
    assert!(matches!(running.repository.vault().unwrap(&row_key), Err(VaultError::Destroyed { .. })));
    assert_eq!(running.client.content("alice.user", kept).await.body, b"kept"[..]);
    running.stop().await;
}

/// A rotation that failed between its steps while the box runs on must not keep anyone from recording.
#[tokio::test]
async fn a_rotation_left_behind_is_settled_by_the_next_use() {
    let world = World::new();
    let running = world.start();
    let id = running.recorded(b"one").await;
    drop(running.repository.vault().begin_rotation().unwrap());
    assert_ne!(running.row(running.recorded(b"two").await).state, RecordingState::Recording);
    drop(running.repository.vault().begin_rotation().unwrap());
    assert_eq!(delete(&running, id).await, StatusCode::NO_CONTENT);
    let recorded = running.repository.store().read(|tx| tx.get(&META, GENERATION)).unwrap();
    assert_eq!(recorded, Some(running.repository.vault().generation().unwrap()));
    running.stop().await;
}
