//! Ten thousand connections that want nothing, half of them a slow-loris attack.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    bench::{ANSWER_MAX, LONG, NAMES, Owner, Place, eventually, mix, send},
    crash::assert_no_panic,
    proof::{assert_restored, record},
};

const CONNECTIONS: usize = 10_000;
/// Rounds in which every attacker sends one more byte of its header.
const ROUNDS: usize = 5;
/// What the box may take for all of it, in KiB: its own 150 MiB and 1024 connections of at most 100 KiB.
const RESIDENT_KIB_MAX: u64 = 400 * 1024;

#[test]
fn ten_thousand_connections_lock_nobody_out() {
    raise_descriptor_limit();
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let address = SocketAddr::from(([127, 0, 0, 1], place.dashboard()));
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10));
        let mut stream = stream.unwrap_or_else(|error| panic!("connection {number}: {error}"));
        if number % 2 == 0 {
            // The box may have cut it already to make room: that is its right.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: box\r\nX-Slow: ");
        }
        connections.push(stream);
    }
    for _ in 0..ROUNDS {
        for stream in connections.iter_mut().step_by(2) {
            let _ = stream.write_all(b"a");
        }
        everybody_is_answered(&place, &owner);
    }
    let id = record(&place, "recording.bin", &mix(19, 1_500_000));
    assert!(resident_kib(running.id()) < RESIDENT_KIB_MAX, "{} KiB", resident_kib(running.id()));
    drop(connections);
    eventually("the connections are gone", LONG, || {
        let metrics = owner.get("/metrics").expect(200).text();
        let line = metrics.lines().find(|line| line.starts_with("lucid_http_connections{service=\"admin-interface\"}"));
        let open: f64 = line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).ok_or(metrics.clone())?;
        if open < 10.0 { Ok(()) } else { Err(format!("{open} are open")) }
    });
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
    owner.wait_for_all();
    assert_no_panic(&running);
}

/// Each port answers a new connection in time.
#[track_caller]
fn everybody_is_answered(place: &Place, owner: &Owner) {
    for name in NAMES {
        let started = Instant::now();
        send(place.port(name), "GET", "/health", &[], b"").expect(200);
        assert!(started.elapsed() < ANSWER_MAX, "{name} took {:?}", started.elapsed());
    }
    let started = Instant::now();
    owner.get("/api/auth/me").expect(200);
    assert!(started.elapsed() < ANSWER_MAX, "a log-in's check took {:?}", started.elapsed());
}

/// Memory of a process that lies in RAM, in KiB.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS as u64 + 500;
    assert!(limit.maximum.is_none_or(|maximum| maximum >= wanted), "raise the hard limit of open files to {wanted}");
    limit.current = limit.maximum.or(Some(wanted));
    setrlimit(Resource::Nofile, limit).unwrap();
}
