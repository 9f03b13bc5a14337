use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use lucid_kit::{Lender, slot};
use lucid_ports::{Recovery as _, TakenOver, Takeover as _, TakeoverError};
use lucid_sessions::Repository;
use lucid_vault::{Identity, OnOtherIdentity, Vault};
use tempfile::TempDir;

use super::{VaultRecovery, VaultTakeover};

fn disks() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state", "data/session-storage", "elsewhere"] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
    }
    dir
}

fn port(dir: &Path) -> (Lender<Repository>, VaultRecovery) {
    let (lender, repository) = slot("session-storage");
    (lender, VaultRecovery::new(dir.join("state"), repository))
}

fn opened(dir: &Path) -> Arc<Repository> {
    let vault = Vault::open(&dir.join("state"), &dir.join("data")).unwrap();
    Arc::new(Repository::open(&dir.join("data/session-storage"), vault).unwrap())
}

/// What the owner does on new hardware.
fn recover(dir: &Path, key: &str) -> Result<(), String> {
    let recovered = Vault::recover(&dir.join("elsewhere"), &dir.join("data"), key, OnOtherIdentity::Keep);
    recovered.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_key_issued_without_a_data_disk_opens_the_one_that_comes_later() {
    let dir = disks();
    let (lender, port) = port(dir.path());
    let never_used = port.issue().unwrap();
    let key = port.issue().unwrap();
    let repository = opened(dir.path());
    let _lease = lender.lend(repository.clone());
    repository.vault().follow_state().unwrap();
    recover(dir.path(), &never_used).unwrap_err();
    recover(dir.path(), &key).unwrap();
}

#[test]
fn a_key_issued_with_the_data_disk_opens_it_at_once() {
    let dir = disks();
    let (lender, port) = port(dir.path());
    let former = port.issue().unwrap();
    let _lease = lender.lend(opened(dir.path()));
    let key = port.issue().unwrap();
    recover(dir.path(), &former).unwrap_err();
    recover(dir.path(), &key).unwrap();
}

#[test]
fn no_key_is_given_out_that_the_data_disk_would_not_take() {
    let dir = disks();
    let (lender, port) = port(dir.path());
    let repository = opened(dir.path());
    let _lease = lender.lend(repository.clone());
    let key = port.issue().unwrap();
    let (keys, away) = (dir.path().join("data/keys"), dir.path().join("away"));
    fs::rename(&keys, &away).unwrap();
    port.issue().unwrap_err();
    fs::rename(&away, &keys).unwrap();
    repository.vault().follow_state().unwrap();
    recover(dir.path(), &key).unwrap();
}

#[test]
fn a_key_that_is_in_force_is_given_out_though_the_data_disk_lags_behind() {
    let dir = disks();
    let (lender, port) = port(dir.path());
    let repository = opened(dir.path());
    let _lease = lender.lend(repository.clone());
    let obstacle = dir.path().join("data/keys/identity.sealed");
    fs::create_dir(&obstacle).unwrap();
    repository.vault().follow_state().unwrap_err();
    let key = port.issue().unwrap();
    fs::remove_dir(&obstacle).unwrap();
    repository.vault().follow_state().unwrap();
    recover(dir.path(), &key).unwrap();
}

/// The port of a program that began with the identity of `dir`, and its data disk that `of` wrote.
fn takeover(dir: &Path, of: &Path) -> VaultTakeover {
    fs::remove_dir_all(dir.join("data")).unwrap();
    fs::rename(of.join("data"), dir.join("data")).unwrap();
    VaultTakeover {
        state_dir: dir.join("state"),
        data_dir: dir.join("data"),
        identity: Identity::open(&dir.join("state")).unwrap(),
        repository: slot("session-storage").1,
        turn: Mutex::default(),
    }
}

#[test]
fn a_disk_is_taken_over_with_its_key_and_on_the_owners_word() {
    let (dir, former) = (disks(), disks());
    let (lender, theirs) = port(former.path());
    let lease = lender.lend(opened(former.path()));
    let key = theirs.issue().unwrap();
    drop(lease);
    let port = takeover(dir.path(), former.path());
    assert!(port.is_due().unwrap());
    let refused = port.take_over("AGE-SECRET-KEY-1", true);
    assert!(matches!(refused, Err(TakeoverError::WrongKey(_))), "{refused:?}");
    let refused = port.take_over(&key, false);
    assert!(matches!(refused, Err(TakeoverError::OtherIdentity)), "{refused:?}");
    assert!(port.is_due().unwrap(), "a refusal changes nothing");
    let taken = port.take_over(&key, true).unwrap();
    assert_eq!(taken, TakenOver { continues_chain: true, needs_restart: true });
    let again = port.take_over(&key, true);
    assert!(matches!(again, Err(TakeoverError::NotDue)), "{again:?}");
    assert_eq!(opened(dir.path()).count().unwrap(), 0, "it opens");
}

#[test]
fn a_disk_that_is_open_or_not_there_is_not_taken_over() {
    let (dir, former) = (disks(), disks());
    drop(opened(former.path()));
    let mut port = takeover(dir.path(), former.path());
    assert!(!port.is_due().unwrap(), "no recovery key was ever issued for it");
    fs::remove_dir_all(dir.path().join("data")).unwrap();
    let refused = port.take_over("any", true);
    assert!(matches!(refused, Err(TakeoverError::NotDue)), "{refused:?}");
    let (lender, slot) = slot("session-storage");
    port.repository = slot;
    fs::create_dir_all(dir.path().join("data/session-storage")).unwrap();
    let _lease = lender.lend(opened(dir.path()));
    assert!(!port.is_due().unwrap());
}
