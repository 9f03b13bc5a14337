use std::fs;
use std::io::Read as _;

use super::direct::BLOCK_BYTES;
use super::{BLOB_ID_BYTES_MAX, BlobBuffer, Blobs, Ordering, direct};
use crate::StoreError;

const ID: &str = "0190a6f2-0000-7000-8000-00000000000a";

fn blobs() -> (tempfile::TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(&dir.path().join("data/chunks")).unwrap();
    (dir, blobs)
}

#[test]
fn blobs_come_back_by_id_and_index() {
    let (dir, blobs) = blobs();
    for index in [10, 2, u64::MAX, 0] {
        blobs.put(ID, index, format!("blob {index}").as_bytes()).unwrap();
    }
    blobs.put("ff", 1, b"").unwrap();
    let blobs = Blobs::open(&dir.path().join("data/chunks")).unwrap();
    assert_eq!(blobs.ids().unwrap(), [ID, "ff"]);
    assert_eq!(blobs.list(ID).unwrap(), [0, 2, 10, u64::MAX]);
    assert_eq!(blobs.list("aa").unwrap(), [0; 0]);
    assert_eq!(blobs.get(ID, 2).unwrap().unwrap(), b"blob 2");
    assert_eq!(blobs.get(ID, 3).unwrap(), None);
    assert_eq!(blobs.size(ID, 10).unwrap(), Some(7));
    assert_eq!(blobs.size("ff", 1).unwrap(), Some(0));
    assert_eq!(blobs.size("ff", 2).unwrap(), None);
    let mut text = String::new();
    blobs.reader(ID, 0).unwrap().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "blob 0");
    assert!(blobs.reader("aa", 0).unwrap().is_none());
}

#[test]
fn a_directory_that_vanished_does_not_come_back_empty() {
    let (dir, blobs) = blobs();
    fs::rename(dir.path().join("data"), dir.path().join("away")).unwrap();
    let refused = blobs.put(ID, 0, b"chunk");
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    assert!(!dir.path().join("data").exists());
    fs::rename(dir.path().join("away"), dir.path().join("data")).unwrap();
    blobs.put(ID, 0, b"chunk").unwrap();
}

#[test]
fn a_blob_never_changes() {
    let (_dir, blobs) = blobs();
    blobs.put(ID, 1, b"first").unwrap();
    blobs.put(ID, 1, b"first").unwrap();
    let other = blobs.put(ID, 1, b"other");
    assert!(matches!(other, Err(StoreError::Exists { .. })), "{other:?}");
    assert_eq!(blobs.get(ID, 1).unwrap().unwrap(), b"first");
}

#[test]
fn removing_tells_what_was_there() {
    let (_dir, blobs) = blobs();
    blobs.put(ID, 1, b"x").unwrap();
    blobs.put(ID, 2, b"x").unwrap();
    assert!(blobs.remove(ID, 1).unwrap());
    assert!(!blobs.remove(ID, 1).unwrap());
    assert!(blobs.remove_all(ID).unwrap());
    assert!(!blobs.remove_all(ID).unwrap());
    assert_eq!(blobs.ids().unwrap(), [""; 0]);
}

#[test]
fn ids_that_could_leave_the_directory_are_refused_everywhere() {
    let (dir, blobs) = blobs();
    let long = "a".repeat(BLOB_ID_BYTES_MAX + 1);
    for id in ["", ".", "..", "../chunks", "a/b", "/etc", "A", "g", "a\0", "a\n", "-a", "ä", "~", &long] {
        let refused = |result: Result<(), StoreError>| {
            assert!(matches!(result, Err(StoreError::BadBlobId { .. })), "{id:?}: {result:?}");
        };
        refused(blobs.put(id, 0, b"x"));
        refused(blobs.get(id, 0).map(drop));
        refused(blobs.reader(id, 0).map(drop));
        refused(blobs.size(id, 0).map(drop));
        refused(blobs.remove(id, 0).map(drop));
        refused(blobs.remove_all(id).map(drop));
        refused(blobs.list(id).map(drop));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn opening_sweeps_left_overs_and_leaves_strangers_alone() {
    let (dir, blobs) = blobs();
    blobs.put(ID, 1, b"x").unwrap();
    let id_dir = dir.path().join("data/chunks").join(ID);
    for stranger in [".tmp-1-2", "notes.txt", "1.blob", "0000000000000000000x.blob", "99999999999999999999.blob"] {
        fs::write(id_dir.join(stranger), "half").unwrap();
    }
    fs::write(dir.path().join("data/chunks/README"), "not an id").unwrap();
    let blobs = Blobs::open(&dir.path().join("data/chunks")).unwrap();
    assert_eq!(blobs.ids().unwrap(), [ID]);
    assert_eq!(blobs.list(ID).unwrap(), [1]);
    assert!(!id_dir.join(".tmp-1-2").exists());
    assert!(id_dir.join("notes.txt").exists());
}

#[test]
fn puts_from_many_threads_to_one_new_id_all_arrive() {
    let (_dir, blobs) = blobs();
    std::thread::scope(|scope| {
        for index in 0..16 {
            let blobs = &blobs;
            scope.spawn(move || blobs.put("ab", index, &[index as u8; 1000]).unwrap());
        }
    });
    assert_eq!(blobs.list("ab").unwrap(), (0..16).collect::<Vec<_>>());
}

#[test]
fn a_directory_that_can_not_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = Blobs::open(&dir.path().join("file/chunks")).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_buffer_of_any_length_comes_back_whole() {
    let (dir, blobs) = blobs();
    let mut buffer = BlobBuffer::with_capacity(3 * BLOCK_BYTES);
    let lengths = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES - 1, 3 * BLOCK_BYTES];
    for (index, bytes) in (0..).zip(lengths) {
        // What the last one left behind the end must not show.
        buffer.room().iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * 7 + bytes) as u8);
        buffer.keep(bytes);
        assert!(direct::is_aligned(&buffer));
        blobs.put(ID, index, &buffer).unwrap();
        assert_eq!(blobs.get(ID, index).unwrap().unwrap(), *buffer, "{bytes} bytes");
        // A retry finds the same bytes.
        blobs.put(ID, index, &buffer).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path().join("data/chunks").join(ID)).unwrap().count(), lengths.len());
}

#[test]
fn what_does_not_begin_at_a_block_goes_through_the_cache() {
    let (_dir, blobs) = blobs();
    let mut buffer = BlobBuffer::with_capacity(2 * BLOCK_BYTES);
    buffer.room().fill(7);
    buffer.keep(2 * BLOCK_BYTES);
    assert!(!direct::is_aligned(&buffer[1..]));
    blobs.put(ID, 0, &buffer[1..]).unwrap();
    assert_eq!(blobs.get(ID, 0).unwrap().unwrap(), buffer[1..]);
}

#[test]
fn where_the_filesystem_wants_its_cache_it_gets_it() {
    let (_dir, blobs) = blobs();
    blobs.cached_only.store(true, Ordering::Relaxed);
    let mut buffer = BlobBuffer::with_capacity(BLOCK_BYTES);
    buffer.keep(BLOCK_BYTES);
    blobs.put(ID, 0, &buffer).unwrap();
    assert_eq!(blobs.get(ID, 0).unwrap().unwrap(), *buffer);
}

#[test]
fn a_buffer_keeps_no_more_than_it_has() {
    let buffer = std::panic::catch_unwind(|| BlobBuffer::with_capacity(10).keep(10 + BLOCK_BYTES + 1));
    assert!(buffer.is_err());
}
