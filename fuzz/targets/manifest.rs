//! Manifests and channels, and headers around them. What is accepted is exactly what was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lucid_bundle::{Channel, ChannelFile, DocumentKind, Header, Manifest};
use lucid_fuzz::{NOW, RELEASE, authority, round_trip, signed, trust};

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else { return };
    match mode {
        0 => {
            round_trip::<Manifest>(bytes);
        }
        1 => accept(bytes),
        2 => accept_channel(bytes),
        _ => parse(bytes),
    }
});

/// A manifest that the release key has signed, whatever it says.
fn accept(bytes: &[u8]) {
    let Ok(header) = Header::new(authority(), signed(DocumentKind::Manifest, bytes, &[RELEASE])) else { return };
    let accepted = trust().accept(&header, NOW).ok();
    assert_eq!(accepted, round_trip::<Manifest>(bytes));
    let Some(manifest) = accepted else { return };
    let end = manifest.bundle_bytes(&header);
    let mut at = header.bytes;
    for (nth, (place, piece)) in manifest.pieces().enumerate() {
        assert_eq!(manifest.offset_of(&header, nth), at);
        assert!(place.offset_in_payload + u64::from(piece.bytes) <= manifest.payload(place.payload).bytes);
        at += u64::from(piece.compressed);
    }
    assert_eq!(at, end);
    assert_eq!(manifest.resume_point(&header, end).offset, end);
}

/// A channel that the release key has signed, whatever it says.
fn accept_channel(bytes: &[u8]) {
    let file = ChannelFile { authority: authority(), channel: signed(DocumentKind::Channel, bytes, &[RELEASE]) };
    let Ok(file) = file.to_bytes() else { return };
    let accepted = trust().accept_channel(&file, NOW).ok();
    let read = round_trip::<Channel>(bytes);
    assert_eq!(accepted, read.filter(|channel| channel.expires >= NOW));
}

fn parse(bytes: &[u8]) {
    if let Ok(header) = Header::parse(bytes) {
        let again = Header::new(header.authority().clone(), header.signed_manifest().clone());
        assert_eq!(again.expect("what was read can be written").raw(), bytes);
        // Only one manifest was ever signed.
        assert!(trust().accept(&header, NOW).is_err() || header.signed_manifest().bytes == own_manifest());
    }
}

fn own_manifest() -> Vec<u8> {
    lucid_fuzz::bundle().0.signed_manifest().bytes.clone()
}
