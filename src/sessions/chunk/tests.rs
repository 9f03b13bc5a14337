use std::io::Write as _;

use super::*;

/// One key for a whole test.
fn key() -> SessionKey {
    let dir = tempfile::tempdir().unwrap();
    lucid_vault::Vault::open(dir.path(), dir.path()).unwrap().new_session_key().unwrap().0
}

/// What lies on disk of a chunk.
fn seal(key: &SessionKey, session: SessionId, index: u64, level: i32, plain: &[u8]) -> Vec<u8> {
    let mut sealed = BlobBuffer::with_capacity(sealed_bytes_max(plain.len()));
    Sealer::new(level).unwrap().seal(key, session, index, plain, &mut sealed).unwrap();
    sealed.to_vec()
}

/// Seals a frame that a [`Sealer`] would not make.
fn sealed_frame(key: &SessionKey, session: SessionId, frame: &[u8]) -> Vec<u8> {
    let (nonce, mut body) = ([7; NONCE_BYTES], frame.to_vec());
    let tag = encrypt(key, &nonce, &additional(session, 0), &mut body).unwrap();
    [&nonce[..], &body, &tag].concat()
}

fn refused(key: &SessionKey, session: SessionId, frame: &[u8], says: &str) {
    match open(key, session, 0, sealed_frame(key, session, frame)) {
        Err(ChunkError::Decompress { index: 0, source }) => assert!(source.to_string().contains(says), "{source}"),
        other => panic!("{:?}", other.map(|plain| plain.len())),
    }
}

#[test]
fn what_is_sealed_opens_and_takes_no_more_memory_than_it_has() {
    let (key, session) = (key(), SessionId::generate());
    for bytes in [0, 1, 1000, 200_000] {
        let plain: Vec<u8> = (0..bytes).map(|at| (at * 7 % 251) as u8).collect();
        let opened = open(&key, session, 3, seal(&key, session, 3, 3, &plain)).unwrap();
        assert_eq!(opened, plain);
        assert!(opened.capacity() <= plain.len(), "{} for {}", opened.capacity(), plain.len());
    }
}

#[test]
fn the_largest_chunk_that_can_be_set_opens() {
    let (key, session) = (key(), SessionId::generate());
    let plain = vec![0; usize::try_from(CHUNK_BYTES_MAX).unwrap()];
    let sealed = seal(&key, session, 0, 1, &plain);
    assert!(open(&key, session, 0, sealed).unwrap() == plain);
}

#[test]
fn a_frame_that_declares_more_than_any_chunk_or_nothing_is_refused() {
    let (key, session) = (key(), SessionId::generate());
    // A header by hand (RFC 8878, 3.1.1): magic, then a descriptor with an 8-byte content size and a window of its own.
    let declares = |bytes: u64| [&[0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x00], bytes.to_le_bytes().as_slice()].concat();
    refused(&key, session, &declares(CHUNK_BYTES_MAX + 1), "the limit is 67108864");
    refused(&key, session, &declares(u64::MAX - 2), "the limit is 67108864");
    refused(&key, session, b"no frame", "does not say how large");
    refused(&key, session, b"", "does not say how large");
    let mut stream = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    stream.write_all(&[1; 1000]).unwrap();
    refused(&key, session, &stream.finish().unwrap(), "does not say how large");
}

#[test]
fn a_frame_that_holds_more_or_less_than_it_declares_is_refused() {
    let (key, session) = (key(), SessionId::generate());
    let frame = zstd::bulk::compress(&[1; 1000], 3).unwrap();
    refused(&key, session, &[frame.as_slice(), &frame].concat(), "");
    refused(&key, session, &frame[..frame.len() - 1], "");
    refused(&key, session, &[frame.as_slice(), b"more"].concat(), "");
}

#[test]
fn a_chunk_opens_at_its_own_place_only() {
    let (key, session) = (key(), SessionId::generate());
    let sealed = seal(&key, session, 0, 3, b"recorded");
    let wrong = |result| assert!(matches!(result, Err(ChunkError::Sealed { .. })));
    wrong(open(&key, session, 1, sealed.clone()));
    wrong(open(&key, SessionId::generate(), 0, sealed.clone()));
    wrong(open(&self::key(), session, 0, sealed.clone()));
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        wrong(open(&key, session, 0, flipped));
        wrong(open(&key, session, 0, sealed[..at].to_vec()));
    }
}

#[test]
fn what_a_sealer_and_a_buffer_had_before_does_not_show() {
    let (key, session, mut sealer) = (key(), SessionId::generate(), Sealer::new(3).unwrap());
    let mut noise = vec![0; 100_000];
    fastrand::Rng::with_seed(3).fill(&mut noise);
    let mut sealed = BlobBuffer::with_capacity(sealed_bytes_max(noise.len()));
    for (index, plain) in (0..).zip([&noise[..], &noise[..1000], &[7; 100_000], b"", &noise[1..]]) {
        sealer.seal(&key, session, index, plain, &mut sealed).unwrap();
        assert_eq!(open(&key, session, index, sealed.to_vec()).unwrap(), plain);
        assert!(sealed.len() <= sealed_bytes_max(plain.len()));
    }
}
