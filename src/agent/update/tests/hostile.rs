//! Bundles that must not be installed, and what must not happen while they are refused: no byte of theirs reaches a
//! disk.

use lucid_agent_protocol::RefusalCode;
use lucid_agent_protocol::update::Phase;
use lucid_bundle::{Authority, DocumentKind, Header};
use lucid_layout::update::DataFormat;
use lucid_layout::{Digest, Partition, Slot};
use proptest::prelude::*;

use super::bundles::{
    Bundle, CHANNELS, EXPIRED, RELEASE, STOLEN, STRANGER, authority, bundle, bundle_by, draft, key_list, root_set,
    signed,
};
use super::rig::{Rig, former, new, refused, running, small};
use super::world::Event;

/// Refused, and nothing was written to any partition.
#[track_caller]
fn untouched(rig: &Rig, bytes: &[u8], code: RefusalCode, words: &str) {
    refused(rig.send_bytes(bytes), code, words);
    let log = rig.world.with(|inner| inner.log.clone());
    assert!(!log.iter().any(|event| matches!(event, Event::Write { .. })), "{words}: something was written");
    assert!(rig.holds(Slot::B, &[former()]).is_some());
    assert_eq!(rig.phase(), Phase::Idle {}, "{words}");
}

#[test]
fn who_may_not_sign_is_refused() {
    let rig = Rig::new();
    let good = bundle(&small());
    for (key, words) in [(STRANGER, "not trusted"), (EXPIRED, "ended"), (CHANNELS, "may not sign this")] {
        untouched(&rig, &good.signed_anew(authority(), key).bytes, RefusalCode::Untrusted, words);
    }
    // A stolen release key can't add a key: the list is the root keys'.
    let mut list = key_list(2, 1, &[]);
    list.keys[0].key = super::bundles::secret(lucid_bundle::Role::Release, STRANGER).public();
    let json = lucid_bundle::Document::encode(&list).unwrap();
    let own = |key| lucid_bundle::Signed {
        signatures: vec![
            super::bundles::secret(lucid_bundle::Role::Root, key).sign(DocumentKind::Keys, &json).unwrap(),
        ],
        bytes: json.clone(),
    };
    for key in [STOLEN, 1] {
        let forged = good.signed_anew(Authority { roots: vec![], keys: own(key) }, STRANGER);
        untouched(&rig, &forged.bytes, RefusalCode::Untrusted, "");
    }
    assert_eq!(rig.send(&good), Ok(()));
}

#[test]
fn a_revocation_and_a_new_root_stick_even_if_the_bundle_is_refused() {
    let mut rig = Rig::new();
    let good = bundle(&small());
    let revoking = Authority { roots: vec![], keys: signed(&key_list(2, 1, &[STOLEN]), &[2, 3]) };
    untouched(&rig, &good.signed_anew(revoking, STOLEN).bytes, RefusalCode::Untrusted, "revoked");
    rig.agent_restarted();
    untouched(&rig, &good.signed_anew(authority(), STOLEN).bytes, RefusalCode::Untrusted, "older");
    // New root keys: by the thresholds of the old and the new.
    let next = |signers: &[u8]| Authority {
        roots: vec![signed(&root_set(2, &[3, 4, 5]), signers)],
        keys: signed(&key_list(1, 2, &[STOLEN]), &[4, 5]),
    };
    untouched(&rig, &good.signed_anew(next(&[4, 5]), RELEASE).bytes, RefusalCode::Untrusted, "signatures of root set");
    untouched(&rig, &good.signed_anew(next(&[1, 2]), RELEASE).bytes, RefusalCode::Untrusted, "signatures of root set");
    untouched(&rig, &good.signed_anew(next(&[1, 3, 4]), STRANGER).bytes, RefusalCode::Untrusted, "not trusted");
    rig.agent_restarted();
    assert_eq!(rig.updates.report().trust.root_version, Some(2), "kept although the bundle was refused");
    assert_eq!(rig.send(&good.signed_anew(next(&[1, 3, 4]), RELEASE)), Ok(()));
}

#[test]
fn what_is_not_for_this_box_is_refused() {
    let rig = Rig::new();
    let content = small();
    let with = |change: &dyn Fn(&mut lucid_bundle::Draft)| {
        let mut draft = draft(&content.release);
        change(&mut draft);
        bundle_by(draft, &content, authority(), RELEASE).bytes
    };
    let code = RefusalCode::Unsuitable;
    untouched(&rig, &with(&|draft| draft.compatible = "other-board".to_owned()), code, "other-board");
    untouched(&rig, &with(&|draft| draft.epoch = 2), code, "epoch 2");
    untouched(&rig, &with(&|draft| draft.eeprom_min = u64::from(u32::MAX)), code, "EEPROM");
    untouched(&rig, &with(&|draft| draft.data = DataFormat { generation: 99, reads_from: 99 }), code, "read data");
    untouched(&rig, &with(&|draft| draft.data = DataFormat { generation: 1, reads_from: 0 }), code, "read data");
    untouched(&rig, &with(&|draft| draft.build_id = running().release.build_id), code, "runs already");
    let (mut wide, mut tall) = (small(), small());
    wide.boot.resize(6 * 1024 * 1024 + 1, 0);
    tall.root.resize(10 * 1024 * 1024 + 1, 0);
    untouched(&rig, &bundle(&wide).bytes, code, "boot payload");
    untouched(&rig, &bundle(&tall).bytes, code, "root payload");
}

