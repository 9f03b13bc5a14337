//! A first boot that loses its power somewhere: the next one ends it.
//!
//! QEMU is killed, so that everything the guest wrote is kept: what a real power cut tears besides is made elsewhere,
//! from a record of the writes.

use std::thread;
use std::time::{Duration, Instant};

use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::eeprom::BootFiles;
use lucid_layout::Partition;
use lucid_layout::provisioning::is_consumed;

use crate::bench::{Bench, copy, ready};
use crate::flash::{Flashed, flash};
use crate::owner::Owner;

const HOST_NAME: &str = "lucid-cut";

/// Cuts, unless LUCID_CUTS says otherwise.
const CUTS: u32 = 3;

#[test]
fn a_first_boot_that_is_interrupted_is_made_up_for_by_the_next() {
    let mut bench = Bench::new("first-boot");
    let flashed = flash(&bench, HOST_NAME);
    let pristine = bench.path("pristine.img");
    copy(&bench.disk(), &pristine);
    let port = bench.forward(443);
    let whole = comes_up(&mut bench, port, &flashed);
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for cut in 0..cuts() {
        copy(&pristine, &bench.disk());
        // Squared: the stage that applies the provisioning is over within the first quarter, and so is half of them.
        let after = whole.mul_f64(random.f64().powi(2));
        let run = bench.pi.power_on().unwrap();
        let began = Instant::now();
        while began.elapsed() < after {
            thread::park_timeout(after.saturating_sub(began.elapsed()));
        }
        let _ = run.cut_power();
        let consumed = is_stamped(&bench);
        println!("cut {cut} after {:.1} s (seed {seed}); provisioning consumed: {consumed}", after.as_secs_f64());
        comes_up(&mut bench, port, &flashed);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration; more cuts are asked for by hand")]
fn cuts() -> u32 {
    std::env::var("LUCID_CUTS").map_or(CUTS, |cuts| cuts.parse().expect("LUCID_CUTS is a number"))
}

fn is_stamped(bench: &Bench) -> bool {
    let file = DiskImage::open(&bench.disk()).unwrap().read(Partition::Autoboot.number(), "lucid.toml").unwrap();
    is_consumed(&file)
}

/// Boots, and claims it with the code that flash.sh printed. How long it took until it was ready.
fn comes_up(bench: &mut Bench, port: u16, flashed: &Flashed) -> Duration {
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let took = run.elapsed();
    let mut owner = Owner::meet(bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    owner.claim(&flashed.code);
    assert!(is_stamped(bench));
    let _ = run.cut_power();
    took
}
