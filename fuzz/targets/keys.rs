//! Root sets, key lists, and what is kept of them. Nothing is trusted that the keys did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lucid_bundle::{Authority, DocumentKind, Header, KeyList, RootSet, SecretKey, Signed, Trust};
use lucid_fuzz::{NOW, RELEASE, authority, bundle, first_root, image, public, round_trip, signed, trust};

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else { return };
    match mode {
        0 => follow(bytes),
        1 => list(bytes),
        2 => {
            round_trip::<RootSet>(bytes);
        }
        3 => {
            round_trip::<KeyList>(bytes);
        }
        4 => framing(bytes),
        5 => kept(bytes),
        _ => channel(bytes),
    }
});

/// A second root set that all root keys have signed, whatever it says.
fn follow(bytes: &[u8]) {
    let next = signed(DocumentKind::Root, bytes, &[1, 2, 3]);
    let manifest = bundle().0.signed_manifest().clone();
    let authority = Authority { roots: vec![first_root(), next], ..authority() };
    let Ok(header) = Header::new(authority, manifest) else { return };
    let mut trust = trust();
    let before = trust.clone();
    let accepted = trust.accept(&header, NOW);
    match round_trip::<RootSet>(bytes).filter(|_| trust.root_version() == 2) {
        // The key list is of the first root set, and does not count any more.
        Some(set) => assert!(set.version == 2 && trust.is_test() && accepted.is_err()),
        None => assert!(accepted.is_err() && trust == before),
    }
}

/// A key list that the root keys have signed, whatever it says.
fn list(bytes: &[u8]) {
    let keys = signed(DocumentKind::Keys, bytes, &[1, 2]);
    let manifest = bundle().0.signed_manifest().clone();
    let Ok(header) = Header::new(Authority { roots: vec![], keys }, manifest) else { return };
    let mut trust = trust();
    let accepted = trust.accept(&header, NOW).is_ok();
    let list = round_trip::<KeyList>(bytes);
    assert!(list.is_some() || (!accepted && trust.keys_version().is_none()));
    let Some(list) = list else { return };
    let may_sign = list.keys.iter().any(|key| key.key == public(RELEASE) && key.not_after >= NOW);
    assert!(!accepted || (may_sign && !list.revoked.contains(&public(RELEASE)) && list.root_version == 1));
}

fn framing(bytes: &[u8]) {
    for kind in [DocumentKind::Root, DocumentKind::Keys, DocumentKind::Manifest, DocumentKind::Channel] {
        if let Ok(signed) = Signed::from_bytes(kind, bytes) {
            assert_eq!(signed.to_bytes(kind).expect("what was read can be written"), bytes);
        }
    }
    if let Ok(other) = Trust::from_image(bytes) {
        assert_eq!(other.root_version(), trust().root_version(), "only one root set was ever signed");
    }
    if let Ok(Ok(key)) = std::str::from_utf8(bytes).map(SecretKey::parse) {
        assert_eq!(SecretKey::parse(&key.to_text()).ok().map(|again| again.public()), Some(key.public()));
    }
}

/// Whatever lies on the state partition: nobody is trusted whom the image does not lead to.
fn kept(bytes: &[u8]) {
    let (loaded, _) = Trust::load(&image(), Some(bytes));
    assert_eq!(loaded.root_version(), 1);
    assert!(loaded.keys().iter().all(|info| info.key.key == public(RELEASE)));
    let (again, error) = Trust::load(&image(), Some(&loaded.to_bytes()));
    assert!(error.is_none() && again == loaded);
}

fn channel(bytes: &[u8]) {
    let mut trust = trust();
    if let Ok(channel) = trust.accept_channel(bytes, NOW) {
        assert_eq!(channel.sequence, 3, "only one channel was ever signed");
    }
}
