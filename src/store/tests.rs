//! The test bench of this crate, and tests of the handle itself.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::{Json, Options, Reader as _, Schema, Store, StoreError, Table};

pub(crate) static SCHEMA: Schema = Schema { name: "test", version: 1, migrations: &[], readable_by_previous: true };

const NUMBERS: Table<u64, Json<u64>> = Table::new("numbers");

/// A store in a directory of its own.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
}

/// A new store.
pub(crate) fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("test.redb"), &SCHEMA, Options::default()).unwrap();
    Rig { store, dir }
}

impl Rig {
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("test.redb")
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopened(&self) -> Store {
        let path = self.path();
        let copy = path.with_extension("copy");
        // The first handle still holds its lock, so what is on the disk is read from a copy.
        std::fs::copy(&path, &copy).unwrap();
        Store::open(&copy, &SCHEMA, Options::default()).unwrap()
    }
}

#[test]
fn the_last_handle_frees_the_file_at_once() {
    let Rig { store, dir } = rig();
    let path = dir.path().join("test.redb");
    let second = Store::open(&path, &SCHEMA, Options::default());
    assert!(matches!(second, Err(StoreError::AlreadyOpen { .. })), "{second:?}");
    drop(store);
    for _ in 0..20 {
        let store = Store::open(&path, &SCHEMA, Options::default()).unwrap();
        store.write_blocking(|tx| tx.put(&NUMBERS, &1, &1)).unwrap();
    }
}

#[test]
fn a_check_on_demand_passes_between_reads_and_writes() {
    let rig = rig();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|n| rig.store.write_blocking(move |tx| tx.put(&NUMBERS, &n, &n)).unwrap()));
        scope.spawn(|| (0..50).for_each(|_| assert!(rig.store.read(|tx| tx.len(&NUMBERS)).unwrap() <= 50)));
        scope.spawn(|| (0..5).for_each(|_| rig.store.check().unwrap()));
    });
    assert_eq!(rig.store.read(|tx| tx.len(&NUMBERS)).unwrap(), 50);
}

#[test]
fn a_closure_may_own_the_last_handle() {
    let Rig { store, dir } = rig();
    let path = dir.path().join("test.redb");
    let owned = store.clone();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let waiter = std::thread::spawn(move || {
        let inside = owned.clone();
        owned.write_blocking(move |tx| {
            held.lock().unwrap().recv().unwrap();
            assert_eq!(inside.schema_version(), 1);
            tx.put(&NUMBERS, &1, &1)
        })
    });
    drop(store);
    release.send(()).unwrap();
    waiter.join().unwrap().unwrap();
    assert!(path.exists());
}
