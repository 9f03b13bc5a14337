use std::fs;
use std::path::{Path, PathBuf};

use crate::tests::{SCHEMA, rig};
use crate::{Json, Migration, Options, Reader as _, Schema, Store, StoreError, Table};

const NUMBERS: Table<u64, Json<u64>> = Table::new("numbers");
const CAREFUL: Options = Options { migrate: false, cache_bytes: 1024 * 1024 };

fn double(tx: &mut crate::WriteTx<'_>) -> Result<(), StoreError> {
    let rows = tx.range(&NUMBERS, .., 1000)?;
    rows.iter().try_for_each(|(key, value)| tx.put(&NUMBERS, key, &(value * 2)))
}

static ONE: Schema = Schema { name: "versions", version: 1, migrations: &[], readable_by_previous: false };
static TWO: Schema = Schema {
    name: "versions",
    version: 2,
    migrations: &[Migration { from: 1, to: 2, run: double }],
    readable_by_previous: false,
};
static THREE: Schema = Schema {
    name: "versions",
    version: 3,
    migrations: &[Migration { from: 2, to: 3, run: double }],
    readable_by_previous: true,
};

/// Opens, and gives the version and the value of row 1.
fn look(path: &Path, schema: &'static Schema, options: Options) -> Result<(u32, Option<u64>), StoreError> {
    let store = Store::open(path, schema, options)?;
    Ok((store.schema_version(), store.read(|tx| tx.get(&NUMBERS, &1))?))
}

/// A store of version 1 with one row.
fn version_one() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("versions.redb");
    let store = Store::open(&path, &ONE, Options::default()).unwrap();
    store.write_blocking(|tx| tx.put(&NUMBERS, &1, &10)).unwrap();
    (dir, path)
}

#[test]
fn a_migration_waits_for_permission_and_runs_once() {
    let (_dir, path) = version_one();
    assert_eq!(look(&path, &TWO, CAREFUL).unwrap(), (1, Some(10)));
    assert_eq!(look(&path, &ONE, CAREFUL).unwrap(), (1, Some(10)), "the previous release still reads it");
    assert_eq!(look(&path, &TWO, Options::default()).unwrap(), (2, Some(20)));
    assert_eq!(look(&path, &TWO, Options::default()).unwrap(), (2, Some(20)));
}

#[test]
fn a_migration_that_the_previous_release_reads_needs_no_permission() {
    let (_dir, path) = version_one();
    look(&path, &TWO, Options::default()).unwrap();
    assert_eq!(look(&path, &THREE, CAREFUL).unwrap(), (3, Some(40)));
    assert_eq!(look(&path, &TWO, CAREFUL).unwrap(), (3, Some(40)), "after a roll-back");
}

#[test]
fn versions_out_of_reach_are_refused_and_left_alone() {
    let (_dir, path) = version_one();
    let old = look(&path, &THREE, Options::default()).unwrap_err();
    assert!(matches!(old, StoreError::TooOld { found: 1, oldest: 2, .. }), "{old:?}");
    look(&path, &TWO, Options::default()).unwrap();
    let new = look(&path, &ONE, Options::default()).unwrap_err();
    assert!(matches!(new, StoreError::TooNew { found: 2, newest: 1, .. }), "{new:?}");
    let other = look(&path, &SCHEMA, Options::default()).unwrap_err();
    assert!(matches!(other, StoreError::WrongSchema { .. }), "{other:?}");
    assert_eq!(look(&path, &TWO, CAREFUL).unwrap(), (2, Some(20)));
}

