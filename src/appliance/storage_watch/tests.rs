//! The service through its published value, on real directories.

use std::{fs, path::Path, time::Duration};

use lucid_kit::{Board, Handle, Spec, supervise, wire};
use lucid_ports::Storage;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;

const SPEC: Spec =
    Spec { name: StorageWatch::NAME, purpose: "test", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

struct Bench {
    storage: watch::Receiver<Storage>,
    _handle: Handle<StorageWatch>,
    _stop: tokio_util::sync::DropGuard,
}

fn start(config: Config) -> Bench {
    let (sender, storage) = watch::channel(Storage::Waiting { reason: "not looked yet".to_owned() });
    let (handle, wired) = wire::<StorageWatch>();
    let stop = CancellationToken::new();
    let deps = Deps { storage: sender };
    drop(supervise(SPEC, wired, config, deps, Vec::new(), &Board::default(), stop.clone()));
    Bench { storage, _handle: handle, _stop: stop.drop_guard() }
}

fn config(root: &Path) -> Config {
    Config { root: root.to_owned(), reserve_bytes: 1, absent: AbsentRoot::Wait, marker: None }
}

impl Bench {
    async fn until(&mut self, wanted: impl FnMut(&Storage) -> bool) -> Storage {
        let found = tokio::time::timeout(Duration::from_secs(60), self.storage.wait_for(wanted)).await;
        found.expect("the state came in time").unwrap().clone()
    }

    async fn until_waiting_for(&mut self, part: &str) {
        self.until(|storage| storage.waiting().is_some_and(|reason| reason.contains(part))).await;
    }

    async fn until_ready(&mut self) -> Storage {
        self.until(|storage| storage.waiting().is_none()).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_root_is_made_where_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    let mut bench = start(Config { absent: AbsentRoot::Create, ..config(&root) });
    let ready = bench.until_ready().await;
    assert!(matches!(ready, Storage::Ready { root: found, free_bytes: 1.., low: false } if found == root));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "the test file is removed");
}

#[tokio::test(start_paused = true)]
async fn a_root_that_comes_goes_and_is_replaced_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    let mut bench = start(config(&root));
    bench.until_waiting_for("connect the SSD").await;
    fs::create_dir(&root).unwrap();
    bench.until_ready().await;
    fs::rename(&root, folder.path().join("pulled")).unwrap();
    fs::create_dir(&root).unwrap();
    bench.until_waiting_for("was replaced").await;
    bench.until_ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_file_at_the_root_and_a_missing_marker_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("disk");
    fs::write(&root, "x").unwrap();
    let mut bench = start(Config { marker: Some("adopted".to_owned()), ..config(&root) });
    bench.until_waiting_for("is a file").await;
    fs::remove_file(&root).unwrap();
    fs::create_dir(&root).unwrap();
    bench.until_waiting_for("was not adopted").await;
    fs::write(root.join("adopted"), "").unwrap();
    bench.until_ready().await;
}

#[tokio::test(start_paused = true)]
async fn little_room_is_published_and_degrades_health() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = start(Config { reserve_bytes: u64::MAX / 2, ..config(folder.path()) });
    let storage = bench.until_ready().await;
    assert!(matches!(storage, Storage::Ready { low: true, .. }));
    let health = StorageWatch::health(&Status { storage: Some(storage), size_bytes: None });
    assert!(matches!(health, Health::Degraded { .. }));
}

#[test]
fn something_in_the_way_of_the_test_file_is_a_fault_of_writing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".lucid-write-test")).unwrap();
    let seen = probe::look(folder.path(), None, true);
    assert!(matches!(seen, Seen::Directory { writing: Some(Err(probe::WriteFault::Other(_))), .. }), "{seen:?}");
}
