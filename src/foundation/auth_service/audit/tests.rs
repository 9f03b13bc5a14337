//! The audit log's bounds.

use lucid_store::{Options, Store};

use super::super::rows::SCHEMA;
use super::*;

fn append_all(store: &Store, range: std::ops::Range<u64>, entries_max: u64) {
    for at_ms in range {
        let entry = entry(at_ms, "admin", Some("::ffff:10.0.0.1".parse().unwrap()), "login", "ok");
        store.write_blocking::<_, StoreError, _>(move |tx| append(tx, &entry, entries_max)).unwrap();
    }
}

fn kept(store: &Store) -> Vec<(u64, u64)> {
    let rows = store.read::<_, StoreError>(|tx| tx.range(&AUDIT, .., 1000)).unwrap();
    rows.into_iter().map(|(key, entry)| (key, entry.at_ms)).collect()
}

#[test]
fn the_oldest_entries_make_room() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("a.redb");
    let store = Store::open(&path, &SCHEMA, Options::default()).unwrap();
    append_all(&store, 0..5, 3);
    assert_eq!(kept(&store), [(2, 2), (3, 3), (4, 4)]);
    drop(store);
    let store = Store::open(&path, &SCHEMA, Options::default()).unwrap();
    append_all(&store, 5..45, 100);
    append_all(&store, 45..46, 3);
    assert_eq!(kept(&store).len(), 28, "a log far too long shrinks step by step");
    append_all(&store, 46..49, 3);
    assert_eq!(kept(&store), [(46, 46), (47, 47), (48, 48)]);
}

#[test]
fn text_from_outside_is_bounded_and_harmless() {
    let texts = [("plain", "plain"), ("a\r\nb\u{1b}[31m", "a\u{fffd}\u{fffd}b\u{fffd}[31m"), ("é𝄞", "é𝄞")];
    for (text, expected) in texts {
        assert_eq!(harmless_text(text), expected);
    }
    assert_eq!(harmless_text(&"é".repeat(5000)), "é".repeat(TEXT_CHARS_MAX));
}

#[test]
fn addresses_have_one_spelling() {
    let spelled = |peer: &str| entry(0, "", Some(peer.parse().unwrap()), "", "").peer;
    assert_eq!((spelled("::ffff:10.0.0.1"), spelled("10.0.0.1")), ("10.0.0.1".to_owned(), "10.0.0.1".to_owned()));
    assert_eq!(entry(0, "", None, "", "").peer, "");
}
