use super::*;
use crate::fixture::*;
use crate::signed::BadSignature;
use crate::{ReleaseKey, Role, SecretKey};

mod channels;
mod kept;
mod rotation;

/// What a fresh appliance says to a bundle with this key list, and a manifest that is signed by `keys`.
fn refusal(list: Signed, keys: &[u8]) -> Refused {
    let authority = Authority { roots: vec![], keys: list };
    trust().accept(&header(authority, keys), NOW).unwrap_err()
}

#[test]
fn a_bundle_is_believed() {
    let (bundle_header, bundle) = small();
    let mut trust = trust();
    assert_eq!((trust.root_version(), trust.keys_version(), trust.is_test()), (1, None, false));
    assert!(trust.keys().is_empty());
    assert_eq!(trust.accept(&bundle_header, NOW), Ok(manifest()));
    assert_eq!((trust.root_version(), trust.keys_version()), (1, Some(1)));
    let keys = trust.keys();
    assert_eq!(keys.len(), 5);
    assert_eq!(keys.iter().filter(|info| info.revoked).map(|info| info.key.key).collect::<Vec<_>>(), [public(STOLEN)]);
    assert_eq!(install(&mut trust, &bundle), Ok((payload(1, 700), payload(2, 90))), "and once more");
}

#[test]
fn release_keys_are_believed_for_what_they_are_for_and_while_they_last() {
    let refusal = |keys: &[u8]| refusal(signed_by(&key_list(1), &[1, 2]), keys);
    let unknown = |n| Refused::UnknownKey { kind: DocumentKind::Manifest, key: public(n) };
    assert_eq!(refusal(&[99]), unknown(99));
    assert_eq!(refusal(&[1]), unknown(1), "a root key is no release key");
    assert_eq!(refusal(&[STOLEN]), Refused::Revoked { key: public(STOLEN) });
    assert_eq!(refusal(&[OLD]), Refused::Expired { what: Expiring::Key, at: NOW - 1 });
    let name = format!("build machine {CHANNELS}");
    assert_eq!(refusal(&[CHANNELS]), Refused::WrongUse { name, wanted: Use::Bundle });
    for keys in [&[BOTH, BUNDLES][..], &[BOTH, 99], &[BOTH, STOLEN]] {
        assert_eq!(refusal(keys), Refused::NotOneSignature { kind: DocumentKind::Manifest, found: 2 });
    }
    let mut trust = trust();
    assert!(trust.accept(&header(authority(), &[BUNDLES]), NOW).is_ok());
    assert!(trust.accept(&header(authority(), &[BUNDLES]), NOW + 1000).is_ok(), "its last second");
    let expired = Refused::Expired { what: Expiring::Key, at: NOW + 1000 };
    assert_eq!(trust.accept(&header(authority(), &[BUNDLES]), NOW + 1001), Err(expired));
}

#[test]
fn a_key_list_needs_the_threshold_of_distinct_root_keys() {
    let list = key_list(1);
    let too_few = |found| Refused::Threshold { kind: DocumentKind::Keys, root_version: 1, found, needed: 2 };
    let unknown = |n| Refused::UnknownKey { kind: DocumentKind::Keys, key: public(n) };
    assert_eq!(refusal(signed_by(&list, &[1]), &[BOTH]), too_few(1));
    assert_eq!(refusal(signed_by(&list, &[1, 99]), &[BOTH]), unknown(99));
    assert_eq!(refusal(signed_by(&list, &[1, 2, 99]), &[BOTH]), unknown(99), "not one stranger beside them");
    assert!(
        trust().accept(&header(Authority { roots: vec![], keys: signed_by(&list, &[1, 2, 3]) }, &[BOTH]), NOW).is_ok()
    );
}

/// The framing refuses it; whoever puts it together in memory gains nothing by it either.
#[test]
fn one_key_twice_is_one_key() {
    let twice = signed_by(&key_list(1), &[1, 1]);
    let authority = Authority { roots: vec![], keys: twice.clone() };
    assert_eq!(Header::new(authority.clone(), signed_by(&manifest(), &[BOTH])), Err(LayoutError::SignedTwice));
    let too_few = Refused::Threshold { kind: DocumentKind::Keys, root_version: 1, found: 1, needed: 2 };
    assert_eq!(trust().take(&authority), Err(too_few));
}

