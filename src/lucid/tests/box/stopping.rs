//! Starting and stopping under a service manager.

use std::{io::Write, net::TcpStream, os::unix::net::UnixDatagram, process::Stdio, time::Duration};

use crate::{
    bench::{LONG, Owner, Place, Program, SHORT, eventually},
    crash::{Pour, announced, assert_no_panic, durable_beyond},
    proof::assert_restored,
};

/// The longest stop: services get 20 s (`supervisor.stop_grace_s`), the forced end of those that are left 3 s more,
/// listeners 11 s, logs and threads 4 s. A box with nothing to finish takes a fraction.
const STOP_MAX: Duration = Duration::from_secs(38);

#[test]
fn a_stop_is_orderly_whatever_goes_on() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, 23);
    let id = announced(&client);
    let durable = durable_beyond(&owner, &id, 1_000_000);
    let _idle = TcpStream::connect(("127.0.0.1", place.dashboard())).unwrap();
    let mut half = TcpStream::connect(("127.0.0.1", place.dashboard())).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    assert_no_panic(&running);
    let status = running.terminate(STOP_MAX);
    assert_eq!(status.code(), Some(0), "{status}");

    let running = place.start();
    source.allow(durable + 30_000_000);
    durable_beyond(&owner, &id, durable + 1_000_000);
    source.finish();
    client.end(LONG).expect(0);
    assert_restored(&place, &id, &place.path("poured.bin"), "restored.bin");
    assert!(!running.said().contains("not orderly"), "{}", running.said());
    assert_no_panic(&running);
}

#[test]
fn a_second_box_in_the_same_place_harms_nothing() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let mut second = place.moved("data", "state");
    (second.data, second.state) = (place.data.clone(), place.state.clone());
    let mut other = second.launch();
    eventually("the complaint of the second box", SHORT, || {
        let said = other.said();
        if said.contains("in use") || !other.is_up() { Ok(()) } else { Err(said) }
    });
    owner.wait_for_all();
    let height = owner.head()["height"].as_u64().unwrap();
    owner.wait_for_block_above(height);
    owner.validate_chain();
    assert_no_panic(&running);
}

#[test]
fn the_service_manager_hears_of_every_step() {
    let mut place = Place::new();
    let path = place.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(SHORT)).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000")];
    place.environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let running = place.launch();
    let mut heard = String::new();
    hear(&socket, &mut heard, "READY=1");
    hear(&socket, &mut heard, " healthy");
    assert!(heard.contains("\nSTATUS=") || heard.starts_with("STATUS="), "{heard}");
    assert!(!heard.contains("STOPPING=1"), "{heard}");
    for _ in 0..3 {
        heard.clear();
        hear(&socket, &mut heard, "WATCHDOG=1");
    }
    let status = running.terminate(STOP_MAX);
    assert_eq!(status.code(), Some(0), "{status}");
    heard.clear();
    hear(&socket, &mut heard, "STOPPING=1");
}

/// Reads datagrams until one says `words`.
#[track_caller]
fn hear(socket: &UnixDatagram, heard: &mut String, words: &str) {
    let mut buffer = [0; 4096];
    while !heard.contains(words) {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no `{words}`: {error}; heard {heard}"));
        heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}
