use std::fs;

use super::{issue_recovery, load};
use crate::disk::cut;
use crate::tests::{Disks, cut_everywhere, error_of, files};
use crate::{OnOtherIdentity, Vault, VaultError};

/// Whether the data disk opens with this recovery key on new hardware. Leaves the disk to that hardware.
fn opens_elsewhere(disks: &Disks, recovery_key: &str) -> bool {
    let state = disks.dir.path().join("elsewhere");
    fs::create_dir_all(&state).unwrap();
    match Vault::recover(&state, &disks.data(), recovery_key, OnOtherIdentity::Keep) {
        Ok(_) => true,
        Err(VaultError::WrongRecoveryKey | VaultError::NoRecovery) => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_key_issued_without_a_data_disk_opens_every_later_one() {
    let disks = Disks::new();
    let key = issue_recovery(&disks.state()).unwrap();
    assert!(files(&disks.data()).is_empty());
    for (_, content) in files(&disks.state()) {
        assert!(!content.windows(16).any(|window| window == b"AGE-SECRET-KEY-1"), "the key itself is kept nowhere");
    }
    for disk in ["first", "second"] {
        let vault = disks.open().unwrap();
        assert_eq!(vault.recovery_recipient(), None);
        vault.follow_state().unwrap();
        assert!(vault.recovery_recipient().is_some());
        assert!(opens_elsewhere(&disks, key.expose()), "{disk}");
        fs::rename(disks.data(), disks.dir.path().join(disk)).unwrap();
        fs::create_dir(disks.data()).unwrap();
    }
}

#[test]
fn a_data_disk_that_was_away_follows_the_key_issued_meanwhile() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let former = vault.issue_recovery().unwrap();
    drop(vault);
    let key = issue_recovery(&disks.state()).unwrap();
    let vault = disks.open().unwrap();
    vault.follow_state().unwrap();
    assert_eq!(vault.recovery_recipient(), load(&disks.state()).unwrap().map(|recipient| recipient.to_string()));
    let before = files(disks.dir.path());
    vault.follow_state().unwrap();
    assert_eq!(files(disks.dir.path()), before, "following twice is following once");
    assert!(!opens_elsewhere(&disks, former.expose()));
    assert!(opens_elsewhere(&disks, key.expose()));
}

#[test]
fn a_foreign_data_disk_does_not_follow() {
    let (disks, other) = (Disks::new(), Disks::new());
    let theirs = other.open().unwrap().issue_recovery().unwrap();
    fs::remove_dir_all(disks.data()).unwrap();
    fs::rename(other.data(), disks.data()).unwrap();
    let before = files(&disks.data());
    issue_recovery(&disks.state()).unwrap();
    assert!(matches!(error_of(disks.open()), VaultError::NeedsRecovery { .. }));
    assert_eq!(files(&disks.data()), before);
    assert!(opens_elsewhere(&disks, theirs.expose()));
}

#[test]
fn an_issue_that_was_cut_anywhere_leaves_the_former_recovery_key_in_force() {
    // One data disk and its former recovery key for each place of the cut.
    let former = std::cell::RefCell::new(None);
    let prepare = || {
        let disks = Disks::new();
        former.replace(Some(disks.open().unwrap().issue_recovery().unwrap()));
        disks
    };
    let issued = std::cell::RefCell::new(None);
    let act = |disks: &Disks| {
        // Opening has nothing to write here, so that each cut hits the issue.
        let key = disks.open()?.issue_recovery()?;
        issued.replace(Some(key));
        Ok(())
    };
    let check = |disks: &Disks, done: bool| {
        let former = former.take().unwrap();
        disks.open().unwrap().follow_state().unwrap();
        let in_force = if done { issued.take().unwrap() } else { former };
        assert!(opens_elsewhere(disks, in_force.expose()), "done: {done}");
    };
    cut_everywhere(prepare, act, check);
}

#[test]
fn an_issue_that_fails_in_the_state_directory_is_taken_back_at_once() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let former = vault.issue_recovery().unwrap();
    let recipient = vault.recovery_recipient();
    let (state, away) = (disks.state(), disks.dir.path().join("away"));
    fs::rename(&state, &away).unwrap();
    error_of(vault.issue_recovery());
    fs::rename(&away, &state).unwrap();
    assert_eq!(vault.recovery_recipient(), recipient);
    assert!(opens_elsewhere(&disks, former.expose()));
}

#[test]
fn following_that_was_cut_anywhere_is_made_good_by_the_next() {
    let issued = std::cell::RefCell::new(None);
    let prepare = || {
        let disks = Disks::new();
        drop(disks.open().unwrap());
        issued.replace(Some(issue_recovery(&disks.state()).unwrap()));
        disks
    };
    let check = |disks: &Disks, _| {
        disks.open().unwrap().follow_state().unwrap();
        assert!(opens_elsewhere(disks, issued.take().unwrap().expose()));
    };
    cut_everywhere(prepare, |disks| disks.open()?.follow_state(), check);
}

#[test]
fn an_issue_without_a_disk_that_was_cut_leaves_the_former_in_force() {
    let disks = Disks::new();
    let former = issue_recovery(&disks.state()).unwrap();
    cut::after(0, 0);
    let cut_short = issue_recovery(&disks.state());
    cut::never();
    error_of(cut_short);
    disks.open().unwrap().follow_state().unwrap();
    assert!(opens_elsewhere(&disks, former.expose()));
}

#[test]
fn a_garbled_recipient_is_said_harms_no_recording_and_is_replaced_by_the_next_issue() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let former = vault.issue_recovery().unwrap();
    let recipient = fs::read_to_string(disks.state().join("recovery.pub")).unwrap();
    let garbled: [&[u8]; 5] =
        [b"", b"age1", &recipient.as_bytes()[..recipient.len() - 4], former.expose().as_bytes(), &[0xff; 62]];
    for content in garbled {
        fs::write(disks.state().join("recovery.pub"), content).unwrap();
        let vault = disks.open().unwrap();
        let error = error_of(vault.follow_state());
        assert!(matches!(error, VaultError::BadRecipient { .. }), "{error:?}");
        assert!(!error.to_string().contains("AGE-SECRET-KEY"), "{error}");
    }
    fs::write(disks.state().join("recovery.pub"), [b'a'; 100_000]).unwrap();
    error_of(disks.open().unwrap().follow_state());
    let key = issue_recovery(&disks.state()).unwrap();
    disks.open().unwrap().follow_state().unwrap();
    assert!(opens_elsewhere(&disks, key.expose()));
}
