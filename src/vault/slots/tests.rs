use std::fs;
use std::path::Path;

use super::{SLOT_BYTES, Slot, WrappingKey, load, make, store};
use crate::VaultError;
use crate::secret::Secret;

fn slots() -> (tempfile::TempDir, Secret) {
    let (dir, master) = (tempfile::tempdir().unwrap(), Secret::random().unwrap());
    make(dir.path(), &master).unwrap();
    (dir, master)
}

fn garble(dir: &Path, name: &str, garble: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(dir.join(name)).unwrap();
    garble(&mut bytes);
    fs::write(dir.join(name), bytes).unwrap();
}

#[test]
fn slots_begin_with_one_key_and_one_empty() {
    let (dir, master) = slots();
    let [a, b] = load(dir.path(), &master).unwrap();
    assert_eq!(a.key().unwrap().generation, 1);
    assert_eq!(b, Slot::Empty);
    for name in ["wrapping-a", "wrapping-b"] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().len(), SLOT_BYTES as u64);
    }
}

#[test]
fn any_changed_byte_makes_a_slot_torn() {
    let (dir, master) = slots();
    store(dir.path(), 1, &master, &WrappingKey::random(2).unwrap()).unwrap();
    let whole = fs::read(dir.path().join("wrapping-b")).unwrap();
    for at in (0..120).chain([511, 512, SLOT_BYTES - 1]) {
        garble(dir.path(), "wrapping-b", |bytes| bytes[at] ^= 1);
        assert_eq!(load(dir.path(), &master).unwrap()[1], Slot::Torn, "{at}");
        fs::write(dir.path().join("wrapping-b"), &whole).unwrap();
    }
    assert_eq!(load(dir.path(), &master).unwrap()[1].key().unwrap().generation, 2);
}

#[test]
fn slots_without_any_key_are_damaged() {
    let (dir, master) = slots();
    let refused = |what: &str, master: &Secret| {
        let error = load(dir.path(), master).unwrap_err();
        assert!(matches!(error, VaultError::Corrupt { .. }), "{what}: {error:?}");
    };
    refused("another master key", &Secret::random().unwrap());
    let whole = fs::read(dir.path().join("wrapping-a")).unwrap();
    fs::write(dir.path().join("wrapping-b"), &whole).unwrap();
    refused("the same generation twice", &master);
    for length in [0, 88, SLOT_BYTES - 1, SLOT_BYTES + 1] {
        fs::write(dir.path().join("wrapping-b"), vec![0; length]).unwrap();
        refused("wrong length", &master);
    }
    fs::write(dir.path().join("wrapping-a"), [0; SLOT_BYTES]).unwrap();
    fs::write(dir.path().join("wrapping-b"), [0; SLOT_BYTES]).unwrap();
    refused("both empty", &master);
}
