use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::{FrameError, read_frame, send};

#[test]
fn a_message_has_its_time_as_a_whole_however_it_trickles() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let trickle = thread::spawn({
        let ended = ended.clone();
        move || {
            // Of a long message: every byte alone would be in time.
            let length = u32::to_be_bytes(16 * 1024);
            let mut bytes = length.into_iter().chain(std::iter::repeat(b' '));
            while !ended.load(Ordering::Relaxed) && theirs.write_all(&[bytes.next().unwrap()]).is_ok() {
                thread::park_timeout(Duration::from_millis(5));
            }
        }
    });
    let mut timed = Timed::new(&ours, Duration::from_millis(200));
    let outcome = read_frame(&mut timed);
    assert!(matches!(outcome, Err(FrameError::Silent)), "{outcome:?}");
    ended.store(true, Ordering::Relaxed);
    drop(ours);
    trickle.join().unwrap();
}

#[test]
fn who_does_not_read_the_answer_does_not_hold_the_place() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut timed = Timed::new(&ours, Duration::from_millis(50));
    let outcome = loop {
        if let Err(error) = send(&mut timed, &"x".repeat(8 * 1024)) {
            break error;
        }
    };
    assert!(matches!(outcome, FrameError::Silent), "{outcome}");
}
