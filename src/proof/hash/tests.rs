use data_encoding::HEXLOWER;

use super::*;

#[test]
fn empty_trees_have_the_hash_of_no_bytes() {
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let blake3 = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(HEXLOWER.encode(&Sha256::empty()), sha256);
    assert_eq!(HEXLOWER.encode(&Blake3::empty()), blake3);
}

#[test]
fn leaves_and_nodes_are_told_apart() {
    let (left, right) = ([1; 32], [2; 32]);
    let joined = [left, right].concat();
    assert_ne!(Blake3::leaf(&joined), Blake3::node(&left, &right));
    assert_ne!(Sha256::leaf(&joined), Sha256::node(&left, &right));
    assert_eq!(Blake3::node(&left, &right), *blake3::hash(&[&[1_u8][..], &joined].concat()).as_bytes());
}

#[test]
fn hashing_in_pieces_is_hashing_at_once() {
    let chunk: Vec<u8> = (0..300_000_u32).map(|i| i as u8).collect();
    for piece in [1, 7, 64, 1024, 65_536, 300_000] {
        let mut hasher = LeafHasher::default();
        chunk[..].chunks(piece).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), Blake3::leaf(&chunk), "pieces of {piece} bytes");
    }
}
