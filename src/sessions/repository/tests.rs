//! Rows: the order of chunks, the states, lists, and looking up by offset.

use lucid_ports::{Identity, Recording, Role};
use lucid_proof::time::{TimeTrust, Timestamp};
use lucid_store::{Schema, StoreError};

use super::{reading::UNFINISHED_MAX, states::OPEN_PER_ACCOUNT_MAX, *};
use crate::tests::{Disks, NOON_MS, account, identity};

fn alice() -> Identity {
    identity("alice", Role::User)
}

fn noon(offset_ms: u64) -> Timestamp {
    Timestamp { unix_ms: NOON_MS + offset_ms, trust: TimeTrust::Synchronized }
}

fn open(disks: &Disks) -> Arc<Repository> {
    Arc::new(disks.open().unwrap())
}

fn chunk(index: u64, bytes: u64) -> NewChunk {
    NewChunk { index, bytes, stored_bytes: bytes + 40, leaf: [index as u8; 32] }
}

#[tokio::test]
async fn chunks_are_counted_in_their_order_only() {
    let disks = Disks::new();
    let repository = open(&disks);
    let id = repository.create(&alice(), "", noon(0)).await.unwrap();
    repository.count_chunk(id, chunk(0, 10), noon(1)).await.unwrap();
    for (index, what) in [(0, "again"), (2, "one left out"), (u64::MAX, "far off")] {
        let refused = repository.count_chunk(id, chunk(index, 10), noon(2)).await.unwrap_err();
        assert!(matches!(refused, RepositoryError::OutOfOrder { expected: 1, .. }), "{what}: {refused}");
    }
    let recording = repository.count_chunk(id, chunk(1, 5), noon(3)).await.unwrap();
    assert_eq!((recording.chunks, recording.durable_bytes, recording.stored_bytes), (2, 15, 95));
}

#[tokio::test]
async fn each_state_has_one_way_on() {
    let disks = Disks::new();
    let repository = open(&disks);
    let id = repository.create(&alice(), "", noon(0)).await.unwrap();
    let wrong = |result: Result<Recording>| matches!(result.unwrap_err(), RepositoryError::WrongState { .. });
    assert!(wrong(repository.sealed(id, [1; 32], String::new()).await));
    assert!(wrong(repository.anchored(id, 5).await));

    let ended = repository.end(id, noon(7)).await.unwrap();
    assert_eq!((ended.state, ended.ended_ms), (RecordingState::Sealing, Some(NOON_MS + 7)));
    assert_eq!(repository.end(id, noon(9)).await.unwrap(), ended, "twice is once");
    assert!(wrong(repository.count_chunk(id, chunk(0, 1), noon(10)).await));
    assert!(wrong(repository.anchored(id, 5).await));

    let sealed = repository.sealed(id, [1; 32], "note".to_owned()).await.unwrap();
    assert_eq!(repository.sealed(id, [1; 32], "note".to_owned()).await.unwrap(), sealed);
    assert_eq!(repository.unfinished(None).unwrap(), [id]);
    let anchored = repository.anchored(id, 5).await.unwrap();
    assert_eq!((anchored.state, anchored.block_height), (RecordingState::Anchored, Some(5)));
    assert_eq!(repository.anchored(id, 5).await.unwrap(), anchored);
    assert!(repository.unfinished(None).unwrap().is_empty());
    assert!(wrong(repository.sealed(id, [2; 32], "other".to_owned()).await));
}

#[tokio::test]
async fn one_account_does_not_keep_the_others_from_recording() {
    let disks = Disks::new();
    let repository = open(&disks);
    let mut own = Vec::new();
    for _ in 0..OPEN_PER_ACCOUNT_MAX {
        own.push(repository.create(&alice(), "", noon(0)).await.unwrap());
    }
    assert!(matches!(repository.create(&alice(), "", noon(0)).await, Err(RepositoryError::TooManyOpen)));
    repository.create(&identity("bob", Role::User), "", noon(0)).await.unwrap();
    repository.end(own[0], noon(1)).await.unwrap();
    repository.create(&alice(), "", noon(2)).await.unwrap();
    assert_eq!(repository.open_recordings().unwrap().len(), OPEN_PER_ACCOUNT_MAX + 1);
}

#[tokio::test]
async fn every_complete_recording_is_reached_page_by_page() {
    let disks = Disks::new();
    let repository = open(&disks);
    let mut all = Vec::new();
    for _ in 0..UNFINISHED_MAX + 3 {
        let id = repository.create(&alice(), "", noon(0)).await.unwrap();
        repository.end(id, noon(1)).await.unwrap();
        all.push(id);
    }
    let first = repository.unfinished(None).unwrap();
    let rest = repository.unfinished(first.last().copied()).unwrap();
    assert_eq!([first, rest].concat(), all);
    assert!(repository.unfinished(all.last().copied()).unwrap().is_empty());
    assert_eq!(repository.unfinished_count().unwrap(), all.len() as u64);
}

