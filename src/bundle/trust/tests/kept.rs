//! What is kept on the state partition, lost, damaged or of another image.

use super::*;

/// An appliance that has followed to root set 2, and has seen a key list and a channel.
fn lived() -> Trust {
    let next = signed_by(&root_set(2, &[3, 4, 5]), &[1, 2, 4, 5]);
    let keys = signed_by(&KeyList { root_version: 2, ..key_list(8) }, &[4, 5]);
    let authority = Authority { roots: vec![first_root(), next], keys };
    let mut trust = trust();
    let file = ChannelFile { authority, channel: signed_by(&channel(7), &[CHANNELS]) };
    trust.accept_channel(&file.to_bytes().unwrap(), "lucid-pi5", NOW).unwrap();
    trust
}

#[test]
fn what_is_kept_is_read_again() {
    let trust = lived();
    assert_eq!(Trust::load(&image(), Some(&trust.to_bytes())), (trust, None));
    let fresh = crate::fixture::trust();
    assert_eq!(Trust::load(&image(), Some(&fresh.to_bytes())), (fresh.clone(), None));
    assert_eq!(Trust::load(&image(), None), (fresh, None));
}

/// An update brings an image with the second root set; then the appliance goes back to the former image.
#[test]
fn a_newer_image_goes_on_and_so_does_the_former_one_after_it() {
    let kept = lived();
    let of_bundle = kept.roots[1].signed.to_bytes(DocumentKind::Root).unwrap();
    let own = signed_by(&root_set(2, &[3, 4, 5]), &[4, 5]).to_bytes(DocumentKind::Root).unwrap();
    for newer in [of_bundle, own] {
        let (trust, error) = Trust::load(&newer, Some(&kept.to_bytes()));
        assert_eq!((&trust, error), (&kept, None));
        assert_eq!(Trust::load(&image(), Some(&trust.to_bytes())), (kept.clone(), None));
    }
}

/// Its signers are believed by no image that has a newer root set, even if they are kept.
#[test]
fn a_list_that_is_older_than_the_images_root_set_does_not_count() {
    let mut kept = trust();
    kept.accept(&small().0, NOW).unwrap();
    let next = signed_by(&root_set(2, &[3, 4, 5]), &[1, 2, 4, 5]);
    kept.follow(&next).unwrap();
    assert_eq!(kept.keys_version(), Some(1));
    let (trust, error) = Trust::load(&next.to_bytes(DocumentKind::Root).unwrap(), Some(&kept.to_bytes()));
    assert_eq!((error, trust.root_version(), trust.keys_version()), (None, 2, None));
}

/// A predecessor that was made up leads to nobody: the image's own root set and what follows it decide.
#[test]
fn predecessors_that_were_made_up_add_nobody() {
    let mut forged = lived();
    let evil = RootSet { keys: [1, 2, 90, 91].map(public).to_vec(), ..root_set(1, &[]) };
    forged.roots[0] = Root { signed: signed_by(&evil, &[90, 91]), set: evil };
    let list = KeyList { keys: vec![release_key(92, &[Use::Bundle])], ..key_list(99) };
    forged.keys = Some(Listed { signed: signed_by(&list, &[90, 91]), list });
    let second = forged.roots[1].signed.to_bytes(DocumentKind::Root).unwrap();
    let (trust, _) = Trust::load(&second, Some(&forged.to_bytes()));
    assert_eq!((trust.root_version(), trust.keys()), (2, vec![]));
    let (trust, error) = Trust::load(&image(), Some(&forged.to_bytes()));
    assert_eq!((trust, error), (crate::fixture::trust(), Some(TrustError::OtherImage { kept: 1, image: 1 })));
}

#[test]
fn damage_is_told_and_the_image_is_used() {
    let bytes = lived().to_bytes();
    let fresh = trust();
    for length in 0..bytes.len() {
        let (trust, error) = Trust::load(&image(), Some(&bytes[..length]));
        assert!(matches!(error, Some(TrustError::Kept(_))), "cut at {length}");
        assert_eq!(trust, fresh);
    }
    let zeros = vec![0; 4096];
    for garbage in [&b""[..], b"{}", b"null", &zeros, &vec![b'['; 100_000], &vec![b' '; 600_000]] {
        let (trust, error) = Trust::load(&image(), Some(garbage));
        assert!(matches!(error, Some(TrustError::Kept(_))));
        assert_eq!(trust, fresh);
    }
}

/// A flipped bit may change what was seen of the channel, which no signature protects; never who is trusted. One bit of
/// each byte: each costs the check of a chain.
#[test]
fn no_flipped_bit_adds_trust() {
    let (kept, fresh) = (lived(), trust());
    let bytes = kept.to_bytes();
    for (bit, flipped) in flipped(&bytes, 0).filter(|(bit, _)| bit % 8 == bit / 8 % 7) {
        match fresh.descend(&flipped) {
            Ok(trust) => {
                assert_eq!(trust.roots, kept.roots, "bit {bit}");
                assert!(trust.keys.is_none() || trust.keys == kept.keys, "bit {bit}");
            }
            Err(error) => assert_eq!(Trust::load(&image(), Some(&flipped)), (fresh.clone(), Some(error)), "bit {bit}"),
        }
    }
}

#[test]
fn kept_test_keys_never_win_over_a_release_image() {
    let set = |version, purpose| RootSet { purpose, ..root_set(version, &ROOTS) };
    let test_image = signed_by(&set(1, Purpose::Test), &[1, 2]).to_bytes(DocumentKind::Root).unwrap();
    let mut test = Trust::from_image(&test_image).unwrap();
    for version in 2..=5 {
        test.follow(&signed_by(&set(version, Purpose::Test), &[1, 2])).unwrap();
    }
    assert!(test.is_test());
    let (trust, error) = Trust::load(&image(), Some(&test.to_bytes()));
    assert_eq!(error, Some(TrustError::OtherImage { kept: 1, image: 1 }));
    assert_eq!(trust, crate::fixture::trust());
    // Nor where they are put behind the image's own root set.
    let mut forged = crate::fixture::trust();
    forged.roots.extend(test.roots[1..].iter().cloned());
    let (trust, error) = Trust::load(&image(), Some(&forged.to_bytes()));
    let changed = KeptError::Refused(Refused::PurposeChanged { version: 2 });
    assert_eq!((trust, error), (crate::fixture::trust(), Some(TrustError::Kept(changed))));
}

/// Whoever can write the state partition, and has no keys, adds none.
#[test]
fn what_was_kept_cannot_be_made_up() {
    let mut forged = trust();
    let evil = root_set(2, &[90, 91, 92]);
    forged.roots.push(Root { signed: signed_by(&evil, &[90, 91]), set: evil });
    let (trust, error) = Trust::load(&image(), Some(&forged.to_bytes()));
    assert!(matches!(error, Some(TrustError::Kept(KeptError::Refused(Refused::Threshold { .. })))));
    assert_eq!(trust, crate::fixture::trust());

    let mut forged = crate::fixture::trust();
    let mut list = key_list(9);
    list.keys.push(release_key(90, &[Use::Bundle]));
    forged.keys = Some(Listed { signed: signed_by(&list, &[90, 91]), list });
    let (trust, error) = Trust::load(&image(), Some(&forged.to_bytes()));
    assert!(matches!(error, Some(TrustError::Kept(KeptError::Refused(_)))));
    assert_eq!(trust, crate::fixture::trust());
}
