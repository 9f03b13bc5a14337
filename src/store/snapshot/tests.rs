use std::io::{self, Write};
use std::path::PathBuf;

use super::{END, MAGIC, ROW, TABLE};
use crate::tests::{Rig, SCHEMA, rig};
use crate::{Json, Options, Reader as _, Schema, Store, StoreError, Table};

const NUMBERS: Table<u64, Json<u64>> = Table::new("numbers");
const TEXTS: Table<(String, u64), Vec<u8>> = Table::new("texts");

/// A store with two tables.
fn filled() -> Rig {
    let rig = rig();
    rig.store
        .write_blocking(|tx| {
            (0..20).try_for_each(|n| tx.put(&NUMBERS, &n, &(n * n)))?;
            (0..3).try_for_each(|n| tx.put(&TEXTS, &("t".to_owned(), n), &vec![n as u8; 40]))
        })
        .unwrap();
    rig
}

fn stream_of(store: &Store) -> Vec<u8> {
    let mut stream = Vec::new();
    let size = store.snapshot(&mut stream).unwrap();
    assert_eq!(size.bytes, stream.len() as u64);
    stream
}

/// Restores into a new directory.
fn restore(stream: &[u8], schema: &'static Schema) -> Result<(tempfile::TempDir, PathBuf), StoreError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.redb");
    let restored = Store::restore_from(&path, &mut &*stream, schema);
    if restored.is_err() {
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a refusal leaves nothing");
    }
    restored.map(|_| (dir, path))
}

/// A stream with a fitting trailer.
fn sealed(body: &[u8], rows: u64) -> Vec<u8> {
    let header = br#"{"schema":"test","version":1,"reader_min":1}"#;
    let mut stream = [MAGIC.as_slice(), &(header.len() as u32).to_be_bytes(), header, body, &[END]].concat();
    stream.extend_from_slice(&rows.to_be_bytes());
    let hash = blake3::hash(&stream);
    stream.extend_from_slice(hash.as_bytes());
    stream
}

fn table(name: &str) -> Vec<u8> {
    [[TABLE].as_slice(), &(name.len() as u32).to_be_bytes(), name.as_bytes()].concat()
}

fn row(key: &[u8], value: &[u8]) -> Vec<u8> {
    [[ROW].as_slice(), &(key.len() as u32).to_be_bytes(), &(value.len() as u32).to_be_bytes(), key, value].concat()
}

#[test]
fn a_restored_store_is_the_same() {
    let rig = filled();
    let stream = stream_of(&rig.store);
    let (_dir, path) = restore(&stream, &SCHEMA).unwrap();
    let store = Store::open(&path, &SCHEMA, Options::default()).unwrap();
    assert_eq!(stream_of(&store), stream, "byte for byte");
    assert_eq!(store.read(|tx| tx.get(&TEXTS, &("t".to_owned(), 2))).unwrap(), Some(vec![2; 40]));
    store.write_blocking(|tx| tx.put(&NUMBERS, &99, &99)).unwrap();
}

#[test]
fn a_snapshot_is_one_state_while_writes_go_on() {
    struct Busy<'a>(&'a Store, Vec<u8>, u64);
    impl Write for Busy<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.2 += 1;
            let n = self.2;
            self.0.write_blocking(move |tx| tx.put(&NUMBERS, &(1000 + n), &n)).unwrap();
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rig = filled();
    rig.store.write_blocking(|tx| tx.put(&TEXTS, &(String::new(), 0), &vec![1; 300_000])).unwrap();
    let before = stream_of(&rig.store);
    let mut busy = Busy(&rig.store, Vec::new(), 0);
    rig.store.snapshot(&mut busy).unwrap();
    assert!(busy.2 > 0);
    assert_eq!(busy.1, before);
}

