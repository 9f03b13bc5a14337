//! A card flashed anew beside the data disk of the former one: it comes up, and the dashboard takes the disk over.

use std::fs;

use lucid_hw_tests::machine::{Ending, Run};

use crate::appliance::{record_prove_and_restore, wait_until_healthy};
use crate::bench::{Bench, ready, until};
use crate::disks::make_room;
use crate::flash::flash_for;
use crate::owner::Owner;

const HOST_NAME: &str = "lucid-test";

/// Flashes the disk that the system lies on, with that consent to an SSD, and meets the appliance of it.
fn begin(bench: &mut Bench, port: u16, ssd: &str) -> (Run, Owner, String) {
    let flashed = flash_for(bench, HOST_NAME, ssd);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let mut owner = Owner::meet(bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    let recovery_key = owner.claim(&flashed.code);
    (run, owner, recovery_key)
}

#[test]
fn a_card_flashed_anew_takes_the_former_ones_disk_over() {
    take_over(Bench::new("takeover"), "labelled");
}

#[test]
fn a_disk_flashed_anew_keeps_the_data_behind_the_image() {
    let mut bench = Bench::new("takeover-own");
    make_room(&mut bench);
    take_over(bench, "none");
}

fn take_over(mut bench: Bench, ssd: &str) {
    let port = bench.forward(443);
    let (run, owner, former) = begin(&mut bench, port, ssd);
    wait_until_healthy(&run, &owner);
    owner.login();
    let (id, recorded) = record_prove_and_restore(&owner);
    let _ = run.cut_power();

    let (run, mut owner, own) = begin(&mut bench, port, ssd);
    assert_ne!(own, former);
    until(&run, "the disk to be recognised", || owner.page("/storage", &[]).1.contains("written by another appliance"));
    let waiting = owner.unwell(&[]);
    assert!(waiting.iter().any(|service| service.contains("session-storage")), "{waiting:?}");
    let order = |key: &str| {
        owner.submit("/storage", "/storage/take-over", &[("recovery_key", key), ("give_up_identity", "yes")])
    };
    let (status, page) = order(&own);
    assert!(status == 422 && page.contains("does not open it"), "{status} {page}");
    let (status, answer) = order(&former);
    assert_eq!(status, 303, "{answer}");
    let ending = run.wait_end().unwrap();
    assert_eq!(ending, Ending::Reboot(None), "it restarts by itself");

    let mut run = bench.pi.restart(&ending).unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    owner.enter();
    wait_until_healthy(&run, &owner);
    // The former card's certificate was pinned.
    owner.lucid(&["logout"]);
    owner.login();
    owner.lucid(&["restore", &id, "--output", "restored.bin"]);
    assert!(fs::read(owner.path("restored.bin")).unwrap() == recorded, "the former card's recording");
    owner.lucid(&["export", &id, "former"]);
    // The key that was trusted before is the one that signs now.
    owner.lucid(&["verify", "former", "--trust", "trusted-key"]);
    assert_eq!(owner.lucid(&["key"]), fs::read_to_string(owner.path("trusted-key")).unwrap().trim());
}
