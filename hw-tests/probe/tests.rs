use std::io::{Cursor, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::protocol::{Answer, Heard, LINE_BYTES_MAX, Request, Speech, receive, send};
use super::*;

/// A probe that answers on this machine instead of in a guest.
fn local() -> Probe {
    let (bench, guest) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut to = guest.try_clone().unwrap();
        let mut from = std::io::BufReader::new(guest);
        while let Ok(Some(request)) = receive(&mut from) {
            let answer = serve::answer(request).unwrap_or_else(|error| Answer::Failed(error.to_string()));
            send(&mut to, &answer).unwrap();
        }
    });
    Probe::open(bench, Duration::from_secs(60)).unwrap()
}

#[test]
fn files_are_read_written_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, [0, 255, b'x']).unwrap();
    let (path, folder) = (path.to_str().unwrap(), folder.path().to_str().unwrap());
    let mut probe = local();
    assert_eq!(probe.read(path).unwrap(), [0, 255, b'x']);
    probe.write(path, "other").unwrap();
    assert_eq!(probe.text(path).unwrap(), "other");
    assert_eq!(probe.list(folder).unwrap(), ["file"]);
    let stat = probe.stat(path).unwrap();
    assert_eq!((stat.size, stat.mode & 0o170_000), (5, 0o100_000));
    assert!(probe.write(&format!("{folder}/new"), "x").is_err(), "it makes no files");
    probe.save(&format!("{folder}/new"), "x").unwrap();
    assert_eq!(probe.list(folder).unwrap(), ["file", "new"]);
    let error = probe.read("/nowhere").unwrap_err().to_string();
    assert!(error.contains("/nowhere"), "{error}");
}

#[test]
fn programs_are_run_and_ended() {
    let mut probe = local();
    let ran = probe.run("/bin/sh", &["-c", "echo out; echo err >&2; exit 3"]).unwrap();
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(3), "out\n", "err\n"));
    assert!(probe.run("/nowhere", &[]).is_err());
    let request = Request::Run { program: "/bin/sleep".into(), arguments: vec!["600".into()], user: None, limit_s: 0 };
    let error = serve::answer(request).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn processes_are_found_and_signalled() {
    let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let mut probe = local();
    // It has its name a moment after it was made.
    while !probe.pids("sleep").unwrap().contains(&pid) {
        std::thread::yield_now();
    }
    assert_eq!(probe.status(pid, "Pid").unwrap(), Some(pid.to_string()));
    assert_eq!(probe.status(pid, "Nothing").unwrap(), None);
    probe.signal(pid, 9).unwrap();
    assert!(!child.wait().unwrap().success());
    for (pid, signal) in [(0, 9), (-1, 9), (pid, 0), (pid, 999)] {
        assert!(probe.signal(pid, signal).is_err(), "{pid} {signal}");
    }
}

#[test]
fn a_guest_that_stops_is_noticed() {
    let (bench, guest) = UnixStream::pair().unwrap();
    drop(guest);
    assert!(Probe::open(bench, Duration::from_secs(60)).is_err());
}

#[test]
fn the_unit_fits_on_the_command_line() {
    let added = cmdline();
    let unit = added[0].split_once(".service:").unwrap().1;
    let unit = String::from_utf8(data_encoding::BASE64.decode(unit.as_bytes()).unwrap()).unwrap();
    assert!(unit.contains(&format!("mount -o ro LABEL={LABEL} /run/{LABEL}\n")), "{unit}");
    assert!(added.iter().all(|part| !part.contains([' ', '"'])), "{added:?}");
    assert!(added.iter().map(String::len).sum::<usize>() < 600, "the kernel's line is short");
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_no_panic(line: Vec<u8>) {
        let read = receive::<Request>(&mut Cursor::new(&line));
        prop_assert!(line.is_empty() == matches!(read, Ok(None)));
    }
}

/// Somebody who does `each` with every connection to a socket, which it holds to its end.
fn host(folder: &tempfile::TempDir, each: impl Fn(&mut UnixStream) + Send + 'static) -> Speech {
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // Ends with the test's process.
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            each(&mut stream);
            held.push(stream);
        }
    });
    let (path, bytes) = (path.to_str().unwrap().to_owned(), data_encoding::BASE64.encode(b"hello"));
    Speech { path, user: 0, bytes, connections: 1, ends: true, limit_s: 60 }
}

fn heard(text: &[u8], hung_up: bool) -> Heard {
    Heard { bytes: data_encoding::BASE64.encode(text), hung_up }
}

#[test]
fn what_is_said_to_a_socket_is_answered_on_every_connection() {
    let folder = tempfile::tempdir().unwrap();
    let speech = host(&folder, |stream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        stream.write_all(format!("you said {said}").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert_eq!(speak::speak(&speech).unwrap(), [heard(b"you said hello", true)]);
    let many = speak::speak(&Speech { connections: speak::CONNECTIONS_MAX, ..speech }).unwrap();
    assert_eq!(many, vec![heard(b"you said hello", true); speak::CONNECTIONS_MAX]);
}

#[test]
fn one_who_listens_only_and_one_who_answers_nothing_are_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let speech = host(&folder, |stream| stream.write_all(b"first").unwrap());
    // More than a socket takes while nobody reads.
    let bytes = data_encoding::BASE64.encode(&vec![0; 4 * 1024 * 1024]);
    for ends in [false, true] {
        let speech = Speech { bytes: bytes.clone(), ends, limit_s: 1, ..speech.clone() };
        // The listener may be late; the runner ends a test that never hears it.
        while speak::speak(&speech).unwrap() != [heard(b"first", false)] {}
    }
}

#[test]
fn one_who_hangs_up_early_and_one_who_never_stops_end() {
    let folder = tempfile::tempdir().unwrap();
    let speech = host(&folder, |stream| {
        // What was said is not read: the other end is told that the connection was reset.
        stream.write_all(&vec![7; 2 * speak::HEARD_BYTES_MAX]).unwrap();
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert_eq!(speak::speak(&speech).unwrap(), [heard(&vec![7; speak::HEARD_BYTES_MAX], true)]);
}

#[test]
fn what_can_not_be_said_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let speech = host(&folder, |_| {});
    let path = folder.path().join("nobody").to_str().unwrap().to_owned();
    for wrong in [
        Speech { connections: 0, ..speech.clone() },
        Speech { connections: speak::CONNECTIONS_MAX + 1, ..speech.clone() },
        Speech { limit_s: speak::LISTEN_S_MAX + 1, ..speech.clone() },
        Speech { bytes: "no base64".to_owned(), ..speech.clone() },
        Speech { path, ..speech },
    ] {
        assert!(speak::speak(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_line_without_end_is_refused() {
    let endless = vec![b' '; LINE_BYTES_MAX + 2];
    assert!(receive::<Request>(&mut Cursor::new(endless)).is_err());
    let text = "x".repeat(LINE_BYTES_MAX);
    assert!(send(&mut Vec::new(), &Request::Write { path: String::new(), text }).is_err());
}
