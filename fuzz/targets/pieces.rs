//! Whole bundles as an appliance takes them, and single pieces behind a right hash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lucid_bundle::limits::PIECE_BYTES;
use lucid_bundle::{Kind, Piece, Unpacker, open_piece, read_header};
use lucid_fuzz::{BOOT, NOW, ROOT, trust};
use lucid_layout::Digest;

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else { return };
    match mode {
        0 => take(bytes),
        _ => open(bytes),
    }
});

/// A bundle of any bytes. Only one was ever signed, so that whatever passes is that one's.
fn take(mut bundle: &[u8]) {
    let Ok(header) = read_header(&mut bundle) else { return };
    let Ok(manifest) = trust().accept(&header, NOW) else { return };
    let (mut unpacker, mut piece) = (Unpacker::new(&manifest, bundle), Vec::new());
    while let Ok(Some(place)) = unpacker.next(&mut piece) {
        assert_eq!(piece, if place.payload == Kind::Root { ROOT } else { BOOT });
    }
}

/// A piece that was signed as it is: its length, and any frame.
fn open(bytes: &[u8]) {
    let Some((length, frame)) = bytes.split_first_chunk() else { return };
    let bytes = u32::from_le_bytes(*length);
    let piece = Piece { compressed: frame.len() as u32, bytes, blake3: Digest(*blake3::hash(frame).as_bytes()) };
    let mut out = vec![1; 10];
    match open_piece(&piece, frame, &mut out) {
        Ok(()) => assert_eq!(out.len(), bytes as usize),
        Err(_) => assert!(out.is_empty()),
    }
    assert!(out.capacity() <= PIECE_BYTES as usize);
    let (mut damaged, mut other) = (frame.to_vec(), piece);
    if let Some(first) = damaged.first_mut() {
        *first ^= 1;
        assert!(open_piece(&piece, &damaged, &mut out).is_err() && out.is_empty());
    }
    other.compressed = other.compressed.wrapping_add(1);
    assert!(open_piece(&other, frame, &mut out).is_err() && out.is_empty());
}
