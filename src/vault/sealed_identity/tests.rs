use std::fs;

use crate::disk::cut;
use crate::tests::{Disks, error_of, files};

#[test]
fn the_copy_is_written_once_and_opens_with_the_master_key_only() {
    let (disks, other) = (Disks::new(), Disks::new());
    let (vault, stranger) = (disks.open().unwrap(), other.open().unwrap());
    vault.follow_state().unwrap();
    let sealed = fs::read(disks.file("identity.sealed")).unwrap();
    assert_eq!(sealed.len(), 80);
    let before = files(disks.dir.path());
    vault.follow_state().unwrap();
    assert_eq!(files(disks.dir.path()), before, "following twice is following once");

    let keys = disks.data().join("keys");
    let seed = super::load(&keys, &vault.inner.master).unwrap().unwrap();
    assert_eq!(seed.bytes().as_slice(), fs::read(disks.state().join("identity.key")).unwrap());
    error_of(super::load(&keys, &stranger.inner.master));
    assert_eq!(super::load(&other.data().join("keys"), &stranger.inner.master).unwrap(), None);
}

#[test]
fn another_content_is_kept_aside() {
    let disks = Disks::new();
    disks.open().unwrap().follow_state().unwrap();
    let former = fs::read(disks.file("identity.sealed")).unwrap();
    // The owner took a new identity, as the error for a lost one says.
    fs::remove_file(disks.state().join("identity.key")).unwrap();
    fs::remove_file(disks.state().join("identity.id")).unwrap();
    for contents in [2, 3] {
        let vault = disks.open().unwrap();
        vault.follow_state().unwrap();
        let seed = super::load(&disks.data().join("keys"), &vault.inner.master).unwrap();
        assert_eq!(seed.as_ref(), Some(vault.inner.identity.seed()));
        let copies = files(&disks.data().join("keys")).into_iter();
        let copies: Vec<_> = copies.filter(|(path, _)| path.to_string_lossy().contains("identity.sealed")).collect();
        assert_eq!(copies.len(), contents);
        assert!(copies.iter().any(|(_, content)| *content == former));
        fs::write(disks.file("identity.sealed"), "rotten").unwrap();
    }
}

#[test]
fn a_cut_leaves_the_former_copy_and_is_made_good() {
    let disks = Disks::new();
    disks.open().unwrap().follow_state().unwrap();
    let former = fs::read(disks.file("identity.sealed")).unwrap();
    fs::remove_file(disks.state().join("identity.key")).unwrap();
    fs::remove_file(disks.state().join("identity.id")).unwrap();
    let vault = disks.open().unwrap();
    for steps in 0..2 {
        cut::after(steps, 0);
        let cut_short = vault.follow_state();
        cut::never();
        error_of(cut_short);
        assert_eq!(fs::read(disks.file("identity.sealed")).unwrap(), former);
    }
    vault.follow_state().unwrap();
    assert_ne!(fs::read(disks.file("identity.sealed")).unwrap(), former);
}