#[test]
fn every_truncation_and_every_flipped_byte_is_refused() {
    let stream = stream_of(&filled().store);
    for length in 0..stream.len() {
        let refused = restore(&stream[..length], &SCHEMA);
        assert!(matches!(refused, Err(StoreError::BadSnapshot { .. })), "{length}: {refused:?}");
    }
    for at in 0..stream.len() {
        let mut garbled = stream.clone();
        garbled[at] ^= 0x21;
        let refused = restore(&garbled, &SCHEMA);
        assert!(refused.is_err(), "{at}");
    }
    let longer = restore(&[stream.as_slice(), &[0]].concat(), &SCHEMA);
    assert!(matches!(longer, Err(StoreError::BadSnapshot { .. })), "{longer:?}");
}

#[test]
fn hostile_streams_with_a_fitting_trailer_are_refused() {
    let good = [table("a"), row(b"k", b"v"), table("b"), row(b"k", b"v")].concat();
    restore(&sealed(&good, 2), &SCHEMA).unwrap();
    let huge = [table("a"), vec![ROW, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, b'k']].concat();
    for (what, body, rows) in [
        ("wrong count", good.clone(), 3),
        ("row without table", row(b"k", b"v"), 1),
        ("duplicate key", [table("a"), row(b"k", b"v"), row(b"k", b"w")].concat(), 2),
        ("keys out of order", [table("a"), row(b"l", b"v"), row(b"k", b"w")].concat(), 2),
        ("duplicate table", [table("a"), table("a")].concat(), 0),
        ("tables out of order", [table("b"), table("a")].concat(), 0),
        ("the store's own table", [table("_store"), row(&[0], b"{}")].concat(), 1),
        ("table without name", table(""), 0),
        ("table name too long", table(&"n".repeat(65)), 0),
        ("key too long", [table("a"), row(&[0; 2049], b"")].concat(), 1),
        ("value of 4 GiB", huge, 1),
        ("unknown mark", vec![9], 0),
    ] {
        let refused = restore(&sealed(&body, rows), &SCHEMA);
        assert!(matches!(refused, Err(StoreError::BadSnapshot { .. })), "{what}: {refused:?}");
    }
}

#[test]
fn a_store_is_never_overwritten_and_a_lost_one_is_replaced() {
    let rig = filled();
    let stream = stream_of(&rig.store);
    let refused = Store::restore_from(&rig.path(), &mut stream.as_slice(), &SCHEMA);
    assert!(matches!(refused, Err(StoreError::Exists { .. })), "{refused:?}");
    let path = rig.path();
    drop(rig.store);
    std::fs::remove_file(&path).unwrap();
    Store::restore_from(&path, &mut stream.as_slice(), &SCHEMA).unwrap();
    assert_eq!(stream_of(&Store::open(&path, &SCHEMA, Options::default()).unwrap()), stream);
}

#[test]
fn a_snapshot_of_another_schema_or_version_is_refused() {
    static OTHER: Schema = Schema { name: "other", version: 1, migrations: &[], readable_by_previous: true };
    static LATER: Schema = Schema { name: "test", version: 3, migrations: &[], readable_by_previous: true };
    let stream = stream_of(&filled().store);
    let other = restore(&stream, &OTHER);
    assert!(matches!(other, Err(StoreError::WrongSchema { .. })), "{other:?}");
    let later = restore(&stream, &LATER);
    assert!(matches!(later, Err(StoreError::TooOld { .. })), "{later:?}");
}

#[test]
fn a_writer_without_room_is_an_error() {
    let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = filled().store.snapshot(&mut full).unwrap_err();
    assert!(error.is_disk_full(), "{error:?}");
}

#[test]
fn more_than_one_batch_is_restored() {
    let rig = rig();
    for n in 0..12 {
        rig.store
            .write_blocking(move |tx| tx.put(&TEXTS, &("big".to_owned(), n), &vec![n as u8; 1024 * 1024]))
            .unwrap();
    }
    let stream = stream_of(&rig.store);
    let (_dir, path) = restore(&stream, &SCHEMA).unwrap();
    assert_eq!(stream_of(&Store::open(&path, &SCHEMA, Options::default()).unwrap()), stream);
}