#[test]
fn a_stolen_release_key_adds_no_keys() {
    let mut list = key_list(2);
    list.revoked.clear();
    for keys in [&[BOTH][..], &[BOTH, BUNDLES], &[BOTH, 1], &[1, 2, BOTH]] {
        let key = public(BOTH);
        let unknown = Refused::UnknownKey { kind: DocumentKind::Keys, key };
        let refused = refusal(signed_by(&list, keys), &[BOTH]);
        let other = Refused::UnknownKey { kind: DocumentKind::Keys, key: public(BUNDLES) };
        assert!(refused == unknown || refused == other, "{keys:?}: {refused}");
    }
    let next = signed_by(&root_set(2, &[BOTH, BUNDLES]), &[BOTH, BUNDLES]);
    let mut trust = trust();
    let authority = Authority { roots: vec![next], ..authority() };
    let refused = trust.accept(&header(authority, &[BOTH]), NOW).unwrap_err();
    assert_eq!(refused, Refused::Threshold { kind: DocumentKind::Root, root_version: 1, found: 0, needed: 2 });
    assert_eq!(trust.root_version(), 1);
}

#[test]
fn a_root_key_among_the_release_keys_is_refused() {
    let mut list = key_list(1);
    list.keys[0].key = public(3);
    assert_eq!(refusal(signed_by(&list, &[1, 2]), &[BUNDLES]), Refused::RootKeyListed { key: public(3) });
}

/// Documents of all kinds in each other's place, with the signatures that they have.
#[test]
fn no_document_passes_for_another() {
    let (root, keys) = (first_root(), authority().keys);
    let manifest = signed_by(&manifest(), &[BOTH]);
    let channel = signed_by(&channel(1), &[BOTH]);
    for wrong in [&root, &manifest, &channel] {
        let refused = refusal(wrong.clone(), &[BOTH]);
        assert!(matches!(refused, Refused::BadSignature(BadSignature { kind: DocumentKind::Keys, .. })), "{refused}");
    }
    for wrong in [&root, &keys, &channel] {
        let header = Header::new(authority(), wrong.clone()).unwrap();
        let refused = trust().accept(&header, NOW).unwrap_err();
        assert!(
            matches!(refused, Refused::BadSignature(BadSignature { kind: DocumentKind::Manifest, .. })),
            "{refused}"
        );
    }
    for wrong in [&keys, &channel] {
        let header = Header::new(Authority { roots: vec![wrong.clone()], ..authority() }, manifest.clone()).unwrap();
        let refused = trust().accept(&header, NOW).unwrap_err();
        assert!(matches!(refused, Refused::BadSignature(BadSignature { kind: DocumentKind::Root, .. })), "{refused}");
    }
    for wrong in [&root, &keys, &manifest] {
        let file = ChannelFile { authority: authority(), channel: wrong.clone() }.to_bytes().unwrap();
        let refused = trust().accept_channel(&file, "lucid-pi5", NOW).unwrap_err();
        assert!(
            matches!(refused, Refused::BadSignature(BadSignature { kind: DocumentKind::Channel, .. })),
            "{refused}"
        );
    }
}

/// Signed as one kind, and yet the content of another: only who has the keys can make it, and it is refused.
#[test]
fn content_of_another_kind_is_malformed_however_it_is_signed() {
    let list = signed_bytes(DocumentKind::Keys, root_set(1, &ROOTS).encode().unwrap(), &[1, 2]);
    assert!(matches!(refusal(list, &[BOTH]), Refused::Malformed(_)));
    let manifest = signed_bytes(DocumentKind::Manifest, channel(1).encode().unwrap(), &[BOTH]);
    let header = Header::new(authority(), manifest).unwrap();
    assert!(matches!(trust().accept(&header, NOW), Err(Refused::Malformed(_))));
}

#[test]
fn newer_key_lists_win_and_stay() {
    let mut trust = trust();
    let with = |list: &KeyList, keys: &[u8]| header(Authority { roots: vec![], keys: signed_by(list, &[1, 2]) }, keys);
    trust.accept(&with(&key_list(5), &[BOTH]), NOW).unwrap();
    let older = Refused::OlderKeyList { found: 4, found_root: 1, trusted: 5, trusted_root: 1 };
    assert_eq!(trust.accept(&with(&key_list(4), &[BOTH]), NOW), Err(older));
    let mut other = key_list(5);
    other.revoked.clear();
    assert_eq!(trust.accept(&with(&other, &[BOTH]), NOW), Err(Refused::KeyListDiffers { version: 5 }));
    let by_others = header(Authority { roots: vec![], keys: signed_by(&key_list(5), &[2, 3]) }, &[BOTH]);
    trust.accept(&by_others, NOW).unwrap();
    assert_eq!(trust.keys_version(), Some(5));
    trust.accept(&with(&key_list(6), &[BOTH]), NOW).unwrap();
    assert_eq!(trust.keys_version(), Some(6));
}

