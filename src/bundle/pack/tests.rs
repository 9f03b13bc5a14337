use std::io::Cursor;

use super::*;
use crate::fixture::*;
use crate::{Role, UnpackError, Unpacker, read_header};

mod independent;

#[test]
fn a_bundle_of_several_pieces_is_unpacked_as_it_was_packed() {
    let (root, boot) = (payload(1, 2 * PIECE_BYTES as usize + 1), payload(2, PIECE_BYTES as usize));
    let (header, bundle) = bundle_of(&root, &boot, authority());
    assert_eq!(install(&mut trust(), &bundle), Ok((root.clone(), boot.clone())));
    let manifest = header.manifest_unverified().unwrap();
    assert_eq!(manifest.payload(Kind::Root).pieces.len(), 3);
    assert_eq!(manifest.payload(Kind::Boot).pieces.len(), 1);
    assert_eq!(bundle_of(&root, &boot, authority()).1, bundle, "the same inputs give the same bytes");
}

#[test]
fn every_flipped_bit_of_a_bundle_is_refused() {
    let (_, bundle) = bundle_of(&payload(1, 60), &payload(2, 30), short_authority());
    let trust = trust();
    assert!(install(&mut trust.clone(), &bundle).is_ok());
    for (bit, flipped) in flipped(&bundle, 0) {
        assert!(install(&mut trust.clone(), &flipped).is_err(), "bit {bit} of {}", bundle.len() * 8);
    }
}

#[test]
fn a_bundle_that_is_cut_or_goes_on_is_refused() {
    let (header, bundle) = small();
    let manifest = trust().accept(&header, NOW).unwrap();
    let unpack = |bytes: &[u8]| {
        let (mut unpacker, mut piece) = (Unpacker::new(&manifest, bytes), Vec::new());
        while unpacker.next(&mut piece)?.is_some() {}
        Ok::<_, UnpackError>(())
    };
    let pieces = &bundle[header.raw().len()..];
    assert!(unpack(pieces).is_ok());
    for length in 0..pieces.len() {
        assert!(matches!(unpack(&pieces[..length]), Err(UnpackError::Ended { .. })), "cut at {length}");
    }
    assert!(matches!(unpack(&[pieces, &[0]].concat()), Err(UnpackError::Trailing)));
    assert!(matches!(unpack(&[pieces, pieces].concat()), Err(UnpackError::Trailing)));
}

#[test]
fn pieces_of_another_bundle_or_in_another_order_are_refused() {
    let (root, boot) = (payload(1, PIECE_BYTES as usize + 700), payload(2, 90));
    let (header, bundle) = bundle_of(&root, &boot, authority());
    let manifest = header.manifest_unverified().unwrap();
    let at = |nth| usize::try_from(manifest.offset_of(&header, nth)).unwrap();
    let swapped = [&bundle[..at(0)], &bundle[at(1)..at(2)], &bundle[at(0)..at(1)], &bundle[at(2)..]].concat();
    assert!(install(&mut trust(), &swapped).is_err());
    let (_, other) = bundle_of(&payload(3, PIECE_BYTES as usize + 700), &boot, authority());
    let mixed = [&bundle[..at(0)], &other[read_header(&mut &*other).unwrap().raw().len()..]].concat();
    assert!(install(&mut trust(), &mixed).is_err());
}

/// Each piece is right, and the hash of the whole is not: only whoever signs can make it, by a mistake.
#[test]
fn the_whole_is_checked_too() {
    let (header, bundle) = small();
    for nth in 0..2 {
        let mut manifest = header.manifest_unverified().unwrap();
        manifest.payloads[nth].blake3.0[0] ^= 1;
        let (mut unpacker, mut piece) = (Unpacker::new(&manifest, &bundle[header.raw().len()..]), Vec::new());
        let failed = loop {
            match unpacker.next(&mut piece) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a payload with the wrong hash was taken"),
                Err(error) => break error,
            }
        };
        assert!(matches!(failed, UnpackError::Whole { payload } if payload == Kind::ALL[nth]), "{failed}");
    }
}

#[test]
fn what_cannot_be_packed_is_told() {
    let none = pack(Kind::Root, Effort::Quick, &mut &b""[..], &mut Vec::new());
    assert!(matches!(none, Err(PackError::Size { kind: Kind::Root })));
    let pack_two = |source: &mut dyn Read| pack_within(2, Kind::Boot, Effort::Quick, source, &mut io::sink());
    assert!(matches!(pack_two(&mut io::repeat(0)), Err(PackError::Size { kind: Kind::Boot })));
    assert_eq!(pack_two(&mut io::repeat(0).take(2 * u64::from(PIECE_BYTES))).unwrap().pieces.len(), 2);
    let key = secret(Role::Root, 1);
    let sources = Sources { root: &mut &b"root"[..], boot: &mut &b"boot"[..], effort: Effort::Quick };
    let built = build(draft(), sources, authority(), &key, &mut Cursor::new(vec![]), &mut Vec::new());
    assert!(matches!(built, Err(PackError::Key(KeyError::WrongRole { .. }))));
}
