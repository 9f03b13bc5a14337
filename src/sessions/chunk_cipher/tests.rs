//! Against another implementation, which reads what this one writes, and the other way round.

use chacha20poly1305::{AeadInPlace as _, KeyInit as _, Tag, XChaCha20Poly1305, XNonce};

use super::*;

/// One key for a whole test.
fn key() -> SessionKey {
    let dir = tempfile::tempdir().unwrap();
    lucid_vault::Vault::open(dir.path(), dir.path()).unwrap().new_session_key().unwrap().0
}

#[test]
fn it_is_the_cipher_that_others_know() {
    let (key, mut rng) = (key(), fastrand::Rng::with_seed(5));
    let other = XChaCha20Poly1305::new(key.expose().into());
    for bytes in [0, 1, 15, 16, 17, 63, 64, 65, 4096, 100_001] {
        let mut nonce = [0; NONCE_BYTES];
        let (mut plain, mut additional) = (vec![0; bytes], vec![0; bytes % 37]);
        [&mut nonce[..], &mut plain, &mut additional].into_iter().for_each(|part| rng.fill(part));

        let mut ours = plain.clone();
        let tag = encrypt(&key, &nonce, &additional, &mut ours).unwrap();
        let mut theirs = plain.clone();
        let their_tag = other.encrypt_in_place_detached(XNonce::from_slice(&nonce), &additional, &mut theirs).unwrap();
        assert_eq!((&ours, tag.as_slice()), (&theirs, their_tag.as_slice()), "{bytes} bytes");

        let mut sealed = [theirs, their_tag.to_vec()].concat();
        assert_eq!(decrypt(&key, &nonce, &additional, &mut sealed).unwrap(), plain);
        let tag = Tag::from_slice(&tag);
        other.decrypt_in_place_detached(XNonce::from_slice(&nonce), &additional, &mut ours, tag).unwrap();
        assert_eq!(ours, plain);
    }
}

#[test]
fn every_changed_bit_and_every_missing_byte_is_refused() {
    let (key, nonce) = (key(), [9; NONCE_BYTES]);
    let mut sealed = b"recorded".to_vec();
    let tag = encrypt(&key, &nonce, b"where", &mut sealed).unwrap();
    sealed.extend(tag);
    let refused = |nonce: [u8; NONCE_BYTES], additional: &[u8], mut sealed: Vec<u8>| {
        assert_eq!(decrypt(&key, &nonce, additional, &mut sealed), Err(Refused));
    };
    for bit in 0..8 * sealed.len() {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        refused(nonce, b"where", flipped);
    }
    for bytes in 0..sealed.len() {
        refused(nonce, b"where", sealed[..bytes].to_vec());
    }
    refused(nonce, b"there", sealed.clone());
    for at in 0..NONCE_BYTES {
        let mut other = nonce;
        other[at] ^= 1;
        refused(other, b"where", sealed.clone());
    }
    assert_eq!(decrypt(&key, &nonce, b"where", &mut sealed).unwrap(), b"recorded");
}
