//! What the kept head tells, and what it does not believe.

use std::fs;

use lucid_proof::note::Signer;
use tempfile::tempdir;

use super::*;
use crate::tests::{TestChain, key};

fn own() -> [u8; 32] {
    key(1).verifying_key().to_bytes()
}

#[test]
fn the_head_is_kept_and_damage_is_no_absence() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("chain-head");
    assert_eq!(load(&path, &own()).unwrap(), None);
    let seen = Checkpoint { origin: "test/chain".to_owned(), size: 4, root: [4; 32], extensions: vec![] };
    let note = seen.sign(&[&Signer::new("test/chain", key(1)).unwrap()]).unwrap();
    save(&path, &note).unwrap();
    assert_eq!(load(&path, &own()).unwrap(), Some(seen.clone()));

    let stranger = seen.sign(&[&Signer::new("test/chain", key(2)).unwrap()]).unwrap();
    let forged = note.replacen("\n4\n", "\n3\n", 1);
    for bytes in
        [&b""[..], b"\xff\xfe", stranger.as_bytes(), forged.as_bytes(), &note.as_bytes()[..40], &[b'x'; 70_000]]
    {
        fs::write(&path, bytes).unwrap();
        load(&path, &own()).unwrap_err();
    }
}

#[test]
fn growth_is_told_from_rollback_and_fork() {
    let (short, long) = (tempdir().unwrap(), tempdir().unwrap());
    let (short, long) = (TestChain::begin(short.path()), TestChain::begin(long.path()));
    short.grow(&[0, 1], 0);
    long.grow(&[0, 1], 0);
    let (seen, _) = short.chain().log_head().unwrap();
    check(long.chain(), &seen).unwrap().unwrap();
    long.grow(&[0, 0, 2], 10);
    check(long.chain(), &seen).unwrap().unwrap();

    let (newer, _) = long.chain().log_head().unwrap();
    let refusal = check(short.chain(), &newer).unwrap().unwrap_err();
    assert_eq!(refusal.acceptance(), short.chain().head().unwrap().hash);
    assert!(matches!(refusal, Refusal::NotExtended { size: 3, seen: 6, .. }), "{refusal}");

    short.grow(&[1, 0, 0, 0], 70);
    let refusal = check(short.chain(), &newer).unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::NotExtended { size: 7, seen: 6, .. }), "{refusal}");
}
