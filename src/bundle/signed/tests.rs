use proptest::prelude::*;

use super::*;
use crate::fixture::{first_root, public, signed_bytes};

const KINDS: [DocumentKind; 4] =
    [DocumentKind::Root, DocumentKind::Keys, DocumentKind::Manifest, DocumentKind::Channel];

#[test]
fn a_signature_is_valid_for_its_bytes_and_its_kind_alone() {
    for made in KINDS {
        let signed = signed_bytes(made, b"bytes".to_vec(), &[1, 2]);
        for read in KINDS {
            let signers = signed.signers(read);
            match made == read {
                true => assert_eq!(signers, Ok(BTreeSet::from([public(1), public(2)]))),
                false => assert_eq!(signers, Err(BadSignature { kind: read, key: public(1) }), "{made} as {read}"),
            }
        }
        let other = Signed { bytes: b"Bytes".to_vec(), ..signed };
        assert!(other.signers(made).is_err());
    }
}

/// A byte moved from the document into the kind's name, or a kind that begins another, must not give the same message.
#[test]
fn messages_of_different_kinds_differ() {
    let tail = |kind: DocumentKind| [kind.name().as_bytes(), &[0], b"bytes"].concat();
    for (one, other) in
        KINDS.iter().flat_map(|one| KINDS.map(|other| (*one, other))).filter(|(one, other)| one != other)
    {
        assert!(!tail(one).ends_with(&tail(other)) && !tail(one).starts_with(other.name().as_bytes()), "{one} {other}");
    }
}

#[test]
fn a_document_is_read_as_it_was_written() {
    let bytes = first_root().to_bytes(DocumentKind::Root).unwrap();
    assert_eq!(Signed::from_bytes(DocumentKind::Root, &bytes), Ok(first_root()));
    for length in 0..bytes.len() {
        assert!(Signed::from_bytes(DocumentKind::Root, &bytes[..length]).is_err(), "cut at {length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    let trailing = LayoutError::Trailing { what: "a signed document", bytes: 1 };
    assert_eq!(Signed::from_bytes(DocumentKind::Root, &longer), Err(trailing));
}

#[test]
fn lengths_and_counts_are_bounded_on_both_sides() {
    for kind in KINDS {
        let max = kind.bytes_max();
        let with = |length: usize, signers: &[u8]| signed_bytes(kind, vec![b'x'; length], signers).to_bytes(kind);
        assert!(with(max, &[1]).is_ok() && with(1, &[1]).is_ok());
        assert!(with(max + 1, &[1]).is_err() && with(0, &[1]).is_err() && with(1, &[]).is_err());
        let many: Vec<_> = (1..=17).collect();
        assert!(with(1, &many[..16]).is_ok() && with(1, &many).is_err());
        assert_eq!(with(1, &[1, 1]), Err(LayoutError::SignedTwice));

        for length in [0, u32::try_from(max).unwrap() + 1, u32::MAX] {
            let claimed = [&length.to_le_bytes()[..], &[0; 200]].concat();
            assert!(matches!(Signed::from_bytes(kind, &claimed), Err(LayoutError::Limit { .. })), "{kind} {length}");
        }
    }
    let mut twice = signed_bytes(DocumentKind::Root, b"bytes".to_vec(), &[1, 2]).to_bytes(DocumentKind::Root).unwrap();
    let (first, second) = (10..10 + 96, 10 + 96);
    twice.copy_within(first, second);
    assert_eq!(Signed::from_bytes(DocumentKind::Root, &twice), Err(LayoutError::SignedTwice));
    for count in [0, 17, 255] {
        twice[9] = count;
        assert!(matches!(Signed::from_bytes(DocumentKind::Root, &twice), Err(LayoutError::Limit { .. })), "{count}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in KINDS {
            if let Ok(signed) = Signed::from_bytes(kind, &bytes) {
                prop_assert_eq!(signed.to_bytes(kind).unwrap(), bytes.clone());
            }
        }
    }
}
