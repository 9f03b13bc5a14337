//! A box without an SSD, whose supervisor is killed, and stopped.

use lucid_hw_tests::health;
use lucid_hw_tests::machine::Run;
use lucid_hw_tests::probe::Probe;
use serde_json::Value;

use crate::bench::{Bench, main_pid, property, ready, until};
use crate::owner::Owner;

const SUPERVISOR: &str = "lucid-supervisor.service";
const KILL: i32 = 9;
const STOP: i32 = 19;

#[test]
fn without_an_ssd_it_is_ready_says_why_it_waits_and_survives_its_supervisor() {
    let mut bench = Bench::new("supervised");
    bench.pi.board_mut().data_disk = None;
    let port = bench.forward(443);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    // Nobody provisioned it: its code is on the screen, and its name comes from the board's serial number.
    let mut owner = Owner::meet(&bench, port, "lucid-ab12.local", None);
    owner.claim(&code_on_screen(&run));
    until(&run, "the missing disk to be told", || {
        let health = service(&owner, "storage-watch")["health"].clone();
        let reason = health["reason"].as_str().unwrap_or_default();
        health["state"] == "waiting" && reason.contains("connect an SSD")
    });
    assert_eq!(service(&owner, "admin-interface")["health"]["state"], "healthy");

    comes_back_after(&run, &mut probe, port, KILL, "signal");
    comes_back_after(&run, &mut probe, port, STOP, "watchdog");
    owner.enter();
    assert_eq!(service(&owner, "auth-service")["health"]["state"], "healthy");
}

fn service(owner: &Owner, name: &str) -> Value {
    owner.services().into_iter().find(|service| service["name"] == name).expect("a service of the table")
}

/// The first-administrator code: groups of four of Crockford's base 32.
pub(crate) fn code_on_screen(run: &Run) -> String {
    let is_code = |word: &&str| {
        word.len() >= 14
            && word.contains('-')
            && word.split('-').all(|group| group.len() == 4)
            && word.chars().all(|letter| letter == '-' || letter.is_ascii_digit() || letter.is_ascii_uppercase())
    };
    let lines = run.console().lines();
    let code = lines.iter().find_map(|line| line.split_whitespace().find(is_code).map(str::to_owned));
    code.unwrap_or_else(|| panic!("no code on the console: {}", run.log().display()))
}

/// Sends the supervisor a signal, and waits until systemd has started it again and it is healthy.
fn comes_back_after(run: &Run, probe: &mut Probe, port: u16, signal: i32, result: &str) {
    let (pid, restarts) = (main_pid(probe, SUPERVISOR), restarts(probe));
    probe.signal(pid, signal).unwrap();
    until(run, "systemd to restart the supervisor", || {
        property(probe, SUPERVISOR, "ActiveState") == "active" && ![0, pid].contains(&main_pid(probe, SUPERVISOR))
    });
    until(run, "the dashboard", || health::is_ready(("127.0.0.1", port)));
    assert_eq!(self::restarts(probe), restarts + 1);
    let log =
        probe.run("/usr/bin/journalctl", &["--unit=init.scope", "--output=cat", "--grep=lucid-supervisor"]).unwrap();
    let said = format!("lucid-supervisor.service: Failed with result '{result}'");
    assert!(log.stdout.contains(&said), "{said} in {}", log.stdout);
}

fn restarts(probe: &mut Probe) -> u32 {
    property(probe, SUPERVISOR, "NRestarts").parse().unwrap()
}