#[tokio::test]
async fn the_end_is_not_before_the_last_byte_and_trust_is_the_worst() {
    let disks = Disks::new();
    let repository = open(&disks);
    let id = repository.create(&alice(), "", noon(100)).await.unwrap();
    let held = Timestamp { unix_ms: NOON_MS, trust: TimeTrust::Held };
    repository.count_chunk(id, chunk(0, 1), noon(900)).await.unwrap();
    repository.count_chunk(id, chunk(1, 1), held).await.unwrap();
    let ended = repository.end(id, noon(50)).await.unwrap();
    assert_eq!(ended.ended_ms, Some(NOON_MS + 900));
    assert_eq!(repository.row(id).unwrap().trust(), TimeTrust::Held);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let disks = Disks::new();
    let repository = open(&disks);
    let id = SessionId::generate();
    let refusals = [
        repository.get(id).unwrap_err(),
        repository.key(id).unwrap_err(),
        repository.end(id, noon(0)).await.unwrap_err(),
        repository.count_chunk(id, chunk(0, 1), noon(0)).await.unwrap_err(),
        repository.anchored(id, 1).await.unwrap_err(),
        repository.shred(id).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, RepositoryError::NotFound(found) if found == id), "{refusal}");
    }
    assert!(matches!(repository.get_chunk(id, 0).await.unwrap_err(), RepositoryError::ChunkMissing { .. }));
}

#[tokio::test]
async fn the_chunk_of_an_offset_is_found() {
    let disks = Disks::new();
    let repository = open(&disks);
    let id = repository.create(&alice(), "", noon(0)).await.unwrap();
    let sizes = [10, 1, 1, 7, 100, 3, 3];
    for (index, bytes) in (0..).zip(sizes) {
        repository.count_chunk(id, chunk(index, bytes), noon(0)).await.unwrap();
    }
    let expected = (0_u64..).zip(sizes).flat_map(|(index, bytes)| std::iter::repeat_n(index, bytes as usize));
    for (offset, index) in (0..).zip(expected) {
        assert_eq!(repository.chunk_at(id, 7, offset).unwrap(), Some(index), "offset {offset}");
    }
    for beyond in [125, 126, u64::MAX] {
        assert_eq!(repository.chunk_at(id, 7, beyond).unwrap(), None);
    }
    assert_eq!(repository.chunk_at(id, 0, 0).unwrap(), None);
    let mut leaves = Vec::new();
    assert_eq!(repository.leaves(id, |leaf| leaves.push(leaf[0])).unwrap(), 7);
    assert_eq!(leaves, [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn lists_are_newest_first_by_owner_and_in_pages() {
    let disks = Disks::new();
    let repository = open(&disks);
    let mut ids = Vec::new();
    for owner in ["alice", "bob", "alice", "al", "alice", "alice+2", "alice"] {
        ids.push((owner, repository.create(&identity(owner, Role::User), "", noon(0)).await.unwrap()));
    }
    let newest_first = |owner: Option<&str>| -> Vec<SessionId> {
        ids.iter().rev().filter(|(of, _)| owner.is_none_or(|owner| owner == *of)).map(|(_, id)| *id).collect()
    };
    for owner in [None, Some("alice"), Some("bob"), Some("al"), Some("alice+2"), Some("nobody"), Some("")] {
        let expected = newest_first(owner);
        for limit in [1, 2, 3, 100, usize::MAX] {
            let (mut before, mut listed) = (None, Vec::new());
            loop {
                let page = repository.list(owner.map(account), before, limit).unwrap();
                let Some(last) = page.last() else { break };
                assert!(page.len() <= limit);
                before = Some(last.id);
                listed.extend(page.iter().map(|recording| recording.id));
            }
            assert_eq!(listed, expected, "{owner:?} by {limit}");
        }
    }
    assert_eq!(repository.count().unwrap(), 7);
}

/// A deletion in the middle of paging leaves no gap and shows nothing twice.
#[tokio::test]
async fn paging_goes_on_behind_a_deleted_recording() {
    let disks = Disks::new();
    let repository = open(&disks);
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(repository.create(&alice(), "", noon(0)).await.unwrap());
    }
    repository.end(ids[2], noon(1)).await.unwrap();
    repository.shred(ids[2]).await.unwrap();
    let page = repository.list(Some(account("alice")), Some(ids[2]), 10).unwrap();
    assert_eq!(page.iter().map(|recording| recording.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
}

#[tokio::test]
async fn one_repository_at_a_time() {
    let disks = Disks::new();
    let repository = open(&disks);
    assert!(matches!(disks.open().err(), Some(RepositoryError::Store(StoreError::AlreadyOpen { .. }))));
    drop(repository);
    assert!(disks.open().is_ok());
}

#[tokio::test]
async fn a_lost_store_is_not_begun_anew() {
    let disks = Disks::new();
    let repository = open(&disks);
    repository.create(&alice(), "", noon(0)).await.unwrap();
    drop(repository);
    std::fs::remove_file(disks.data().join("session-storage/session-storage.redb")).unwrap();
    assert!(matches!(disks.open().err(), Some(RepositoryError::Store(StoreError::Missing { .. }))));
}

/// A file from before owners were ids: nothing of it is guessed, and nothing is changed.
#[tokio::test]
async fn recordings_of_a_former_schema_are_refused_and_left_alone() {
    static FORMER: Schema =
        Schema { name: SCHEMA.name, version: SCHEMA.version - 1, migrations: &[], readable_by_previous: true };
    let disks = Disks::new();
    let path = disks.data().join("session-storage/session-storage.redb");
    let former = || Store::open(&path, &FORMER, Options::default());
    drop(former().unwrap());
    let refused = disks.open().err();
    assert!(matches!(refused, Some(RepositoryError::Store(StoreError::NoMigration { from: 1, to: 2, .. }))));
    drop(former().unwrap());
}
