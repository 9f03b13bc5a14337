//! The notifier against a real socket, and against environments that are wrong.

use std::{ffi::OsString, os::unix::net::UnixDatagram, time::Duration};

use super::{Notifier, STATUS_BYTES_MAX, SocketAddr, SocketAddrExt, one_line};

/// A service manager's socket at a fresh path, and a notifier that talks to it under `more` environment.
fn manager(more: &[(&str, &str)]) -> (UnixDatagram, Notifier, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let notifier = Notifier::from_environment(environment(path.to_str().unwrap(), more)).unwrap();
    (socket, notifier, folder)
}

fn environment(socket: &str, more: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let mut all: Vec<(String, OsString)> = vec![("NOTIFY_SOCKET".to_owned(), socket.into())];
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
    move |name| all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn received(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn every_message_has_the_form_of_the_protocol() {
    let (socket, notifier, _folder) = manager(&[]);
    notifier.ready();
    assert_eq!(received(&socket), "READY=1\n");
    notifier.alive();
    assert_eq!(received(&socket), "WATCHDOG=1\n");
    notifier.stopping();
    assert_eq!(received(&socket), "STOPPING=1\nSTATUS=stopping\n");
    notifier.status("3 of 3 healthy");
    assert_eq!(received(&socket), "STATUS=3 of 3 healthy\n");
}

#[test]
fn an_abstract_socket_is_reached_by_its_name() {
    let name = format!("lucid-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    Notifier::from_environment(environment(&format!("@{name}"), &[])).unwrap().ready();
    assert_eq!(received(&socket), "READY=1\n");
}

#[test]
fn a_reason_can_not_smuggle_in_a_message_or_grow_without_end() {
    let (socket, notifier, _folder) = manager(&[]);
    notifier.status("disk\nREADY=1\r\nMAINPID=1");
    assert_eq!(received(&socket), "STATUS=disk READY=1  MAINPID=1\n");
    let long = one_line(&"ä".repeat(STATUS_BYTES_MAX));
    assert_eq!(long.len(), STATUS_BYTES_MAX);
    assert!(one_line(&format!("a{long}")).len() < STATUS_BYTES_MAX, "a letter is not cut in two");
}

#[test]
fn the_watchdog_is_ours_only_when_it_is_addressed_to_us() {
    let own = std::process::id().to_string();
    let period = Some(Duration::from_secs(15));
    for (more, expected) in [
        (vec![], None),
        (vec![("WATCHDOG_USEC", "15000000")], period),
        (vec![("WATCHDOG_USEC", "15000000"), ("WATCHDOG_PID", own.as_str())], period),
        (vec![("WATCHDOG_USEC", "15000000"), ("WATCHDOG_PID", "1")], None),
        (vec![("WATCHDOG_USEC", "nonsense"), ("WATCHDOG_PID", "1")], None),
    ] {
        assert_eq!(manager(&more).1.watchdog(), expected, "{more:?}");
    }
}

#[test]
fn a_wrong_environment_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let _socket = UnixDatagram::bind(&path).unwrap();
    for value in ["0", "-1", "15s", "", "99999999999999999999999"] {
        let wrong = environment(path.to_str().unwrap(), &[("WATCHDOG_USEC", value)]);
        let error = Notifier::from_environment(wrong).unwrap_err().to_string();
        assert!(error.contains("WATCHDOG_USEC") && error.contains(&format!("`{value}`")), "{error}");
    }
    for address in ["/nowhere/at/all", ""] {
        let error = Notifier::from_environment(environment(address, &[])).unwrap_err().to_string();
        assert!(error.contains("NOTIFY_SOCKET") && error.contains(address), "{error}");
    }
}

#[test]
fn without_a_service_manager_nothing_is_said_and_nothing_fails() {
    let notifier = Notifier::from_environment(|_| None).unwrap();
    notifier.ready();
    notifier.status("all is well");
    assert_eq!(notifier.watchdog(), None);
    Notifier::silent().stopping();
}

#[test]
fn a_manager_that_does_not_read_or_has_gone_does_not_block_us() {
    let (socket, notifier, _folder) = manager(&[]);
    for _ in 0..10_000 {
        notifier.alive();
    }
    assert_eq!(received(&socket), "WATCHDOG=1\n");
    drop(socket);
    notifier.alive();
}
