use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Recovered, awaits_recovery};
use crate::recovery::RecoveryKey;
use crate::tests::{Disks, cut_everywhere, error_of, files, opens, session};
use crate::{Identity, OnOtherIdentity, RecoveredIdentity, Vault, VaultError};

fn recover(disks: &Disks, recovery_key: &str) -> Result<Vault, VaultError> {
    recover_into(&disks.state(), &disks.data(), recovery_key)
}

fn recover_into(state: &Path, data: &Path, recovery_key: &str) -> Result<Vault, VaultError> {
    Vault::recover(state, data, recovery_key, OnOtherIdentity::Refuse).map(|recovered| recovered.vault)
}

/// An appliance whose data disk follows it, and its recovery key.
fn donor() -> (Disks, RecoveryKey) {
    let donor = Disks::new();
    let vault = donor.open().unwrap();
    let recovery = vault.issue_recovery().unwrap();
    vault.follow_state().unwrap();
    (donor, recovery)
}

/// An empty boot disk, and a copy of the donor's data disk.
fn new_hardware(donor: &Disks) -> Disks {
    let disks = Disks::new();
    for (path, content) in files(&donor.data()) {
        let copy = disks.data().join(path.strip_prefix(donor.data()).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::write(copy, content).unwrap();
    }
    disks
}

/// As above, and the new appliance was started before without the disk, so that it has an identity of its own.
fn used_hardware(donor: &Disks) -> Disks {
    let disks = new_hardware(donor);
    Identity::open(&disks.state()).unwrap();
    disks
}

#[test]
fn another_boot_disk_needs_the_recovery_key() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let kept = session(&vault);
    disks.replace_state();
    let none = error_of(disks.open());
    assert!(matches!(none, VaultError::Unrecoverable { .. }), "{none:?}");
    assert!(!disks.state().join("device.key").exists(), "a refusal makes no secret");
    let recovery = vault.issue_recovery().unwrap();
    drop(vault);
    let before = files(&disks.data());
    let refused = error_of(disks.open());
    assert!(matches!(refused, VaultError::NeedsRecovery { .. }), "{refused:?}");
    assert!(refused.to_string().contains("lucid recover"), "{refused}");
    assert_eq!(files(&disks.data()), before);
    let typed = format!("  {}\n", recovery.expose().to_lowercase());
    opens(&recover(&disks, &typed).unwrap(), &kept);
    opens(&disks.open().unwrap(), &kept);
    opens(&recover(&disks, recovery.expose()).unwrap(), &kept);
}

#[test]
fn only_a_disk_that_opens_with_its_recovery_key_alone_is_said_to_wait_for_it() {
    let awaits = |disks: &Disks| awaits_recovery(&disks.state(), &disks.data());
    let disks = Disks::new();
    assert!(!awaits(&disks).unwrap(), "an empty disk gets keys of its own");
    let vault = disks.open().unwrap();
    assert!(!awaits(&disks).unwrap(), "it opens");
    disks.replace_state();
    assert!(!awaits(&disks).unwrap(), "no recovery key was ever issued");
    let recovery = vault.issue_recovery().unwrap();
    drop(vault);
    disks.replace_state();
    let before = files(disks.dir.path());
    assert!(awaits(&disks).unwrap());
    assert_eq!(files(disks.dir.path()), before, "looking writes nothing");
    recover(&disks, recovery.expose()).unwrap();
    assert!(!awaits(&disks).unwrap());
    fs::write(disks.data().join("keys/master.json"), "rotten").unwrap();
    assert!(matches!(awaits(&disks), Err(VaultError::Corrupt { .. })));
}

#[test]
fn keys_go_with_the_identity_in_force_and_no_other() {
    let (donor, recovery) = donor();
    let disks = used_hardware(&donor);
    let signs_with = Identity::open(&disks.state()).unwrap();
    let taken = Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Replace).unwrap();
    let refused = taken.vault.require(&signs_with);
    assert!(matches!(refused, Err(VaultError::IdentityReplaced)), "{refused:?}");
    assert!(VaultError::IdentityReplaced.awaits_owner());
    taken.vault.require(&Identity::open(&disks.state()).unwrap()).unwrap();
}

