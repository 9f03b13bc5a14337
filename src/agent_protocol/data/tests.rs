use std::net::Shutdown;

use proptest::prelude::*;

use super::*;

/// What a reader makes of these bytes, and whether the end was said.
fn read(bytes: &[u8]) -> (Vec<u8>, io::Result<()>, bool) {
    let (one, other) = UnixStream::pair().unwrap();
    (&one).write_all(bytes).unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    let (mut reader, mut found) = (DataReader::new(&other), Vec::new());
    let outcome = reader.read_to_end(&mut found).map(drop);
    (found, outcome, reader.is_ended())
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [u32::try_from(bytes.len()).unwrap().to_be_bytes().as_slice(), bytes].concat()
}

#[test]
fn frames_are_one_stream_until_the_empty_one() {
    let sent = [frame(b"one "), frame(b"stream"), frame(b""), frame(b"the next request")].concat();
    let (found, outcome, is_ended) = read(&sent);
    assert_eq!(found, b"one stream");
    assert!(outcome.is_ok() && is_ended);
}

#[test]
fn the_end_of_the_connection_is_not_the_end_of_the_bundle() {
    let whole = [frame(b"some bytes"), frame(b"")].concat();
    for length in 0..whole.len() {
        let (found, outcome, is_ended) = read(&whole[..length]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{length}");
        assert!(!is_ended && b"some bytes".starts_with(&found));
    }
}

#[test]
fn a_frame_that_is_too_long_is_none() {
    for length in [DATA_BYTES_MAX as u32 + 1, u32::MAX] {
        let (found, outcome, _) = read(&[&*frame(b"x"), &length.to_be_bytes(), &[0; 100]].concat());
        assert_eq!((found, outcome.unwrap_err().kind()), (b"x".to_vec(), ErrorKind::InvalidData));
    }
    let (one, _other) = UnixStream::pair().unwrap();
    assert!(matches!(send_frame(&one, &vec![0; DATA_BYTES_MAX + 1]), Err(FrameError::Data { .. })));
}

proptest! {
    #[test]
    fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let (found, outcome, is_ended) = read(&bytes);
        prop_assert!(found.len() <= bytes.len());
        prop_assert_eq!(outcome.is_ok(), is_ended);
    }

    #[test]
    fn what_is_sent_comes_out(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..500), 0..10)) {
        let (one, other) = UnixStream::pair().unwrap();
        parts.iter().for_each(|part| send_frame(&one, part).unwrap());
        send_frame(&one, &[]).unwrap();
        let mut found = Vec::new();
        DataReader::new(&other).read_to_end(&mut found).unwrap();
        prop_assert_eq!(found, parts.concat());
    }
}
