//! Disks: pulled out, put back, and what a power cut leaves.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use lucid_hw_tests::crash::{self, WriteLog};
use lucid_hw_tests::machine::Bus;

use crate::appliance::{record_prove_and_restore, wait_until_healthy};
use crate::bench::{Bench, copy, ready, reboot, until};
use crate::flash::flash_for;
use crate::owner::Owner;

const HOST_NAME: &str = "lucid-nvme";

/// Whether a disk with the serial number of the bench's SSD is there.
fn has_ssd(probe: &mut lucid_hw_tests::probe::Probe) -> bool {
    let disks = probe.list("/sys/class/block").unwrap();
    disks.iter().any(|disk| {
        let mut serial = |file: &str| probe.text(&format!("/sys/class/block/{disk}/device/{file}"));
        // An NVMe disk says its serial number, a USB disk only its maker.
        serial("serial").is_ok_and(|text| text.trim() == "LUCID-SSD")
            || serial("vendor").is_ok_and(|text| text.trim() == "QEMU")
    })
}

fn pull_and_put_back(name: &str, bus: Bus) {
    let mut bench = Bench::new(name);
    bench.pi.board_mut().data_disk.as_mut().unwrap().bus = bus;
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    until(&run, "the disk", || has_ssd(&mut probe));
    run.unplug_data_disk().unwrap();
    until(&run, "the disk to go", || !has_ssd(&mut probe));
    run.plug_data_disk().unwrap();
    until(&run, "the disk to come back", || has_ssd(&mut probe));
}

#[test]
fn an_nvme_disk_can_be_pulled_and_put_back() {
    pull_and_put_back("nvme", Bus::Nvme);
}

#[test]
fn a_usb_disk_can_be_pulled_and_put_back() {
    pull_and_put_back("usb", Bus::Usb);
}

/// Room for data behind the image, on a larger disk.
const ROOM_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Leaves the board nothing but the disk that the system lies on, which is larger than the image.
pub(crate) fn make_room(bench: &mut Bench) {
    bench.pi.board_mut().data_disk = None;
    let disk = File::options().write(true).open(bench.disk()).unwrap();
    disk.set_len(disk.metadata().unwrap().len() + ROOM_BYTES).unwrap();
}

#[test]
fn a_system_on_nvme_keeps_its_data_on_the_same_disk() {
    let mut bench = Bench::new("nvme-alone");
    make_room(&mut bench);
    let flashed = flash_for(&bench, HOST_NAME, "none");
    let port = bench.forward(443);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let mut owner = Owner::meet(&bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    owner.claim(&flashed.code);
    wait_until_healthy(&run, &owner);
    let mounts = probe.text("/proc/mounts").unwrap();
    let data = mounts.lines().find(|line| line.contains(" /mnt/myssd ")).unwrap_or_else(|| panic!("{mounts}"));
    assert!(data.starts_with("/dev/nvme0n1p7 "), "{data}");
    owner.login();
    let (id, recorded) = record_prove_and_restore(&owner);

    reboot(&mut probe, None);
    let ending = run.wait_end().unwrap();
    let mut run = bench.pi.restart(&ending).unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    owner.enter();
    wait_until_healthy(&run, &owner);
    owner.lucid(&["restore", &id, "--output", "kept.bin"]);
    assert!(std::fs::read(owner.path("kept.bin")).unwrap() == recorded, "after a restart");
}

/// Files that the guest saves, one after the other, before the power is cut.
const SAVED: usize = 20;

/// Cuts that are tried; the last is after the last file.
const CUTS: usize = 25;

#[test]
fn a_disk_that_lost_power_can_be_repaired_and_holds_what_was_saved() {
    let mut bench = Bench::new("cut");
    let (disk, before, record) = (bench.path("ssd.img"), bench.path("before.img"), bench.path("writes.log"));
    copy(&disk, &before);
    File::create(&record).unwrap();
    let data_disk = bench.pi.board_mut().data_disk.as_mut().unwrap();
    (data_disk.record, data_disk.bus) = (Some(record.clone()), Bus::Usb);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    until(&run, "the disk", || has_ssd(&mut probe));
    let mounted = probe.run("/usr/bin/mount", &["LABEL=lucid-data", "/mnt/myssd"]).unwrap();
    assert_eq!(mounted.code, Some(0), "{}", mounted.stderr);
    for index in 0..SAVED {
        probe.save(&format!("/mnt/myssd/{index}"), &format!("file {index}")).unwrap();
    }
    let _ = run.cut_power();

    let mut log = WriteLog::open(File::open(&record).unwrap()).unwrap();
    let mut held = Vec::new();
    for cut in crash::cuts(log.records().len(), CUTS, 7) {
        copy(&before, &disk);
        let mut file = File::options().write(true).open(&disk).unwrap();
        crash::replay(&mut log, &mut file, cut).unwrap();
        let repaired = Command::new("e2fsck").args(["-f", "-p"]).arg(&disk).output().unwrap();
        assert!(matches!(repaired.status.code(), Some(0 | 1)), "{cut:?}: {repaired:?}");
        held.push(held_files(&disk));
    }
    assert!(held.is_sorted(), "later cuts never hold less: {held:?}");
    assert_eq!(held.last(), Some(&SAVED), "whatever was acknowledged is there: {held:?}");
    assert!(held[0] < SAVED, "the first cut is before the last file: {held:?}");
}

/// How many files are there, from the first on, with what they should hold.
fn held_files(disk: &Path) -> usize {
    let holds = |index: &usize| {
        let shown = Command::new("debugfs").arg("-R").arg(format!("cat /{index}")).arg(disk).output().unwrap();
        shown.stdout == format!("file {index}").as_bytes()
    };
    (0..SAVED).take_while(holds).count()
}
