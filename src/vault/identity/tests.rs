use std::fs;

use ed25519_dalek::{Signer as _, Verifier as _};

use super::Identity;
use crate::VaultError;
use crate::disk::cut;

#[test]
fn the_identity_is_made_once_and_signs_the_same_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::open(dir.path()).unwrap().signing_key("manifest");
    let again = Identity::open(dir.path()).unwrap().signing_key("manifest");
    assert_eq!(first, again);
    first.verifying_key().verify(b"text", &again.sign(b"text")).unwrap();
    assert_eq!(fs::read(dir.path().join("identity.key")).unwrap().len(), 32);
}

#[test]
fn purposes_and_appliances_have_keys_of_their_own() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (Identity::open(one.path()).unwrap(), Identity::open(two.path()).unwrap());
    let keys = [one.signing_key("a"), one.signing_key("b"), one.signing_key(""), two.signing_key("a")];
    for (index, key) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(key));
    }
}

#[test]
fn a_lost_or_swapped_identity_is_said_and_never_replaced() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Identity::open(dir.path()).unwrap();
    Identity::open(other.path()).unwrap();
    let key = dir.path().join("identity.key");
    fs::copy(other.path().join("identity.key"), &key).unwrap();
    assert!(matches!(Identity::open(dir.path()), Err(VaultError::Corrupt { .. })));
    fs::write(&key, "short").unwrap();
    assert!(matches!(Identity::open(dir.path()), Err(VaultError::Corrupt { .. })));
    fs::remove_file(&key).unwrap();
    let lost = Identity::open(dir.path()).unwrap_err();
    assert!(matches!(lost, VaultError::IdentityLost { .. }), "{lost:?}");
    assert!(!key.exists());
    fs::remove_file(dir.path().join("identity.id")).unwrap();
    Identity::open(dir.path()).unwrap();
}

#[test]
fn a_cut_between_key_and_marker_is_made_good() {
    for steps in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        cut::after(steps, 0);
        Identity::open(dir.path()).unwrap_err();
        cut::never();
        let first = Identity::open(dir.path()).unwrap().signing_key("a");
        assert_eq!(Identity::open(dir.path()).unwrap().signing_key("a"), first);
        assert!(dir.path().join("identity.id").exists());
    }
}
