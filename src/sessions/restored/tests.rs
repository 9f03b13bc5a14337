use lucid_ports::{Role, SessionId};
use lucid_proof::time::{TimeTrust, Timestamp};

use super::*;
use crate::{
    Repository,
    tests::{Disks, NOON_MS, identity},
};

async fn anchored(repository: &Repository, height: u64) -> SessionId {
    let now = Timestamp { unix_ms: NOON_MS, trust: TimeTrust::Synchronized };
    let id = repository.create(&identity("alice", Role::User), "", now).await.unwrap();
    repository.end(id, now).await.unwrap();
    repository.sealed(id, [1; 32], "note".to_owned()).await.unwrap();
    repository.anchored(id, height).await.unwrap();
    id
}

async fn unanchor(repository: &Repository, newest: Option<u64>) -> usize {
    let store = repository.store().clone();
    tokio::task::spawn_blocking(move || unanchor_above(&store, newest).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_the_chain_does_not_hold_waits_for_its_anchor_again() {
    let disks = Disks::new();
    let repository = disks.open().unwrap();
    let (below, at, above) =
        (anchored(&repository, 6).await, anchored(&repository, 7).await, anchored(&repository, 8).await);
    assert_eq!(unanchor(&repository, Some(7)).await, 1);
    for (id, state, height) in [
        (below, RecordingState::Anchored, Some(6)),
        (at, RecordingState::Anchored, Some(7)),
        (above, RecordingState::Anchoring, None),
    ] {
        let recording = repository.get(id).unwrap();
        assert_eq!((recording.state, recording.block_height), (state, height));
    }
    assert_eq!(repository.unfinished(None).unwrap(), [above]);
    repository.anchored(above, 9).await.unwrap();
    assert_eq!(unanchor(&repository, Some(9)).await, 0);
    assert_eq!(unanchor(&repository, None).await, 3, "without a chain nothing is anchored");
}
