//! A board that is only reached over the network and its serial line: what is done to a real one. A board that was not
//! told is refused before anything is asked of it.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lucid_hw_tests::health;
use lucid_hw_tests::real::target::{DASHBOARD, Target, Word};
use lucid_hw_tests::real::{RealError, RealPi};

use crate::appliance::record_prove_and_restore;
use crate::isolation::{LAN_PORTS, probed_ports};
use crate::owner::Owner;
use crate::scan::reachable;

/// The longest that a person may take to switch the board on.
const SWITCH_ON_MAX: Duration = Duration::from_secs(300);

/// The longest that it may take to come up, a check of its disks and a busy machine that plays it included.
const UP_MAX: Duration = Duration::from_secs(600);

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Recognises the board of `target`, and has it do what a virtual one does; what goes further, if there is a word for
/// it. `excused` services may be degraded. Files go to `folder`.
///
/// # Errors
/// If it is another board, or more would have to be done than was allowed.
pub(crate) fn prove(target: &Target, words: &BTreeSet<Word>, excused: &[&str], folder: &Path) -> Result<(), RealError> {
    let line = target.serial_line.as_ref().map(|tty| {
        say("switch the board on now, or restart it");
        RealPi::meet(tty, target.board, &folder.join("console.log"), SWITCH_ON_MAX)
    });
    let line = line.transpose()?;
    let mut owner = recognise(target, folder)?;
    enter(&mut owner, target, words)?;
    know_board(&owner, target)?;
    wait_until_healthy(&owner, excused);
    owner.login();
    let key = owner.lucid(&["key"]);
    let (id, recorded) = record_prove_and_restore(&owner);
    say("a recording was made, anchored, verified and restored");
    scan(target);
    if words.contains(&Word::Restart) {
        restart(&mut owner, target, line.as_ref(), folder)?;
        wait_until_healthy(&owner, excused);
        assert_eq!(owner.lucid(&["key"]), key, "the same appliance after a restart");
        owner.lucid(&["restore", &id, "--output", "after.bin"]);
        assert!(std::fs::read(owner.path("after.bin")).unwrap() == recorded, "the recording outlives a restart");
        say("restarted: the same board, certificate, key and recording");
    } else {
        say("not restarted: the word `restart` was not given");
    }
    owner.lucid(&["delete", &id, "--yes"]);
    Ok(())
}

fn say(text: &str) {
    println!("board: {text}");
}

/// Waits until it shows a certificate, and compares that. Nothing was asked of it until then.
fn recognise(target: &Target, folder: &Path) -> Result<Owner, RealError> {
    let place = (target.address.as_str(), target.port(DASHBOARD));
    let account = (target.account.clone(), target.password.to_string());
    let mut owner = None;
    until("the board to show its certificate", || {
        owner = Owner::look(&folder.join("owner"), place, &target.host_name, account.clone());
        owner.is_some()
    });
    let owner = owner.expect("waited for");
    if owner.fingerprint() != target.fingerprint {
        let (address, found) = (target.address.clone(), owner.fingerprint().to_owned());
        return Err(RealError::Certificate { address, found, told: target.fingerprint.clone() });
    }
    until("the board to be ready", || health::is_ready(place));
    say(&format!("ready, with the certificate authority {}", target.fingerprint));
    Ok(owner)
}

/// Becomes its administrator, or logs in.
fn enter(owner: &mut Owner, target: &Target, words: &BTreeSet<Word>) -> Result<(), RealError> {
    if owner.is_claimed() {
        owner.enter();
        return Ok(());
    }
    let Some(code) = target.code.as_ref().filter(|_| words.contains(&Word::Claim)) else {
        return Err(RealError::NotAllowed("nobody has claimed it, and claiming needs `code` in its file", "claim"));
    };
    let key = owner.claim(code);
    let path = target.path.with_extension("recovery-key");
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "{key}").unwrap();
    file.sync_all().unwrap();
    say(&format!("claimed; its recovery key is in {}", path.display()));
    Ok(())
}

/// Its certificate can have moved to another board with its card.
fn know_board(owner: &Owner, target: &Target) -> Result<(), RealError> {
    let found = owner.board();
    let is_told = u64::from_str_radix(&found, 16).is_ok_and(|found| found == target.board);
    if is_told { Ok(()) } else { Err(RealError::Moved { found, told: target.board }) }
}

fn wait_until_healthy(owner: &Owner, excused: &[&str]) {
    let mut last = Vec::new();
    until("every service to be healthy", || {
        let unwell = owner.unwell(excused);
        if unwell != last {
            last.clone_from(&unwell);
            if !unwell.is_empty() {
                say(&format!("not healthy: {unwell:?}"));
            }
        }
        unwell.is_empty()
    });
    say("every service is healthy");
}

fn scan(target: &Target) {
    if target.is_forwarded() {
        say("ports not looked at: what stands between would answer in its place");
        return;
    }
    let address: SocketAddr = (target.address.as_str(), DASHBOARD).to_socket_addrs().unwrap().next().unwrap();
    assert_eq!(reachable(&address, &probed_ports()), LAN_PORTS.into(), "open ports");
    say("no port is open but those of docs/ports.md");
}

/// Restarts it by the dashboard, recognises it anew, and logs in.
fn restart(owner: &mut Owner, target: &Target, line: Option<&RealPi>, folder: &Path) -> Result<(), RealError> {
    let lines = line.map_or(0, |line| line.console().lines().len());
    owner.restart();
    let place = (target.address.as_str(), target.port(DASHBOARD));
    until("the board to go down", || !health::is_ready(place));
    if let Some(line) = line {
        line.meet_again(lines, target.board, UP_MAX)?;
    }
    *owner = recognise(target, folder)?;
    owner.enter();
    know_board(owner, target)?;
    owner.login();
    Ok(())
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < UP_MAX, "waited for {what}");
        thread::park_timeout(LOOK);
    }
}

/// The board that LUCID_PI_TARGET tells, with what LUCID_PI_ALLOW allows. Such a test fails without one: it is only
/// there where it was asked for.
#[cfg(feature = "board")]
#[test]
fn the_board_that_was_told_does_what_a_virtual_one_does() {
    use lucid_hw_tests::real::target::words;

    #[expect(clippy::disallowed_methods, reason = "a test has no configuration; the board is named by hand")]
    let (file, allowed) = (std::env::var("LUCID_PI_TARGET"), std::env::var("LUCID_PI_ALLOW"));
    let file = file.expect("LUCID_PI_TARGET names the file of the board: docs/boot.md shows one");
    let words = words(&allowed.unwrap_or_default()).unwrap_or_else(|error| panic!("{error}"));
    let target = Target::read(Path::new(&file)).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    prove(&target, &words, &[], folder.path()).unwrap_or_else(|error| panic!("{error}"));
}

#[path = "target/played.rs"]
mod played;
