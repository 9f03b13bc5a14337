//! The power goes at every sync of a run, and each time the store is opened again from what survived.

use super::Disk;
use crate::{Json, Options, Reader as _, Schema, Store, StoreError, Table, WriteTx};

static SCHEMA: Schema = Schema { name: "crash", version: 1, migrations: &[], readable_by_previous: true };

const NUMBERS: Table<u64, Vec<u8>> = Table::new("numbers");
const TWINS: Table<(u64, u64), Json<u64>> = Table::new("twins");
const COUNT: Table<u8, Json<u64>> = Table::new("count");

/// Writes per run, and how many rows stay: older ones are removed, so that pages are freed and used again.
const WRITES: u64 = 24;
const KEPT: u64 = 8;
const SEEDS: u64 = 6;

/// The bytes of row `index`: from a few to several pages, a function of the index.
fn content(index: u64) -> Vec<u8> {
    let length = (index * 997 % 9000 + 1) as usize;
    (0..length).map(|at| (at as u64 * 31 + index) as u8).collect()
}

/// One write: three tables that must always agree.
fn step(tx: &mut WriteTx<'_>, index: u64) -> Result<(), StoreError> {
    tx.put(&NUMBERS, &index, &content(index))?;
    tx.put(&TWINS, &(index, index * 2), &index)?;
    tx.put(&COUNT, &0, &(index + 1))?;
    if index >= KEPT {
        tx.remove(&NUMBERS, &(index - KEPT))?;
        tx.remove(&TWINS, &(index - KEPT, (index - KEPT) * 2))?;
    }
    Ok(())
}

/// Asserts that the store holds exactly the first `n` writes, and gives `n`.
fn count_exactly(store: &Store) -> u64 {
    store
        .read(|tx| {
            let count = tx.get(&COUNT, &0)?.unwrap_or(0);
            let first = count.saturating_sub(KEPT);
            let numbers: Vec<_> = (first..count).map(|index| (index, content(index))).collect();
            let twins: Vec<_> = (first..count).map(|index| ((index, index * 2), index)).collect();
            assert!(tx.range(&NUMBERS, .., 100)? == numbers, "rows differ after {count} writes");
            assert_eq!(tx.range(&TWINS, .., 100)?, twins);
            Ok::<_, StoreError>(count)
        })
        .unwrap()
}

fn open(disk: &Disk) -> Result<Store, StoreError> {
    Store::open_with_backend(disk.clone(), &SCHEMA, Options { migrate: true, cache_bytes: 64 * 1024 })
}

/// The image of an empty store.
fn empty_image() -> Vec<u8> {
    let disk = Disk::new(Vec::new(), 0);
    drop(open(&disk).unwrap());
    disk.image()
}

/// Runs until the power goes; gives the number of acknowledged writes.
fn run(disk: &Disk, from: u64) -> u64 {
    let Ok(store) = open(disk) else { return from };
    for index in from..WRITES {
        if store.write_blocking(move |tx| step(tx, index)).is_err() {
            assert!(store.failure().is_some(), "a failed commit must stop the store");
            return index;
        }
    }
    WRITES
}

#[test]
fn every_acknowledged_write_survives_a_cut_at_every_sync() {
    let image = empty_image();
    for seed in 0..SEEDS {
        let mut cut = 1;
        loop {
            let disk = Disk::new(image.clone(), seed * 1000 + cut).cut_at_sync(cut);
            let acknowledged = run(&disk, 0);
            if !disk.is_dead() {
                assert!(cut > WRITES, "each write must have been synced");
                break;
            }
            let store = open(&Disk::new(disk.image(), 0)).unwrap_or_else(|e| panic!("seed {seed} cut {cut}: {e}"));
            let found = count_exactly(&store);
            // The write that was under way may be there too, whole.
            assert!((acknowledged..=acknowledged + 1).contains(&found), "seed {seed} cut {cut}: {found}");
            store.check().unwrap();
            store.write_blocking(move |tx| step(tx, found)).unwrap();
            assert_eq!(count_exactly(&store), found + 1, "seed {seed} cut {cut}");
            cut += 1;
        }
    }
}

#[test]
fn cuts_in_a_row_during_opening_and_writing_lose_nothing() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut image, mut acknowledged) = (empty_image(), 0);
        for _ in 0..8 {
            let disk = Disk::new(image, rng.u64(..)).cut_at_sync(rng.u64(1..6));
            let before = acknowledged;
            acknowledged = run(&disk, before);
            image = disk.image();
            let store = open(&Disk::new(image.clone(), 0)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            let found = count_exactly(&store);
            assert!((acknowledged..=acknowledged + 1).contains(&found), "seed {seed}: {found} of {acknowledged}");
            acknowledged = found;
        }
    }
}

