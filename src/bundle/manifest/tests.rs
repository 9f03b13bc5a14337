use super::*;
use crate::fixture::{authority, bundle_of, manifest, payload, small};
use crate::{Refused, Role};

fn refuses(what: &str, change: impl FnOnce(&mut Manifest)) {
    let mut changed = manifest();
    change(&mut changed);
    assert!(changed.encode().is_err(), "{what}");
}

#[test]
fn manifests_are_checked() {
    manifest().encode().unwrap();
    refuses("no version", |manifest| manifest.version.clear());
    refuses("a version with a blank", |manifest| manifest.version = "1 2".to_owned());
    refuses("no hardware", |manifest| manifest.compatible.clear());
    refuses("data that it can't read", |manifest| manifest.data.reads_from = 3);
    refuses("long notes", |manifest| manifest.notes = "x".repeat(NOTES_BYTES_MAX + 1));
    refuses("escapes in the notes", |manifest| manifest.notes = "\u{1b}[2J".to_owned());
    refuses("65 inputs", |manifest| manifest.inputs = (0..65).map(|n| (n.to_string(), "1".to_owned())).collect());
    refuses("an input of two lines", |manifest| {
        manifest.inputs.insert("a".to_owned(), "1\n2".to_owned());
    });
    refuses("no payloads", |manifest| manifest.payloads.clear());
    refuses("no boot", |manifest| manifest.payloads.truncate(1));
    refuses("boot first", |manifest| manifest.payloads.reverse());
    refuses("root twice", |manifest| manifest.payloads[1].kind = Kind::Root);
    refuses("a third", |manifest| manifest.payloads.push(manifest.payloads[1].clone()));
}

#[test]
fn pieces_make_up_their_payload() {
    refuses("no pieces", |manifest| manifest.payloads[0].pieces.clear());
    refuses("nothing at all", |manifest| {
        (manifest.payloads[0].bytes, manifest.payloads[0].pieces) = (0, vec![]);
    });
    refuses("one byte more", |manifest| manifest.payloads[0].bytes += 1);
    refuses("as long as can be", |manifest| manifest.payloads[0].bytes = u64::MAX);
    refuses("a piece of nothing", |manifest| manifest.payloads[0].pieces[0].compressed = 0);
    refuses("a compressed piece that is too long", |manifest| {
        manifest.payloads[0].pieces[0].compressed = PIECE_COMPRESSED_BYTES_MAX + 1;
    });
    refuses("a piece twice", |manifest| {
        let payload = &mut manifest.payloads[0];
        payload.pieces.push(payload.pieces[0]);
        payload.bytes *= 2;
    });
    let whole = |pieces: usize| {
        move |manifest: &mut Manifest| {
            let piece = Piece { bytes: PIECE_BYTES, ..manifest.payloads[0].pieces[0] };
            manifest.payloads[0].pieces = vec![piece; pieces];
            manifest.payloads[0].bytes = pieces as u64 * u64::from(PIECE_BYTES);
        }
    };
    refuses("1025 pieces", whole(PIECES_MAX));
    let mut most = manifest();
    whole(PIECES_MAX - 1)(&mut most);
    // The longest of everything fits into the limit of a manifest.
    most.notes = "\"\\\n".repeat(NOTES_BYTES_MAX / 3);
    for payload in &mut most.payloads {
        payload.pieces.iter_mut().for_each(|piece| piece.compressed = PIECE_COMPRESSED_BYTES_MAX);
    }
    most.inputs = (0..INPUTS_MAX).map(|n| (format!("{n:0>100}"), "\"".repeat(128))).collect();
    assert_eq!(Manifest::decode(&most.encode().unwrap()), Ok(most));
}

#[test]
fn an_index_is_refused_by_this_reader() {
    let bytes = String::from_utf8(manifest().encode().unwrap()).unwrap();
    assert!(bytes.contains("\"index\":null"));
    for index in ["{}", "0", "\"Blocks\"", "[]"] {
        assert!(Manifest::decode(bytes.replace("\"index\":null", &format!("\"index\":{index}")).as_bytes()).is_err());
    }
    assert!(Manifest::decode(bytes.replace(",\"index\":null", "").as_bytes()).is_err());
}

#[test]
fn offsets_lead_to_the_pieces() {
    let (root, boot) = (payload(1, PIECE_BYTES as usize + 5), payload(2, 3));
    let (header, bundle) = bundle_of(&root, &boot, authority());
    let manifest = header.manifest_unverified().unwrap();
    let places: Vec<_> =
        manifest.pieces().map(|(place, _)| (place.payload, place.piece, place.offset_in_payload)).collect();
    assert_eq!(places, [(Kind::Root, 0, 0), (Kind::Root, 1, u64::from(PIECE_BYTES)), (Kind::Boot, 0, 0)]);
    assert_eq!(manifest.bundle_bytes(&header), bundle.len() as u64);
    for (nth, (_, piece)) in manifest.pieces().enumerate() {
        let from = usize::try_from(manifest.offset_of(&header, nth)).unwrap();
        let bytes = &bundle[from..from + piece.compressed as usize];
        assert_eq!(*blake3::hash(bytes).as_bytes(), piece.blake3.0);
    }
    assert_eq!(manifest.offset_of(&header, 3), bundle.len() as u64);
}

#[test]
fn a_transfer_goes_on_after_the_last_whole_piece() {
    let (header, bundle) = small();
    let manifest = header.manifest_unverified().unwrap();
    for received in 0..=bundle.len() as u64 + 1 {
        let point = manifest.resume_point(&header, received);
        assert_eq!(point.offset, manifest.offset_of(&header, point.whole));
        assert!(point.offset <= received || point.whole == 0);
        let next = manifest.offset_of(&header, point.whole + 1);
        assert!(next > received || point.whole == 2, "{received} bytes hold a further piece");
    }
    assert_eq!(manifest.resume_point(&header, bundle.len() as u64).whole, 2);
}

#[test]
fn a_release_must_fit_the_appliance() {
    let manifest = manifest();
    assert_eq!(manifest.check_compatible("lucid-pi5"), Ok(()));
    assert!(matches!(manifest.check_compatible("lucid-pi6"), Err(Refused::WrongCompatible { .. })));
    assert_eq!(manifest.check_epoch(3), Ok(()));
    assert_eq!(manifest.check_epoch(4), Err(Refused::BelowFloor { epoch: 3, floor: 4 }));
    assert_eq!(manifest.check_eeprom(manifest.eeprom_min), Ok(()));
    assert!(matches!(manifest.check_eeprom(manifest.eeprom_min - 1), Err(Refused::EepromTooOld { .. })));
    assert_eq!(manifest.check_data(2), Ok(()));
    assert_eq!(manifest.check_data(1), Err(Refused::DataUnreadable { generation: 1 }));
    assert_eq!(manifest.check_data(3), Err(Refused::DataUnreadable { generation: 3 }));
    assert_eq!(manifest.check_room(Kind::Root, 700), Ok(()));
    assert_eq!(manifest.check_room(Kind::Root, 699), Err(Refused::NoRoom { kind: Kind::Root, bytes: 700, room: 699 }));
}

#[test]
fn a_root_key_signs_no_manifest() {
    let bytes = manifest().encode().unwrap();
    assert!(crate::fixture::secret(Role::Root, 1).sign(DocumentKind::Manifest, &bytes).is_err());
}