#[test]
fn an_appliance_with_a_secret_of_its_own_takes_a_disk_over() {
    let (disks, other) = (Disks::new(), Disks::new());
    drop(other.open().unwrap());
    let device = fs::read(other.state().join("device.key")).unwrap();
    let vault = disks.open().unwrap();
    let (kept, recovery) = (session(&vault), vault.issue_recovery().unwrap());
    drop(vault);
    let refused = error_of(Vault::open(&other.state(), &disks.data()));
    assert!(matches!(refused, VaultError::NeedsRecovery { .. }), "{refused:?}");
    opens(&recover_into(&other.state(), &disks.data(), recovery.expose()).unwrap(), &kept);
    assert_eq!(fs::read(other.state().join("device.key")).unwrap(), device);
    error_of(disks.open());
}

#[test]
fn only_the_recovery_key_issued_last_is_taken() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let none = recover(&disks, "AGE-SECRET-KEY-1");
    assert!(matches!(error_of(none), VaultError::BadRecoveryKey));
    let well_formed = crate::recovery::RecoveryKey::of(&age::x25519::Identity::generate());
    let none = recover(&disks, well_formed.expose());
    assert!(matches!(error_of(none), VaultError::NoRecovery));
    let first = vault.issue_recovery().unwrap();
    let recipient = vault.recovery_recipient().unwrap();
    let second = vault.issue_recovery().unwrap();
    assert_ne!(vault.recovery_recipient().unwrap(), recipient);
    let before = files(disks.dir.path());
    for (text, wrong) in [(first.expose(), true), (well_formed.expose(), true), ("", false), ("age1xyz", false)] {
        let error = error_of(recover(&disks, text));
        let expected = if wrong {
            matches!(error, VaultError::WrongRecoveryKey)
        } else {
            matches!(error, VaultError::BadRecoveryKey)
        };
        assert!(expected, "{error:?}");
    }
    assert_eq!(files(disks.dir.path()), before, "refusals write nothing");
    recover(&disks, second.expose()).unwrap();
}

#[test]
fn a_recovery_that_was_cut_anywhere_can_be_repeated() {
    let donor = Disks::new();
    let vault = donor.open().unwrap();
    let (kept, recovery) = (session(&vault), vault.issue_recovery().unwrap());
    vault.follow_state().unwrap();
    let prepare = || new_hardware(&donor);
    let check = |disks: &Disks, done: bool| {
        if done {
            opens(&disks.open().unwrap(), &kept);
        }
        opens(&recover(disks, recovery.expose()).unwrap(), &kept);
        assert_eq!(disks.signing_key(), donor.signing_key());
    };
    cut_everywhere(prepare, |disks| recover(disks, recovery.expose()).map(drop), check);
}

#[test]
fn new_hardware_signs_as_the_former_appliance() {
    let (donor, recovery) = donor();
    let disks = new_hardware(&donor);
    let Recovered { vault, identity } =
        Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Refuse).unwrap();
    assert_eq!(identity, RecoveredIdentity::Restored);
    assert_eq!(vault.signing_key("chain"), donor.signing_key());
    assert_eq!(disks.signing_key(), donor.signing_key());
    let before = files(&disks.data());
    vault.follow_state().unwrap();
    assert_eq!(files(&disks.data()), before, "there is nothing left to follow");
    let again = Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Replace).unwrap();
    assert_eq!(again.identity, RecoveredIdentity::Same);
}

