use super::*;
use crate::fixture::payload;

fn piece(frame: &[u8], bytes: u32) -> Piece {
    let compressed = u32::try_from(frame.len()).unwrap();
    Piece { compressed, bytes, blake3: Digest(*blake3::hash(frame).as_bytes()) }
}

fn frame(plain: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(plain, 3).unwrap()
}

/// Signed as it is, and refused all the same; nothing is left in the buffer.
#[track_caller]
fn refused(frame: &[u8], bytes: u32) {
    let mut out = b"former".to_vec();
    assert_eq!(open_piece(&piece(frame, bytes), frame, &mut out), Err(PieceError::Frame { wanted: bytes }));
    assert!(out.is_empty());
    assert!(out.capacity() <= PIECE_BYTES as usize, "{} bytes were reserved", out.capacity());
}

#[test]
fn a_piece_is_opened_into_whatever_buffer() {
    let plain = payload(1, 10_000);
    let frame = frame(&plain);
    for mut out in [vec![], b"former".to_vec(), Vec::with_capacity(100_000), vec![1; 50_000]] {
        open_piece(&piece(&frame, 10_000), &frame, &mut out).unwrap();
        assert_eq!(out, plain);
    }
}

#[test]
fn the_hash_is_checked_before_anything_else_is_done() {
    let frame = frame(&payload(1, 500));
    let piece = piece(&frame, 500);
    let mut out = Vec::new();
    for (_, flipped) in crate::fixture::flipped(&frame, 0) {
        assert_eq!(open_piece(&piece, &flipped, &mut out), Err(PieceError::Hash));
    }
    for length in 0..frame.len() {
        let wanted = PieceError::Length { found: length, wanted: piece.compressed };
        assert_eq!(open_piece(&piece, &frame[..length], &mut out), Err(wanted));
    }
    let longer = [&frame[..], &[0]].concat();
    assert!(matches!(open_piece(&piece, &longer, &mut out), Err(PieceError::Length { .. })));
    assert_eq!(out.capacity(), 0, "nothing was reserved for bytes that nobody signed");
}

#[test]
fn other_lengths_than_the_signed_one_are_refused() {
    let plain = payload(1, 500);
    refused(&frame(&plain), 499);
    refused(&frame(&plain), 501);
    refused(&frame(&plain), 0);
    refused(&frame(&plain), PIECE_BYTES);
    refused(&frame(&plain), PIECE_BYTES + 1);
    refused(&frame(&plain), u32::MAX);
}

#[test]
fn a_bomb_takes_no_memory() {
    let bomb = frame(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 64 * 1024, "{} bytes", bomb.len());
    refused(&bomb, PIECE_BYTES);
    refused(&bomb, 64 * 1024 * 1024);
    // One that says it is small: the length in its head is changed, so that only decompressing shows it.
    let content_size = 6..10;
    let mut liar = bomb;
    assert_eq!(liar[content_size.clone()], (64_u32 * 1024 * 1024).to_le_bytes());
    liar[content_size].copy_from_slice(&PIECE_BYTES.to_le_bytes());
    assert_eq!(zstd::zstd_safe::get_frame_content_size(&liar).ok().flatten(), Some(u64::from(PIECE_BYTES)));
    refused(&liar, PIECE_BYTES);
}

#[test]
fn a_piece_is_one_frame_with_its_length_in_it() {
    let plain = payload(1, 500);
    let (one, empty) = (frame(&plain), frame(b""));
    refused(&[&one[..], &empty].concat(), 500);
    refused(&[&frame(&plain[..250])[..], &frame(&plain[250..])].concat(), 500);
    refused(&[&one[..], b"\0"].concat(), 500);
    // A frame to be skipped (RFC 8878, section 3.1.2), alone and in front.
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];
    refused(&skipped, 4);
    refused(&[&skipped[..], &one].concat(), 500);
    let mut stream = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut stream, &plain).unwrap();
    refused(&stream.finish().unwrap(), 500);
    refused(&plain, 500);
    refused(b"x", 1);
}
