use std::{fs, path::Path, sync::Arc};

use lucid_kit::{Lender, slot};
use lucid_ports::Recovery as _;
use lucid_sessions::Repository;
use lucid_vault::{OnOtherIdentity, Vault};
use tempfile::TempDir;

use super::VaultRecovery;

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