#[test]
fn another_identity_is_replaced_only_on_the_owners_word_and_kept_aside() {
    let (donor, recovery) = donor();
    let disks = used_hardware(&donor);
    let own = fs::read(disks.state().join("identity.key")).unwrap();
    let before = files(disks.dir.path());
    let refused = error_of(recover(&disks, recovery.expose()));
    assert!(matches!(refused, VaultError::OtherIdentity { .. }), "{refused:?}");
    assert!(refused.to_string().contains("--replace-identity"), "{refused}");
    assert_eq!(files(disks.dir.path()), before, "a refusal writes nothing");

    let done = Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Replace).unwrap();
    let RecoveredIdentity::Replaced { former: Some(former) } = done.identity else { panic!("{:?}", done.identity) };
    assert_eq!(disks.signing_key(), donor.signing_key());
    assert_eq!(fs::read(&former).unwrap(), own);
    assert_eq!(fs::metadata(&former).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_lost_or_damaged_identity_is_made_good_by_the_data_disks() {
    let (donor, recovery) = donor();
    let key = donor.state().join("identity.key");
    fs::remove_file(&key).unwrap();
    assert!(matches!(error_of(donor.open()), VaultError::IdentityLost { .. }));
    recover(&donor, recovery.expose()).unwrap();
    let signs = donor.signing_key();

    fs::write(&key, "rotten").unwrap();
    assert!(matches!(error_of(recover(&donor, recovery.expose())), VaultError::OtherIdentity { .. }));
    let done = Vault::recover(&donor.state(), &donor.data(), recovery.expose(), OnOtherIdentity::Replace).unwrap();
    let RecoveredIdentity::Replaced { former: Some(former) } = done.identity else { panic!("{:?}", done.identity) };
    assert_eq!(fs::read(former).unwrap(), b"rotten");
    assert_eq!(donor.signing_key(), signs);
}

#[test]
fn a_state_directory_that_was_restored_keeps_its_identity() {
    let (donor, recovery) = donor();
    let disks = used_hardware(&donor);
    let own = disks.signing_key();
    let done = Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Keep).unwrap();
    assert_eq!(done.identity, RecoveredIdentity::Kept);
    assert_eq!(disks.signing_key(), own);
}

#[test]
fn a_disk_without_a_copy_of_an_identity_opens_and_says_so() {
    let (donor, recovery) = donor();
    fs::remove_file(donor.file("identity.sealed")).unwrap();
    let disks = new_hardware(&donor);
    let done = Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Refuse).unwrap();
    assert_eq!(done.identity, RecoveredIdentity::NotOnDisk);
    assert_ne!(disks.signing_key(), donor.signing_key());
}

#[test]
fn a_damaged_copy_of_the_identity_is_said_before_anything_is_written() {
    let (donor, recovery) = donor();
    let whole = fs::read(donor.file("identity.sealed")).unwrap();
    for damaged in [&whole[..0], &whole[..79], b"LUCIDID1", &[whole.as_slice(), b"x"].concat(), &[b'x'; 80]] {
        let disks = new_hardware(&donor);
        fs::write(disks.file("identity.sealed"), damaged).unwrap();
        let before = files(disks.dir.path());
        let error = error_of(recover(&disks, recovery.expose()));
        assert!(matches!(error, VaultError::Corrupt { .. }), "{error:?}");
        assert_eq!(files(disks.dir.path()), before);
    }
}

#[test]
fn a_replacement_that_was_cut_anywhere_leaves_one_of_the_two_and_can_be_repeated() {
    let (donor, recovery) = donor();
    let replace = |disks: &Disks| {
        Vault::recover(&disks.state(), &disks.data(), recovery.expose(), OnOtherIdentity::Replace).map(drop)
    };
    // The identity that each of the prepared appliances began with, for the check after it.
    let own = std::cell::RefCell::new(None);
    let prepare = || {
        let disks = used_hardware(&donor);
        own.replace(Some((disks.signing_key(), fs::read(disks.state().join("identity.key")).unwrap())));
        disks
    };
    let check = |disks: &Disks, done: bool| {
        let (own_key, own_seed) = own.take().unwrap();
        let now = disks.signing_key();
        assert!(now == donor.signing_key() || (!done && now == own_key));
        replace(disks).unwrap();
        assert_eq!(disks.signing_key(), donor.signing_key());
        assert!(files(&disks.state()).iter().any(|(_, content)| *content == own_seed), "it is kept aside");
    };
    cut_everywhere(prepare, replace, check);
}

#[test]
fn the_recovery_key_that_was_given_is_in_force_afterwards() {
    let (donor, recovery) = donor();
    let disks = new_hardware(&donor);
    let unused = crate::issue_recovery(&disks.state()).unwrap();
    let vault = recover(&disks, recovery.expose()).unwrap();
    vault.follow_state().unwrap();
    assert!(matches!(error_of(recover(&disks, unused.expose())), VaultError::WrongRecoveryKey));
    recover(&disks, recovery.expose()).unwrap();
}
