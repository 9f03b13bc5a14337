//! One root set after the other.

use super::*;

const SECOND: [u8; 3] = [3, 4, 5];
const THIRD: [u8; 3] = [5, 6, 7];

fn second() -> Signed {
    signed_by(&root_set(2, &SECOND), &[1, 2, 4, 5])
}

fn third() -> Signed {
    signed_by(&root_set(3, &THIRD), &[3, 4, 6, 7])
}

/// A key list under that root set.
fn list(version: u64, root_version: u64, keys: &[u8]) -> Signed {
    signed_by(&KeyList { root_version, ..key_list(version) }, keys)
}

fn with(roots: &[Signed], keys: Signed) -> Header {
    header(Authority { roots: roots.to_vec(), keys }, &[BOTH])
}

#[test]
fn one_bundle_leads_from_the_first_to_the_third() {
    let bundle = with(&[first_root(), second(), third()], list(1, 3, &[6, 7]));
    let mut trust = trust();
    trust.accept(&bundle, NOW).unwrap();
    assert_eq!((trust.root_version(), trust.keys_version()), (3, Some(1)));
    trust.accept(&bundle, NOW).unwrap();
    let from_second = with(&[second(), third()], list(1, 3, &[6, 7]));
    trust.accept(&from_second, NOW).unwrap();
    trust.accept(&with(&[], list(1, 3, &[5, 6])), NOW).unwrap();
    assert_eq!(trust.root_version(), 3);
}

#[test]
fn an_appliance_in_the_middle_goes_on_from_there() {
    let mut trust = trust();
    trust.accept(&with(&[first_root(), second()], list(1, 2, &[4, 5])), NOW).unwrap();
    trust.accept(&with(&[first_root(), second(), third()], list(1, 3, &[6, 7])), NOW).unwrap();
    assert_eq!(trust.root_version(), 3);
}

#[test]
fn a_new_root_set_needs_both_thresholds() {
    let next = root_set(2, &SECOND);
    let too_few = |root_version, found| Refused::Threshold { kind: DocumentKind::Root, root_version, found, needed: 2 };
    for (keys, refused) in [
        (&[4, 5][..], too_few(1, 0)),
        (&[3, 4, 5], too_few(1, 1)),
        (&[1, 4, 5], too_few(1, 1)),
        (&[1, 2], too_few(2, 0)),
        (&[1, 2, 4], too_few(2, 1)),
        (&[1, 2, 4, 5, 9], Refused::UnknownKey { kind: DocumentKind::Root, key: public(9) }),
    ] {
        let mut trust = trust();
        let bundle = with(&[first_root(), signed_by(&next, keys)], list(1, 2, &[4, 5]));
        assert_eq!(trust.accept(&bundle, NOW), Err(refused), "{keys:?}");
        assert_eq!((trust.root_version(), trust.keys_version()), (1, None));
    }
    // Key 3 is in both, and counts for both.
    let both = with(&[signed_by(&next, &[1, 3, 4])], list(1, 2, &[4, 5]));
    trust().accept(&both, NOW).unwrap();
}

#[test]
fn a_root_set_is_not_skipped() {
    let gap = Refused::RootGap { found: 3, trusted: 1 };
    for roots in [&[third()][..], &[first_root(), third()]] {
        assert_eq!(trust().accept(&with(roots, list(1, 3, &[6, 7])), NOW), Err(gap.clone()));
    }
    // Not even where the old keys have signed it.
    let jump = signed_by(&root_set(3, &SECOND), &[1, 2, 4, 5]);
    assert_eq!(trust().accept(&with(&[jump], list(1, 3, &[4, 5])), NOW), Err(gap));
}

#[test]
fn root_sets_do_not_go_back() {
    let mut trust = trust();
    trust.accept(&with(&[second(), third()], list(1, 3, &[6, 7])), NOW).unwrap();
    let before = trust.clone();
    let older = Refused::OlderRoot { found: 1, trusted: 3 };
    assert_eq!(trust.accept(&with(&[first_root(), second()], list(9, 2, &[4, 5])), NOW), Err(older));
    assert!(trust.accept(&with(&[], list(9, 1, &[1, 2])), NOW).is_err(), "a list by former root keys");
    let other = signed_by(&root_set(3, &SECOND), &[3, 4, 5]);
    assert_eq!(trust.accept(&with(&[other], list(9, 3, &[6, 7])), NOW), Err(Refused::RootDiffers { version: 3 }));
    assert_eq!(trust, before);
}

