//! What is kept is there again, and a file that is damaged does not stop the service.

use super::*;

#[test]
fn what_is_kept_is_there_again() {
    let state = tempfile::tempdir().unwrap();
    let place = Place::make(state.path()).unwrap();
    assert_eq!(place.read(), Kept::default());
    let news = ChannelReport { sequence: 1, issued_s: 2, expires_s: 3, offers: Vec::new() };
    let order = Some(Order { bundle: Digest([3; 32]), when: When::Quiet });
    let kept = Kept { checked_ms: Some(4), news: Some(news), order };
    place.write(&kept).unwrap();
    assert_eq!(Place::make(state.path()).unwrap().read(), kept);
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let state = tempfile::tempdir().unwrap();
    let place = Place::make(state.path()).unwrap();
    let oversized = vec![b' '; BYTES_MAX as usize + 1];
    for damaged in [&b""[..], b"{", b"{\"order\":7}", b"{\"unknown\":1}", b"\xff\xfe", &oversized] {
        std::fs::write(&place.0, damaged).unwrap();
        assert_eq!(place.read(), Kept::default(), "{} bytes", damaged.len());
        let kept = Kept { checked_ms: Some(1), ..Kept::default() };
        place.write(&kept).unwrap();
        assert_eq!(place.read(), kept);
    }
}
