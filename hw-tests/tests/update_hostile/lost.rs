//! A state that is lost, and an EEPROM that is too old: the box comes up, says so, and takes nothing that could harm
//! it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::eeprom::{Eeprom, Reset};
use lucid_hw_tests::machine::Run;
use lucid_hw_tests::probe::Probe;
use lucid_layout::{Partition, Slot, paths};
use serde_json::{Value, json};

use super::forged::{Bundle, release_key};
use super::speech::update_status;
use super::{OTHER, RUNNING, digests};
use crate::appliance::wait_until_healthy;
use crate::bench::{Bench, ready, until};
use crate::flash::{Flashed, flash};
use crate::owner::Owner;
use crate::updater::release;

const HOST_NAME: &str = "lucid-lost";

/// A later day than that of any EEPROM that the bench plays: 2027-01-15.
const LATER_S: u64 = 1_800_000_000;

/// A board and the way to it.
struct Scene {
    bench: Bench,
    port: u16,
    /// Partitions as they were flashed.
    before: Vec<(Partition, String)>,
}

/// A box that is up.
struct Up {
    run: Run,
    probe: Probe,
    owner: Owner,
}

#[test]
fn a_box_whose_state_was_lost_boots_locked_and_can_be_updated_by_flashing() {
    let mut bench = Bench::new("update-lost");
    let flashed = flash(&bench, HOST_NAME);
    let port = bench.forward(443);
    let mut scene = Scene { bench, port, before: vec![] };
    let mut up = scene.comes_up(Some(&flashed.fingerprint));
    up.owner.claim(&flashed.code);
    wait_until_healthy(&up.run, &up.owner);
    scene.before = digests(&scene.bench.disk(), &[&RUNNING[..], &OTHER].concat());
    scene.is_told_of_a_newer_eeprom(&up);
    let _ = up.run.cut_power();
    scene.runs_with_an_old_eeprom(&flashed);

    zero(&scene.bench.disk());
    scene.is_locked("unmountable", &flashed);
    empty(&scene.bench.disk());
    scene.is_locked("lost", &flashed);
    // Also at the next start, when nothing is new any more.
    scene.is_locked("lost", &flashed);

    let again = flash(&scene.bench, HOST_NAME);
    assert_ne!((&again.code, &again.fingerprint), (&flashed.code, &flashed.fingerprint));
    let mut up = scene.comes_up(Some(&again.fingerprint));
    up.owner.claim(&again.code);
    let (status, text) = up.owner.send_file("/api/update/bundle", &release("good"));
    assert_eq!(status, 200, "{text}");
    until(&up.run, "the bundle to be written", || updates(&up.owner)["phase"]["phase"] == "written");
    let _ = up.run.cut_power();
}

impl Scene {
    /// Switches it on, and waits until it is ready. It boots slot A.
    fn comes_up(&mut self, fingerprint: Option<&str>) -> Up {
        let mut run = self.bench.pi.power_on().unwrap();
        assert_eq!(run.partition(), Slot::A.boot().number());
        let mut probe = run.probe().unwrap();
        ready(&run, &mut probe);
        let name = report(&mut probe)["host_name"].as_str().expect("it has a name").to_owned();
        let owner = Owner::meet(&self.bench, self.port, &format!("{name}.local"), fingerprint);
        Up { run, probe, owner }
    }

    fn assert_untouched(&self) {
        let partitions: Vec<_> = self.before.iter().map(|(partition, _)| *partition).collect();
        assert_eq!(digests(&self.bench.disk(), &partitions), self.before, "both slots and autoboot.txt");
    }

    /// A release that this EEPROM can't boot is refused.
    fn is_told_of_a_newer_eeprom(&self, up: &Up) {
        assert_eq!(updates(&up.owner)["eeprom_s"]["present"], Eeprom::CURRENT.build_timestamp);
        let good = Bundle::read(&release("good"));
        let former = good.manifest()["eeprom_min"].to_string();
        let change = (format!("\"eeprom_min\":{former}"), format!("\"eeprom_min\":{LATER_S}"));
        let newer = good.signed(&self.bench.path(""), &release_key(), &[(&change.0, &change.1)]);
        let path = self.bench.path("newer-eeprom.bundle");
        std::fs::write(&path, newer.to_bytes()).unwrap();
        self.is_refused(&up.owner, &path, "update the EEPROM first");
    }

    fn is_refused(&self, owner: &Owner, bundle: &Path, words: &str) {
        let (status, text) = owner.send_file("/api/update/bundle", bundle);
        assert!(status == 422 && text.contains("unsuitable") && text.contains(words), "{status} {text}");
        println!("refused: {text}");
        assert_eq!(updates(owner)["phase"]["phase"], "idle");
        self.assert_untouched();
    }