#[test]
fn a_revocation_sticks_even_if_the_bundle_that_brought_it_is_bad() {
    let mut trust = trust();
    trust.accept(&small().0, NOW).unwrap();
    let mut list = key_list(2);
    list.revoked.push(public(BOTH));
    let keys = signed_by(&list, &[1, 2]);
    let bad = header(Authority { roots: vec![], keys }, &[BOTH]);
    assert_eq!(trust.accept(&bad, NOW), Err(Refused::Revoked { key: public(BOTH) }));
    assert_eq!(trust.keys_version(), Some(2));
    let older = trust.accept(&small().0, NOW);
    assert!(matches!(older, Err(Refused::OlderKeyList { .. })), "the revoked key's own bundle is refused, too");
}

#[test]
fn a_refused_key_list_changes_nothing() {
    let mut trust = trust();
    trust.accept(&small().0, NOW).unwrap();
    let before = trust.clone();
    let mut damaged = signed_by(&key_list(9), &[1, 2]);
    damaged.signatures[0].signature[3] ^= 1;
    for keys in [damaged, signed_by(&key_list(9), &[1]), signed_by(&key_list(9), &[BOTH, BUNDLES])] {
        trust.accept(&header(Authority { roots: vec![], keys }, &[BOTH]), NOW).unwrap_err();
        assert_eq!(trust, before);
    }
}

#[test]
fn an_appliance_that_trusts_nobody_installs_nothing() {
    let (mut trust, error) = Trust::load(b"", None);
    assert!(matches!(error, Some(TrustError::Image(_))));
    assert_eq!((trust.root_version(), trust.is_test()), (0, false));
    assert_eq!(trust.accept(&small().0, NOW), Err(Refused::NoRoot));
    assert_eq!(trust.accept_channel(&channel_file(&channel(1), &[BOTH]), "lucid-pi5", NOW), Err(Refused::NoRoot));
}

#[test]
fn an_images_root_set_is_signed_by_its_own_threshold() {
    let set = root_set(1, &ROOTS);
    let image = |keys: &[u8]| Trust::from_image(&signed_by(&set, keys).to_bytes(DocumentKind::Root).unwrap());
    assert!(image(&[1, 2]).is_ok() && image(&[1, 2, 3]).is_ok());
    assert!(image(&[1, 2, 9]).is_ok(), "its predecessor's keys may have signed it, too");
    let too_few = Refused::Threshold { kind: DocumentKind::Root, root_version: 1, found: 1, needed: 2 };
    assert_eq!(image(&[3]), Err(TrustError::Image(too_few)));
    let strangers = Refused::Threshold { kind: DocumentKind::Root, root_version: 1, found: 1, needed: 2 };
    assert_eq!(image(&[3, 8, 9]), Err(TrustError::Image(strangers)));
    let bytes = crate::fixture::image();
    for length in 0..bytes.len() {
        assert!(Trust::from_image(&bytes[..length]).is_err());
    }
    for (bit, flipped) in flipped(&bytes, 0) {
        assert!(Trust::from_image(&flipped).is_err(), "bit {bit}");
    }
}

/// Every way in which a refusal can be shown says what to do, and none repeats a whole document.
#[test]
fn refusals_say_what_to_do() {
    let refusals = [
        refusal(signed_by(&key_list(1), &[1]), &[BOTH]),
        refusal(signed_by(&key_list(1), &[1, 2]), &[STOLEN]),
        Refused::RootGap { found: 3, trusted: 1 },
        Refused::Expired { what: Expiring::Channel, at: 1 },
    ];
    for refused in refusals {
        let text = refused.to_string();
        assert!(text.contains("; ") && !text.ends_with('.') && text.len() < 300, "{text}");
    }
}

#[test]
fn keys_made_by_the_key_file_are_the_same() {
    let made = SecretKey::parse(&secret(Role::Release, BOTH).to_text()).unwrap();
    let listed = ReleaseKey { key: made.public(), ..release_key(BOTH, &[Use::Bundle]) };
    assert_eq!(listed, release_key(BOTH, &[Use::Bundle]));
}
