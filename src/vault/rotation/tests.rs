use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lucid_store::{Json, Options, Reader as _, Schema, Store, StoreError, Table};

use crate::disk::cut;
use crate::slots::{HEADER_BYTES, SLOT_BYTES};
use crate::tests::{Disks, files};
use crate::{Rotation, SessionKey, Vault, VaultError, WrappedKey};

static SCHEMA: Schema = Schema { name: "sessions", version: 1, migrations: &[], readable_by_previous: true };
const SESSIONS: Table<String, Json<WrappedKey>> = Table::new("sessions");
const GENERATION: Table<u8, Json<u64>> = Table::new("generation");

/// Three recordings; `b` is the one that gets shredded.
struct Rig {
    disks: Disks,
    vault: Vault,
    store: Store,
    keys: Vec<(&'static str, SessionKey)>,
}

fn rig() -> Rig {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let store = open_store(&disks);
    let mut keys = Vec::new();
    for id in ["a", "b", "c"] {
        let (key, wrapped) = vault.new_session_key().unwrap();
        store.write_blocking(move |tx| tx.put(&SESSIONS, id, &wrapped)).unwrap();
        keys.push((id, key));
    }
    Rig { disks, vault, store, keys }
}

fn open_store(disks: &Disks) -> Store {
    Store::open(&disks.data().join("sessions.redb"), &SCHEMA, Options::default()).unwrap()
}

/// The store's transaction in the middle: re-wraps what survives, removes the victim, records the generation.
fn commit(store: &Store, rotation: &Rotation, victim: &'static str) {
    let rotation = rotation.clone();
    store
        .write_blocking(move |tx| {
            tx.remove(&SESSIONS, victim)?;
            for (id, wrapped) in tx.range(&SESSIONS, .., 1000)? {
                tx.put(&SESSIONS, &id, &rotation.rewrap(&wrapped).expect("it was wrapped by the old key"))?;
            }
            tx.put(&GENERATION, &0, &rotation.generation())
        })
        .unwrap();
}

fn committed(store: &Store) -> Option<u64> {
    store.read(|tx| tx.get(&GENERATION, &0)).unwrap()
}

fn row(store: &Store, id: &str) -> Option<WrappedKey> {
    store.read(|tx| tx.get(&SESSIONS, id)).unwrap()
}

/// Asserts that the rows that are there open to the keys that they had; gives their number.
fn all_open(vault: &Vault, store: &Store, keys: &[(&'static str, SessionKey)]) -> usize {
    let there = keys.iter().filter_map(|(id, key)| row(store, id).map(|wrapped| (key, wrapped)));
    there.inspect(|(key, wrapped)| assert_eq!(vault.unwrap(wrapped).unwrap().expose(), key.expose())).count()
}

/// The files that contain `needle`.
fn found_in(dir: &Path, needle: &[u8]) -> Vec<String> {
    let holds = |content: &[u8]| content.windows(needle.len()).any(|window| window == needle);
    let hits = files(dir).into_iter().filter(|(_, content)| holds(content));
    hits.map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn shredding_destroys_one_recording_and_keeps_the_others() {
    let Rig { disks, vault, store, keys } = rig();
    let victim = row(&store, "b").unwrap();
    let rotation = vault.begin_rotation().unwrap();
    assert_eq!(rotation.generation(), 2);
    commit(&store, &rotation, "b");
    rotation.finish().unwrap();
    rotation.finish().unwrap();
    assert_eq!(all_open(&vault, &store, &keys), 2);
    let destroyed = vault.unwrap(&victim).unwrap_err();
    assert!(matches!(destroyed, VaultError::Destroyed { generation: 1 }), "{destroyed:?}");
    drop((vault, rotation));
    let vault = disks.open().unwrap();
    vault.settle(committed(&store)).unwrap();
    assert_eq!(all_open(&vault, &store, &keys), 2);
    assert!(matches!(vault.unwrap(&victim), Err(VaultError::Destroyed { .. })));
    assert_eq!(vault.generation().unwrap(), 2);
}

#[test]
fn the_destroyed_key_is_in_no_file_and_its_blocks_were_overwritten() {
    let Rig { disks, vault, store, .. } = rig();
    let victim = row(&store, "b").unwrap();
    let old = vault.inner.ring().current().unwrap().key.clone();
    let slot = fs::read(disks.file("wrapping-a")).unwrap();
    let blob = &slot[HEADER_BYTES..HEADER_BYTES + 72];
    let inode = fs::metadata(disks.file("wrapping-a")).unwrap().ino();
    assert_eq!(found_in(disks.dir.path(), blob), ["wrapping-a"], "the search finds it while it is there");
    let rotation = vault.begin_rotation().unwrap();
    commit(&store, &rotation, "b");
    assert_eq!(found_in(disks.dir.path(), blob), ["wrapping-a"]);
    rotation.finish().unwrap();
    drop(store);
    assert!(found_in(disks.dir.path(), blob).is_empty());
    assert!(found_in(disks.dir.path(), &slot[16..40]).is_empty(), "not even its nonce");
    assert!(found_in(disks.dir.path(), old.bytes()).is_empty());
    assert_eq!(fs::read(disks.file("wrapping-a")).unwrap(), [0; SLOT_BYTES]);
    assert_eq!(fs::metadata(disks.file("wrapping-a")).unwrap().ino(), inode, "overwritten, not replaced");
    // A thief with a copy of the row has the wrapped key, and every key that is left.
    for (_, content) in files(disks.dir.path()) {
        for candidate in content.chunks_exact(32).filter_map(crate::secret::Secret::from_slice) {
            let wrapping = crate::slots::WrappingKey { generation: 1, key: candidate };
            assert!(victim.open(&wrapping).is_err());
        }
    }
}

#[test]
fn slots_take_turns_over_many_rotations() {
    let Rig { disks, mut vault, store, keys } = rig();
    for generation in 2..9 {
        let rotation = vault.begin_rotation().unwrap();
        assert_eq!(rotation.generation(), generation);
        commit(&store, &rotation, "none");
        rotation.finish().unwrap();
        assert_eq!(all_open(&vault, &store, &keys), 3);
        let empty = ["wrapping-a", "wrapping-b"].map(|name| fs::read(disks.file(name)).unwrap() == [0; SLOT_BYTES]);
        assert_eq!(empty.iter().filter(|empty| **empty).count(), 1);
        drop(vault);
        vault = disks.open().unwrap();
        vault.settle(committed(&store)).unwrap();
    }
}

/// One whole shredding, which a cut may end early. The store's transaction itself is whole or not at all.
fn shred(vault: &Vault, store: &Store, with_commit: bool) -> Result<(), VaultError> {
    let rotation = vault.begin_rotation()?;
    if !with_commit {
        return Ok(());
    }
    commit(store, &rotation, "b");
    rotation.finish()
}

#[test]
fn a_cut_at_each_step_ends_before_or_after_and_never_between() {
    let mut outcomes = Vec::new();
    for torn_bytes in [0, 1, 8, 15, 16, 40, 87, 88, 512, SLOT_BYTES] {
        for (steps, with_commit) in [(0, true), (1, false), (1, true), (2, true)] {
            let Rig { disks, vault, store, keys } = rig();
            let victim = row(&store, "b").unwrap();
            cut::after(steps, torn_bytes);
            let result = shred(&vault, &store, with_commit);
            cut::never();
            assert_eq!(result.is_ok(), steps == 2 || !with_commit);
            drop((vault, store));
            let (vault, store) = (disks.open().unwrap(), open_store(&disks));
            vault.settle(committed(&store)).unwrap();
            let shredded = committed(&store).is_some();
            assert_eq!(all_open(&vault, &store, &keys), if shredded { 2 } else { 3 }, "{steps} {torn_bytes}");
            assert_eq!(vault.unwrap(&victim).is_err(), shredded, "{steps} {torn_bytes}");
            outcomes.push(shredded);
            shred(&vault, &store, true).unwrap();
            assert_eq!(all_open(&vault, &store, &keys), 2);
            assert!(vault.unwrap(&victim).is_err());
        }
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn a_cut_while_settling_is_settled_by_the_next_start() {
    for torn_bytes in [0, 1, 16, 50, 88, SLOT_BYTES] {
        for with_commit in [false, true] {
            let Rig { disks, vault, store, keys } = rig();
            cut::after(1, 0);
            let _ = shred(&vault, &store, with_commit);
            cut::after(0, torn_bytes);
            let vault = disks.open().unwrap();
            vault.settle(committed(&store)).unwrap_err();
            cut::never();
            let vault = disks.open().unwrap();
            vault.settle(committed(&store)).unwrap();
            assert_eq!(all_open(&vault, &store, &keys), if with_commit { 2 } else { 3 });
            vault.new_session_key().unwrap();
        }
    }
}

#[test]
fn during_a_rotation_no_key_is_made_and_none_is_lost() {
    let Rig { disks, vault, store, keys } = rig();
    let rotation = vault.begin_rotation().unwrap();
    let pending = vault.new_session_key().err().unwrap();
    assert!(matches!(pending, VaultError::RotationPending { from: 1, to: 2 }), "{pending:?}");
    assert!(matches!(vault.begin_rotation(), Err(VaultError::RotationPending { .. })));
    assert_eq!(all_open(&vault, &store, &keys), 3);
    commit(&store, &rotation, "none");
    assert_eq!(all_open(&vault, &store, &keys), 3, "old and new rows open until the end");
    let unsettled = disks.open().unwrap();
    assert!(matches!(unsettled.generation(), Err(VaultError::RotationPending { .. })));
    rotation.finish().unwrap();
    vault.new_session_key().unwrap();
}

#[test]
fn an_abandoned_rotation_leaves_the_old_key_in_force() {
    let Rig { disks: _disks, vault, store, keys } = rig();
    let rotation = vault.begin_rotation().unwrap();
    rotation.abandon().unwrap();
    assert_eq!(vault.generation().unwrap(), 1);
    assert_eq!(all_open(&vault, &store, &keys), 3);
    assert!(matches!(rotation.finish(), Err(VaultError::GenerationLost { committed: 2, .. })), "too late");
    assert_eq!(all_open(&vault, &store, &keys), 3);
}

#[test]
fn rewrapping_its_own_result_changes_nothing_and_strangers_are_refused() {
    let Rig { disks: _disks, vault, store, .. } = rig();
    let rotation = vault.begin_rotation().unwrap();
    let new = rotation.rewrap(&row(&store, "a").unwrap()).unwrap();
    assert_eq!(rotation.rewrap(&new).unwrap(), new);
    for generation in [0, 3, u64::MAX] {
        let stranger = WrappedKey { generation, ..new.clone() };
        assert!(matches!(rotation.rewrap(&stranger), Err(VaultError::Destroyed { .. })));
    }
    let relabelled = WrappedKey { generation: 1, ..new };
    assert!(matches!(rotation.rewrap(&relabelled), Err(VaultError::BadWrappedKey { generation: 1 })));
}

#[test]
fn a_store_and_keys_of_different_backups_are_told_and_nothing_is_destroyed() {
    let Rig { disks, vault, .. } = rig();
    let before = files(&disks.data().join("keys"));
    let lost = vault.settle(Some(7)).unwrap_err();
    assert!(matches!(lost, VaultError::GenerationLost { committed: 7, .. }), "{lost:?}");
    assert_eq!(files(&disks.data().join("keys")), before);
    vault.settle(Some(1)).unwrap();
    vault.settle(None).unwrap();
}

#[test]
fn a_failed_store_transaction_is_settled_by_what_the_store_then_says() {
    let Rig { disks, vault, store, keys } = rig();
    let rotation = vault.begin_rotation().unwrap();
    let failed = store.write_blocking(|tx| {
        tx.put(&GENERATION, &0, &2)?;
        Err::<(), _>(StoreError::BadSnapshot { detail: "any error".to_owned() })
    });
    assert!(failed.is_err());
    vault.settle(committed(&store)).unwrap();
    assert_eq!(vault.generation().unwrap(), 1);
    drop(rotation);
    assert_eq!(all_open(&vault, &store, &keys), 3);
    assert_eq!(fs::read(disks.file("wrapping-b")).unwrap(), [0; SLOT_BYTES]);
}
