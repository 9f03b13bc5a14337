//! Looks from outside which TCP ports answer: of a virtual board, QEMU's user network tells how far each connection
//! came; a real one is simply connected to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use lucid_hw_tests::machine::Run;
use serde_json::json;

/// Ports that are tried at a time; each takes a socket of QEMU's.
const AT_A_TIME: usize = 128;

/// A port that drops what it is sent is known by its silence alone. QEMU asks again every few seconds, so that a first
/// question that was lost in the burst is answered within this time.
const SILENCE: Duration = Duration::from_secs(12);

/// How far a connection to a port of the guest came.
struct Connection {
    state: String,
    host: u16,
    guest: u16,
}

fn monitor(run: &mut Run, command: &str) -> String {
    let answer = run.qmp().execute("human-monitor-command", json!({"command-line": command})).unwrap();
    answer.as_str().unwrap().to_owned()
}

/// Every forwarded port and connection, as `info usernet` lists them.
fn connections(run: &mut Run) -> Vec<Connection> {
    let shown = monitor(run, "info usernet");
    let read = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let state = fields.first()?.strip_prefix("TCP[")?.strip_suffix(']')?.to_owned();
        Some(Connection { state, host: fields.get(3)?.parse().ok()?, guest: fields.get(5)?.parse().ok()? })
    };
    shown.lines().filter_map(read).collect()
}

/// Every port that is forwarded.
fn forwards(run: &mut Run) -> impl Iterator<Item = Connection> {
    connections(run).into_iter().filter(|connection| connection.state == "HOST_FORWARD")
}

/// Which of `ports` accept a connection. `control` must be one that does: silence counts from its answer on, so that a
/// slow machine is not taken for a silent one.
pub(crate) fn open_ports(run: &mut Run, ports: &BTreeSet<u16>, control: u16) -> BTreeSet<u16> {
    let ports: Vec<u16> = ports.iter().copied().filter(|port| *port != control).collect();
    let mut open = BTreeSet::from([control]);
    for some in ports.chunks(AT_A_TIME) {
        open.extend(answering(run, some, control));
    }
    open
}

fn answering(run: &mut Run, ports: &[u16], control: u16) -> Vec<u16> {
    // Former connections may linger, and their ports of this machine may be given out again.
    let before: BTreeSet<u16> = forwards(run).map(|forward| forward.host).collect();
    for port in ports.iter().chain([&control]) {
        let refused = monitor(run, &format!("hostfwd_add network tcp:127.0.0.1:0-:{port}"));
        assert_eq!(refused, "", "port {port}");
    }
    let forwards = forwards(run).filter(|forward| !before.contains(&forward.host));
    let forwards: BTreeMap<u16, u16> = forwards.map(|forward| (forward.guest, forward.host)).collect();
    assert_eq!(forwards.len(), ports.len() + 1);
    let knock = |port: &u16| TcpStream::connect((Ipv4Addr::LOCALHOST, forwards[port])).unwrap();
    // Kept open until the look.
    let _knocking: Vec<_> = ports.iter().chain([&control]).map(knock).collect();
    let established = wait_for_silence(run, &forwards, control);
    for host in forwards.values() {
        monitor(run, &format!("hostfwd_remove network tcp:127.0.0.1:{host}"));
    }
    established.into_iter().filter(|port| ports.contains(port)).collect()
}

/// The guest's ports that have answered when none has for [`SILENCE`], and `control` has.
fn wait_for_silence(run: &mut Run, forwards: &BTreeMap<u16, u16>, control: u16) -> BTreeSet<u16> {
    let mut answered = BTreeSet::new();
    let mut last = Instant::now();
    while !answered.contains(&control) || last.elapsed() < SILENCE {
        let all = connections(run).into_iter();
        let tried = all.filter(|one| forwards.get(&one.guest) == Some(&one.host) && one.state != "HOST_FORWARD");
        for one in tried.filter(|one| one.state != "SYN_SENT") {
            if answered.insert(one.guest) {
                last = Instant::now();
            }
        }
        assert!(run.elapsed().as_secs() < 800, "port {control} does not answer; see {}", run.log().display());
    }
    answered
}

/// How long a port of a board in the network may be silent until it counts as closed: its filter drops what it does not
/// want. Long enough for two repetitions of a lost packet.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Which of `ports` accept a connection at `address`.
pub(crate) fn reachable(address: &SocketAddr, ports: &BTreeSet<u16>) -> BTreeSet<u16> {
    let ports: Vec<u16> = ports.iter().copied().collect();
    let is_open = |port: u16| TcpStream::connect_timeout(&SocketAddr::new(address.ip(), port), ANSWER_MAX).is_ok();
    let mut open = BTreeSet::new();
    for some in ports.chunks(AT_A_TIME) {
        let found = thread::scope(|scope| {
            let tries: Vec<_> = some.iter().map(|port| (*port, scope.spawn(move || is_open(*port)))).collect();
            tries.into_iter().filter_map(|(port, tried)| tried.join().unwrap().then_some(port)).collect::<Vec<_>>()
        });
        open.extend(found);
    }
    open
}

#[test]
fn ports_that_listen_are_told_from_those_that_do_not() {
    let listeners: Vec<_> = (0..20).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    // Every other one is closed again.
    let listeners: Vec<_> = listeners.into_iter().step_by(2).collect();
    let open: BTreeSet<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    let address = listeners[0].local_addr().unwrap();
    assert_eq!(reachable(&address, &ports.into_iter().collect()), open);
}
