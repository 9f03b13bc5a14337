//! A first boot that loses its power somewhere: the next one ends it, and the code claims the box, once.
//!
//! Here QEMU is killed, so that everything the guest wrote is kept; what a power cut tears and loses besides comes from
//! a record of the writes (`provisioning_cut.rs`).

use std::thread;
use std::time::{Duration, Instant};

use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::eeprom::BootFiles;
use lucid_hw_tests::machine::Run;
use lucid_layout::Partition;
use lucid_layout::provisioning::is_consumed;
use serde_json::{Value, json};

use crate::appliance::{on_first_partition, secrets};
use crate::bench::{Bench, copy, ready};
use crate::flash::{Flashed, flash};
use crate::owner::Owner;
use crate::power;

const HOST_NAME: &str = "lucid-cut";

/// Cuts, unless `LUCID_CUTS` says otherwise.
const CUTS: usize = 3;

/// A board whose disk was flashed and that has never been switched on.
pub(crate) struct Fresh {
    pub(crate) bench: Bench,
    pub(crate) flashed: Flashed,
    /// What nobody may read on the first partition after the first boot.
    secrets: Vec<String>,
    port: u16,
}

impl Fresh {
    pub(crate) fn new(name: &str) -> Self {
        let mut bench = Bench::new(name);
        let flashed = flash(&bench, HOST_NAME);
        let secrets = secrets(&bench, &flashed);
        copy(&bench.disk(), &bench.path("pristine.img"));
        let port = bench.forward(443);
        Self { bench, flashed, secrets, port }
    }

    /// The provisioning file on the board's disk.
    pub(crate) fn provisioning(&self) -> Vec<u8> {
        DiskImage::open(&self.bench.disk()).unwrap().read(Partition::Autoboot.number(), "lucid.toml").unwrap()
    }

    /// Boots until it is ready; nothing that was provisioned can be read on the first partition then.
    pub(crate) fn comes_up(&mut self) -> (Run, Owner) {
        let mut run = self.bench.pi.power_on().unwrap();
        let mut probe = run.probe().unwrap();
        ready(&run, &mut probe);
        assert!(is_consumed(&self.provisioning()));
        for secret in &self.secrets {
            assert!(!on_first_partition(&self.bench.disk(), secret), "a secret is still on partition 1");
        }
        let host_name = format!("{HOST_NAME}.local");
        let owner = Owner::meet(&self.bench, self.port, &host_name, Some(&self.flashed.fingerprint));
        (run, owner)
    }

    /// Claims it unless it is claimed; the code is worth nothing then, and the owner comes in. Whether it was claimed.
    pub(crate) fn is_claimed_once(&self, owner: &mut Owner) -> bool {
        let (status, text) = owner.ask("GET", "/api/auth/claim", None);
        assert_eq!(status, 200, "{text}");
        let was_claimed = serde_json::from_str::<Value>(&text).unwrap()["claimed"].as_bool().expect("true or false");
        if !was_claimed {
            owner.claim(&self.flashed.code);
        }
        let thief = json!({"code": self.flashed.code, "name": "thief", "password": "quarry-Velvet-38-anchor"});
        let (status, text) = owner.ask("POST", "/api/auth/claim", Some(&thief));
        assert!(status == 409 && text.contains("already_claimed"), "the code was used: {status} {text}");
        owner.enter();
        was_claimed
    }
}

#[test]
fn a_first_boot_that_is_interrupted_is_made_up_for_by_the_next() {
    let mut fresh = Fresh::new("first-boot");
    let (run, mut owner) = fresh.comes_up();
    let whole = run.elapsed();
    assert!(!fresh.is_claimed_once(&mut owner));
    let _ = run.cut_power();
    let mut random = power::random();
    for cut in 0..power::cuts(CUTS) {
        copy(&fresh.bench.path("pristine.img"), &fresh.bench.disk());
        // To the fourth power: the stage that applies the provisioning is over early, and half of them come in a
        // sixteenth of the time.
        let after = whole.mul_f64(random.f64().powi(4));
        interrupt(&mut fresh, after);
        let consumed = is_consumed(&fresh.provisioning());
        println!("cut {cut} after {:.1} s; provisioning consumed: {consumed}", after.as_secs_f64());
        let (run, mut owner) = fresh.comes_up();
        assert!(!fresh.is_claimed_once(&mut owner), "nobody has claimed it");
        let _ = run.cut_power();
    }
    // Claimed is claimed, whatever it was before.
    let (run, mut owner) = fresh.comes_up();
    assert!(fresh.is_claimed_once(&mut owner));
    let _ = run.cut_power();
}

fn interrupt(fresh: &mut Fresh, after: Duration) {
    let run = fresh.bench.pi.power_on().unwrap();
    let began = Instant::now();
    while began.elapsed() < after {
        thread::park_timeout(after.saturating_sub(began.elapsed()));
    }
    let _ = run.cut_power();
}