#[test]
fn a_failed_or_missing_migration_changes_nothing() {
    static FAILING: Schema = Schema {
        name: "versions",
        version: 2,
        migrations: &[Migration {
            from: 1,
            to: 2,
            run: |tx| {
                double(tx)?;
                tx.get(&Table::<u64, Json<String>>::new("numbers"), &1).map(drop)
            },
        }],
        readable_by_previous: false,
    };
    static WITHOUT: Schema = Schema { name: "versions", version: 2, migrations: &[], readable_by_previous: false };
    let (_dir, path) = version_one();
    let failed = look(&path, &FAILING, Options::default()).unwrap_err();
    assert!(matches!(failed, StoreError::BadValue { .. }), "{failed:?}");
    for options in [Options::default(), CAREFUL] {
        let missing = look(&path, &WITHOUT, options).unwrap_err();
        assert!(matches!(missing, StoreError::NoMigration { from: 1, to: 2, .. }), "{missing:?}");
    }
    assert_eq!(look(&path, &ONE, CAREFUL).unwrap(), (1, Some(10)));
}

#[test]
fn a_lost_store_is_never_an_empty_one() {
    let (dir, path) = version_one();
    fs::remove_file(&path).unwrap();
    let lost = look(&path, &ONE, Options::default()).unwrap_err();
    assert!(matches!(lost, StoreError::Missing { .. }), "{lost:?}");
    assert!(lost.to_string().contains("delete the marker"), "{lost}");
    assert!(!path.exists());
    fs::remove_file(dir.path().join("versions.redb.id")).unwrap();
    assert_eq!(look(&path, &ONE, Options::default()).unwrap(), (1, None), "the owner's decision");
}

#[test]
fn what_a_crash_left_while_making_a_store_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("versions.redb");
    fs::write(dir.path().join("versions.redb.new"), "half").unwrap();
    look(&path, &ONE, Options::default()).unwrap();
    assert!(!dir.path().join("versions.redb.new").exists());
    fs::remove_file(dir.path().join("versions.redb.id")).unwrap();
    look(&path, &ONE, Options::default()).unwrap();
    assert!(dir.path().join("versions.redb.id").exists(), "the marker is made again");
}

#[test]
fn a_path_that_can_not_be_a_store_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = look(&dir.path().join("absent/x.redb"), &ONE, Options::default()).unwrap_err();
    assert!(absent.to_string().contains("absent"), "{absent}");
    let directory = look(dir.path(), &ONE, Options::default()).unwrap_err();
    assert!(matches!(directory, StoreError::Io { .. }), "{directory:?}");
}

#[test]
fn files_that_are_no_store_are_refused_and_kept() {
    let (_dir, path) = version_one();
    let whole = fs::read(&path).unwrap();
    let garbage: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(7919) >> 3) as u8).collect();
    let foreign = [&whole[..9], &garbage].concat();
    for content in
        [vec![], b"text".to_vec(), garbage, foreign, whole[..whole.len() / 2].to_vec(), whole[..5000].to_vec()]
    {
        fs::write(&path, &content).unwrap();
        let refused = look(&path, &ONE, Options::default()).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{} bytes: {refused:?}", content.len());
        assert!(fs::read(&path).unwrap().len() >= content.len(), "never truncated");
    }
}

#[test]
fn a_garbled_store_is_refused_or_sound() {
    let rig = rig();
    rig.store.write_blocking(|tx| (0..2000).try_for_each(|key| tx.put(&NUMBERS, &key, &key))).unwrap();
    let path = rig.path();
    let copy = path.with_extension("copy");
    drop(rig.store);
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut garbled = whole.clone();
        let (at, length) = (rng.usize(..whole.len()), rng.usize(1..2000));
        let end = (at + length).min(whole.len());
        garbled[at..end].iter_mut().for_each(|byte| *byte = rng.u8(..));
        fs::write(&copy, garbled).unwrap();
        let rows = Store::open(&copy, &SCHEMA, CAREFUL).and_then(|store| store.read(|tx| tx.range(&NUMBERS, .., 5000)));
        match rows {
            Ok(rows) => assert_eq!(rows, (0..2000).map(|key| (key, key)).collect::<Vec<_>>(), "seed {seed}"),
            Err(StoreError::Corrupt { .. }) => refused += 1,
            Err(error) => panic!("seed {seed}: {error:?}"),
        }
    }
    assert!(refused > 0);
}