#[test]
fn acknowledged_writes_of_a_group_survive_whole() {
    let image = empty_image();
    for seed in 0..40 {
        let disk = Disk::new(image.clone(), seed);
        let store = open(&disk).unwrap();
        let _ = disk.clone().cut_at_sync(1 + seed % 9);
        let acknowledged: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|thread| {
                    scope.spawn({
                        let store = &store;
                        move || write_many(store, thread)
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        drop(store);
        let store = open(&Disk::new(disk.image(), 0)).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        store
            .read(|tx| {
                for key in &acknowledged {
                    assert!(tx.get(&NUMBERS, key)? == Some(content(*key)), "seed {seed}: {key} was acknowledged");
                }
                for (key, _) in tx.range(&NUMBERS, .., 10_000)? {
                    assert!(tx.contains(&TWINS, &(key, key))?, "seed {seed}: {key} is there by half");
                }
                assert_eq!(tx.len(&NUMBERS)?, tx.len(&TWINS)?, "seed {seed}");
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

/// Writes pairs of rows until the power goes; gives the acknowledged keys.
fn write_many(store: &Store, thread: u64) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for key in (0..20).map(|round| thread * 100 + round) {
        let written = store.write_blocking(move |tx| {
            tx.put(&NUMBERS, &key, &content(key))?;
            tx.put(&TWINS, &(key, key), &key)
        });
        match written {
            Ok(()) => acknowledged.push(key),
            Err(_) => break,
        }
    }
    acknowledged
}

#[test]
fn a_cut_during_a_migration_leaves_the_old_version_or_the_new_one() {
    static NEXT: Schema = Schema {
        name: "crash",
        version: 2,
        migrations: &[crate::Migration { from: 1, to: 2, run: |tx| tx.remove_range(&NUMBERS, ..).map(drop) }],
        readable_by_previous: false,
    };
    let disk = Disk::new(empty_image(), 0);
    assert_eq!(run(&disk, 0), WRITES);
    let image = disk.image();
    let mut finished = false;
    for cut in 1..40 {
        let disk = Disk::new(image.clone(), cut).cut_at_sync(cut);
        let _ = Store::open_with_backend(disk.clone(), &NEXT, Options::default());
        finished |= !disk.is_dead();
        let careful = Options { migrate: false, ..Options::default() };
        let store = Store::open_with_backend(Disk::new(disk.image(), 0), &NEXT, careful).unwrap();
        let rows = store.read(|tx| tx.len(&NUMBERS)).unwrap();
        assert_eq!(rows, if store.schema_version() == 2 { 0 } else { KEPT }, "cut {cut}");
    }
    assert!(finished);
}

#[test]
fn a_full_disk_is_said_to_every_waiter_and_stops_the_store() {
    let disk = Disk::new(empty_image(), 0);
    let store = open(&disk).unwrap();
    store.write_blocking(|tx| step(tx, 0)).unwrap();
    disk.limit(disk.image().len() as u64);
    let too_much = |tx: &mut WriteTx<'_>| tx.put(&NUMBERS, &7, &vec![7; 12 * 1024 * 1024]);
    let error = store.write_blocking(too_much).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    let later = store.write_blocking(|tx| step(tx, 1)).unwrap_err();
    assert!(matches!(later, StoreError::Failed { .. }) && later.is_disk_full(), "{later:?}");
    drop(store);
    disk.limit(u64::MAX);
    let store = open(&disk).unwrap();
    assert_eq!(count_exactly(&store), 1);
    store.write_blocking(|tx| step(tx, 1)).unwrap();
}

#[test]
fn a_store_that_failed_shows_nothing_that_was_not_acknowledged() {
    for cut in 1..6 {
        let disk = Disk::new(empty_image(), cut);
        let store = open(&disk).unwrap();
        store.write_blocking(|tx| step(tx, 0)).unwrap();
        let _ = disk.clone().cut_at_sync(1);
        assert!(store.write_blocking(|tx| step(tx, 1)).is_err());
        if let Ok(count) = store.read(|tx| tx.get(&COUNT, &0)) {
            assert_eq!(count, Some(1));
        }
    }
}