#[test]
fn what_is_no_bundle_is_refused() {
    let rig = Rig::new();
    let good = bundle(&small());
    untouched(&rig, b"", RefusalCode::Malformed, "ends early");
    untouched(&rig, b"LUCIDUP2xxxxxxxx", RefusalCode::Malformed, "no update bundle");
    let header = usize::try_from(good.header.bytes).unwrap();
    for cut in [1, 8, 11, 12, 13, header / 2, header - 1] {
        untouched(&rig, &good.bytes[..cut], RefusalCode::Malformed, "ends early");
    }
    // Lengths that no memory has: of the header, of a document, of the root sets.
    for (at, length) in [(8, u32::MAX), (8, 1024 * 1024 + 1), (13, u32::MAX), (13, 256 * 1024)] {
        let mut bytes = good.bytes.clone();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        untouched(&rig, &bytes, RefusalCode::Malformed, "");
    }
    let mut endless = good.bytes.clone();
    endless.push(0);
    refused(rig.send_bytes(&endless), RefusalCode::Malformed, "followed by");
    assert_eq!(rig.send_rest(&good), Ok(()));
}

#[test]
fn a_manifest_that_lies_about_its_pieces_is_found_out() {
    // Signed by a release key that was stolen, and not yet revoked: the boot payload is another than the manifest says.
    let rig = Rig::new();
    let good = bundle(&small());
    let mut manifest = good.header.manifest_unverified().unwrap();
    manifest.payloads[1].blake3 = Digest([0; 32]);
    let header = Header::new(authority(), signed(&manifest, &[STOLEN])).unwrap();
    let pieces = &good.bytes[usize::try_from(good.header.bytes).unwrap()..];
    refused(rig.send_bytes(&[header.raw(), pieces].concat()), RefusalCode::Failed, "does not read as it was written");
    assert_eq!(rig.phase(), Phase::Idle {});
    assert_eq!(super::rig::walk(&rig.world.lasting()), [Slot::A], "what was written can't be booted");
    // A frame that gives more than it says.
    let mut manifest = good.header.manifest_unverified().unwrap();
    let (payload, less) = (&mut manifest.payloads[1], 512);
    (payload.bytes, payload.pieces[0].bytes) = (payload.bytes - less, payload.pieces[0].bytes - less as u32);
    let header = Header::new(authority(), signed(&manifest, &[STOLEN])).unwrap();
    refused(rig.send_bytes(&[header.raw(), pieces].concat()), RefusalCode::Untrusted, "");
    assert_eq!(rig.send(&good), Ok(()));
}

/// One bit of a piece is another: the piece and all after it stay out.
#[test]
fn a_flipped_bit_in_any_piece_stops_there() {
    let good = bundle(&new());
    let manifest = good.header.manifest_unverified().unwrap();
    for (number, (place, piece)) in manifest.pieces().enumerate() {
        let rig = Rig::new();
        let mut bytes = good.bytes.clone();
        let begin = manifest.offset_of(&good.header, number);
        bytes[usize::try_from(begin).unwrap() + piece.compressed as usize / 2] ^= 1;
        refused(rig.send_bytes(&bytes), RefusalCode::Untrusted, "not the one that was signed");
        let (partition, at) = match place.payload {
            lucid_bundle::Kind::Root => (Partition::RootB, place.offset_in_payload),
            lucid_bundle::Kind::Boot => (Partition::BootB, place.offset_in_payload),
        };
        let beyond = |event: &Event| match event {
            Event::Write { partition: written, offset, bytes } => {
                *written == partition && (*offset + bytes.len()) as u64 > at && bytes.len() > 512
            }
            _ => false,
        };
        assert!(!rig.world.with(|inner| inner.log.iter().any(beyond)), "piece {number} was written");
        assert_eq!(super::rig::walk(&rig.world.lasting()), [Slot::A]);
        assert!(matches!(rig.phase(), Phase::Writing { offset, .. } if offset == begin), "{:?}", rig.phase());
        // What was right goes on with what is right.
        assert_eq!(rig.send_rest(&good), Ok(()));
        assert!(rig.holds(Slot::B, &[new()]).is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bit is flipped: either nothing is taken, or the slot is what was signed.
    #[test]
    fn a_flipped_bit_anywhere_installs_nothing_else(place in 0.0..1.0_f64, in_header in any::<bool>(), bit in 0..8_u8) {
        thread_local!(static GOOD: Bundle = bundle(&small()));
        let good = GOOD.with(Clone::clone);
        let length = if in_header { good.header.bytes as usize } else { good.bytes.len() };
        let mut bytes = good.bytes.clone();
        bytes[((length as f64) * place) as usize] ^= 1 << bit;
        let rig = Rig::new();
        prop_assert!(rig.send_bytes(&bytes).is_err());
        let is_written = matches!(rig.phase(), Phase::Written { .. });
        prop_assert!(!is_written);
        prop_assert!(rig.holds(Slot::A, &[running()]).is_some());
        let is_whole = |slot| rig.holds(slot, &[running(), former(), small()]).is_some();
        prop_assert!(super::rig::walk(&rig.world.lasting()).into_iter().all(is_whole));
    }

    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic in any::<bool>()) {
        let rig = Rig::new();
        let bytes = if magic { [b"LUCIDUP1".as_slice(), &bytes].concat() } else { bytes };
        prop_assert!(rig.send_bytes(&bytes).is_err());
        prop_assert!(rig.world.with(|inner| inner.opened.is_empty()));
    }
}

#[test]
fn a_bundle_of_a_newer_box_still_has_its_header() {
    // The control: what `signed_anew` makes is accepted if nothing is wrong with it.
    let rig = Rig::new();
    let good = bundle(&small());
    let same = Bundle::of(good.signed_anew(authority(), RELEASE).bytes);
    assert_eq!(same.id(), good.id(), "signatures of these keys are the same each time");
    assert_eq!(rig.send(&same), Ok(()));
}