    /// A board as it was sold: it runs, says of which day its EEPROM is, and takes no update.
    fn runs_with_an_old_eeprom(&mut self, flashed: &Flashed) {
        self.bench.pi.board_mut().eeprom = Eeprom::OF_2024;
        let mut up = self.comes_up(Some(&flashed.fingerprint));
        up.owner.enter();
        wait_until_healthy(&up.run, &up.owner);
        assert_eq!(updates(&up.owner)["eeprom_s"]["present"], Eeprom::OF_2024.build_timestamp);
        let (status, page) = up.owner.page("/updates", &[]);
        assert!(status == 200 && page.contains("2024-09-23"), "the day on the page: {page}");
        self.is_refused(&up.owner, &release("good"), "the EEPROM is older than 2025-10-08");
        let _ = up.run.cut_power();
        self.bench.pi.board_mut().eeprom = Eeprom::CURRENT;
    }

    /// It runs slot A, as before, and is nobody's: neither its owner's, nor whoever's has the old code.
    fn is_locked(&mut self, state: &str, flashed: &Flashed) {
        let mut up = self.comes_up(None);
        assert_ne!(up.owner.fingerprint(), flashed.fingerprint, "its certificate was lost, too");
        let report = report(&mut up.probe);
        assert_eq!((&report["state"], &report["slot"]), (&state.into(), &"a".into()), "{report}");
        let problems = report["problems"].as_array().unwrap();
        let is_told = |problem: &Value| problem["text"].as_str().unwrap().contains("the appliance is locked");
        assert!(problems.iter().any(is_told), "{report}");
        assert!(up.run.console().lines().iter().any(|line| line.contains("the appliance is locked")), "on the screen");
        claims_nothing(&up.owner, flashed);
        let status = update_status(&mut up.probe);
        assert_eq!((&status["running"], &status["committed"]["present"]), (&"a".into(), &"a".into()), "{status}");
        assert_eq!(status["phase"]["phase"], "idle", "{status}");
        let _ = up.run.cut_power();
        self.assert_untouched();
        assert_eq!(self.bench.pi.look(Reset::default()).unwrap().partition, Slot::A.boot().number());
    }
}

/// Nobody can claim it, nobody can log in, and both API and page say why and what to do.
fn claims_nothing(owner: &Owner, flashed: &Flashed) {
    let claim = json!({"code": flashed.code, "name": "thief", "password": "quarry-Velvet-38-anchor"});
    let (status, text) = owner.ask("POST", "/api/auth/claim", Some(&claim));
    assert_eq!(status, 423, "{text}");
    assert!(text.contains("locked") && text.contains("flash.sh"), "{text}");
    println!("claim: {text}");
    let login = json!({"name": "owner", "password": "heron-Quince-71-lantern"});
    let (status, text) = owner.ask("POST", "/api/auth/login", Some(&login));
    assert!((400..500).contains(&status), "{status} {text}");
    println!("login: {status} {text}");
    let (status, text) = owner.ask("GET", "/api/update/status", None);
    assert_eq!(status, 401, "{text}");
    for page in ["/", "/login", "/claim", "/updates"] {
        let (status, text) = owner.ask("GET", page, None);
        assert_eq!(status, 423, "{page}: {text}");
        assert!(text.contains("This appliance is locked") && text.contains("flash.sh"), "{page}: {text}");
    }
}

/// How updates are.
fn updates(owner: &Owner) -> Value {
    let (status, text) = owner.ask("GET", "/api/update/status", None);
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["agent"].clone()
}

/// How the boot went, as the stage before systemd says.
fn report(probe: &mut Probe) -> Value {
    serde_json::from_str(&probe.text(paths::BOOT_REPORT).unwrap()).unwrap()
}

fn state(disk: &Path) -> (u64, u64) {
    DiskImage::open(disk).unwrap().place(Partition::State.number()).unwrap()
}

/// Overwrites the state partition with zeros.
fn zero(disk: &Path) {
    let (start, bytes) = state(disk);
    let zeros = vec![0; usize::try_from(bytes).unwrap()];
    File::options().write(true).open(disk).unwrap().write_all_at(&zeros, start).unwrap();
}

/// Puts an empty file system into the state partition, as somebody would who wants to claim the box.
fn empty(disk: &Path) {
    let (start, bytes) = state(disk);
    let made = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-L", lucid_layout::disk::STATE_LABEL, "-E", &format!("offset={start}")])
        .arg(disk)
        .arg(format!("{}k", bytes / 1024))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
