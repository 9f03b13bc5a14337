//! Pauses after failed accepts.

use super::*;

#[test]
fn pauses_double_up_to_a_second_and_start_again_after_a_success() {
    let address = "127.0.0.1:1".parse().unwrap();
    let no_descriptor = io::Error::from_raw_os_error(24);
    let mut backoff = Backoff::new();
    let pauses: Vec<_> = (0..9).map(|_| backoff.after(&no_descriptor, address).as_millis()).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    assert_eq!(backoff.logged.len(), 1);
    backoff.reset();
    assert_eq!(backoff.after(&no_descriptor, address).as_millis(), 10);
    backoff.after(&io::Error::from_raw_os_error(23), address);
    assert_eq!(backoff.logged.len(), 2);
}

#[test]
fn a_client_that_is_gone_already_costs_no_pause() {
    let mut backoff = Backoff::new();
    for kind in [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted] {
        assert_eq!(backoff.after(&kind.into(), "127.0.0.1:1".parse().unwrap()), Duration::ZERO);
    }
    assert!(backoff.logged.is_empty());
}
