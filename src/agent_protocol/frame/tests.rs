use std::io::Cursor;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{DiskId, Reason, Reply, Request};

fn framed(body: &[u8]) -> Vec<u8> {
    [u32::try_from(body.len()).unwrap().to_be_bytes().as_slice(), body].concat()
}

/// Every request there is.
fn requests() -> Vec<Request> {
    let disk: DiskId = "S4EWNX0R123456".parse().unwrap();
    let reason: Reason = "asked for on the dashboard".parse().unwrap();
    vec![
        Request::Status {},
        Request::Disks {},
        Request::Smart { disk: disk.clone() },
        Request::BootFacts {},
        Request::Adopt { disk: disk.clone(), confirmation: None },
        Request::Adopt { disk: disk.clone(), confirmation: Some(disk.clone()) },
        Request::Mount {},
        Request::Detach {},
        Request::Repair { confirmation: disk },
        Request::Reboot { reason: reason.clone() },
        Request::PowerOff { reason },
        Request::Ready {},
    ]
}

#[test]
fn what_is_sent_is_received_one_after_the_other() {
    let mut wire = Vec::new();
    for request in requests() {
        send(&mut wire, &request).unwrap();
    }
    let mut reader = Cursor::new(wire);
    for request in requests() {
        assert_eq!(receive::<Request>(&mut reader).unwrap(), Some(request));
    }
    assert_eq!(receive::<Request>(&mut reader).unwrap(), None);
}

#[test]
fn lengths_out_of_bounds_are_refused_before_anything_is_read_or_sent() {
    for bytes in [0, u32::try_from(FRAME_BYTES_MAX).unwrap() + 1, u32::MAX] {
        let error = read_frame(&mut Cursor::new(bytes.to_be_bytes())).unwrap_err();
        assert!(matches!(error, FrameError::Length { .. }), "{bytes}: {error}");
    }
    let longest = framed(&vec![b' '; FRAME_BYTES_MAX]);
    assert_eq!(read_frame(&mut Cursor::new(longest)).unwrap().unwrap().len(), FRAME_BYTES_MAX);
    let mut sent = Vec::new();
    assert!(matches!(send(&mut sent, &"x".repeat(FRAME_BYTES_MAX)), Err(FrameError::Length { .. })));
    assert!(sent.is_empty());
}

#[test]
fn a_message_cut_anywhere_is_truncated() {
    let mut wire = Vec::new();
    send(&mut wire, &Request::Ready {}).unwrap();
    for end in 1..wire.len() {
        let error = read_frame(&mut Cursor::new(&wire[..end])).unwrap_err();
        assert!(matches!(error, FrameError::Truncated), "{end}: {error}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for body in [
        json!({}),
        json!({"request": "format_everything"}),
        json!({"request": "status", "more": 1}),
        json!({"request": "adopt"}),
        json!({"request": "adopt", "disk": "a\nb"}),
        json!({"request": "adopt", "disk": "a", "confirmation": "a", "force": true}),
        json!({"request": "reboot", "reason": ""}),
        json!([1, 2]),
        json!("status"),
    ] {
        let wire = framed(body.to_string().as_bytes());
        let error = receive::<Request>(&mut Cursor::new(wire)).unwrap_err();
        assert!(matches!(error, FrameError::Meaning(_)), "{body}: {error}");
    }
    let twice = framed(br#"{"request": "smart", "disk": "a", "disk": "b"}"#);
    assert!(receive::<Request>(&mut Cursor::new(twice)).is_err());
    let deep = framed(&[b'['; FRAME_BYTES_MAX]);
    assert!(receive::<Request>(&mut Cursor::new(deep)).is_err());
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(wire in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut reader = Cursor::new(&wire);
        let mut messages = 0;
        while let Ok(Some(_)) = receive::<Request>(&mut reader) {
            messages += 1;
        }
        prop_assert!(messages <= wire.len() / LENGTH_BYTES);
    }

    #[test]
    fn a_garbled_request_is_another_one_or_an_error(
        which in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut wire = Vec::new();
        send(&mut wire, which.get(&requests())).unwrap();
        for (at, value) in flips {
            let at = at.index(wire.len());
            wire[at] = value;
        }
        // Whatever came through is a request that says of itself what was received.
        if let Ok(Some(request)) = receive::<Request>(&mut Cursor::new(&wire)) {
            let again = serde_json::from_slice::<Request>(&serde_json::to_vec(&request).unwrap()).unwrap();
            prop_assert_eq!(again, request);
        }
    }

    #[test]
    fn replies_take_no_garbage_either(body in prop::collection::vec(any::<u8>(), 1..200)) {
        let outcome = receive::<Reply>(&mut Cursor::new(framed(&body)));
        prop_assert!(matches!(outcome, Err(FrameError::Meaning(_)) | Ok(Some(_))));
    }

    #[test]
    fn a_message_arrives_in_any_pieces(cuts in prop::collection::vec(1usize..9, 1..60)) {
        /// Gives a few bytes at a time.
        struct Pieces(Cursor<Vec<u8>>, Vec<usize>);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let piece = self.1.pop().unwrap_or(3).min(buffer.len());
                self.0.read(&mut buffer[..piece])
            }
        }
        let mut wire = Vec::new();
        send(&mut wire, &Request::Ready {}).unwrap();
        let mut reader = Pieces(Cursor::new(wire), cuts);
        prop_assert_eq!(receive::<Request>(&mut reader).unwrap(), Some(Request::Ready {}));
    }
}