#[test]
fn roots_out_of_order_or_twice_are_refused() {
    let keys = || list(1, 3, &[6, 7]);
    let older = Refused::OlderRoot { found: 2, trusted: 3 };
    assert_eq!(trust().accept(&with(&[second(), third(), second()], keys()), NOW), Err(older));
    assert!(trust().accept(&with(&[third(), second(), first_root()], keys()), NOW).is_err());
    let again = trust().accept(&with(&[second(), second()], keys()), NOW);
    assert_eq!(again, Err(Refused::RootDiffers { version: 2 }));
}

#[test]
fn what_is_valid_is_kept_up_to_what_is_not() {
    let mut trust = trust();
    let mut damaged = third();
    damaged.signatures.truncate(1);
    let bundle = with(&[first_root(), second(), damaged], list(1, 3, &[6, 7]));
    assert!(matches!(trust.accept(&bundle, NOW), Err(Refused::Threshold { root_version: 2, .. })));
    assert_eq!(trust.root_version(), 2);
    trust.accept(&with(&[third()], list(1, 3, &[6, 7])), NOW).unwrap();
}

#[test]
fn a_key_list_is_of_the_newest_root_set() {
    let other = |named| Refused::KeyListOfOtherRoot { named, trusted: 2 };
    for named in [1, 3] {
        let mut trust = trust();
        assert_eq!(trust.accept(&with(&[second()], list(1, named, &[4, 5])), NOW), Err(other(named)));
    }
}

/// Whoever had stolen the old root keys may have issued a list with the highest number that there is.
#[test]
fn a_new_root_set_ends_what_stolen_root_keys_began() {
    let mut trust = trust();
    trust.accept(&with(&[], list(u64::MAX, 1, &[1, 2])), NOW).unwrap();
    trust.accept(&with(&[second()], list(1, 2, &[4, 5])), NOW).unwrap();
    assert_eq!((trust.root_version(), trust.keys_version()), (2, Some(1)));
}

/// Between a new root set and its key list the old list goes on: else a bundle without one would take the keys away.
#[test]
fn the_former_list_stays_until_the_next_one_comes() {
    let mut trust = trust();
    trust.accept(&with(&[], list(4, 1, &[1, 2])), NOW).unwrap();
    trust.accept(&with(&[second()], list(4, 1, &[1, 2])), NOW).unwrap();
    assert_eq!((trust.root_version(), trust.keys_version()), (2, Some(4)));
    assert!(trust.accept(&with(&[second()], list(9, 1, &[1, 2])), NOW).is_err(), "and no further one of its kind");
}

#[test]
fn test_keys_never_follow_release_keys() {
    for (from, to) in [(Purpose::Release, Purpose::Test), (Purpose::Test, Purpose::Release)] {
        let first = signed_by(&RootSet { purpose: from, ..root_set(1, &ROOTS) }, &[1, 2]);
        let next = signed_by(&RootSet { purpose: to, ..root_set(2, &SECOND) }, &[1, 2, 4, 5]);
        let mut trust = Trust::from_image(&first.to_bytes(DocumentKind::Root).unwrap()).unwrap();
        assert_eq!(trust.is_test(), from == Purpose::Test);
        let changed = trust.accept(&with(&[next], list(1, 2, &[4, 5])), NOW);
        assert_eq!(changed, Err(Refused::PurposeChanged { version: 2 }));
        assert_eq!(trust.root_version(), 1);
    }
}

#[test]
fn the_chain_of_root_sets_is_bounded() {
    let mut trust = trust();
    for version in 2..=ROOT_CHAIN_MAX as u64 {
        trust.follow(&signed_by(&root_set(version, &ROOTS), &[1, 2])).unwrap();
    }
    assert!(trust.to_bytes().len() <= crate::limits::TRUST_BYTES_MAX);
    let next = signed_by(&root_set(ROOT_CHAIN_MAX as u64 + 1, &ROOTS), &[1, 2]);
    assert_eq!(trust.follow(&next), Err(Refused::TooManyRoots));
    assert_eq!(Trust::load(&image(), Some(&trust.to_bytes())), (trust, None));
}
