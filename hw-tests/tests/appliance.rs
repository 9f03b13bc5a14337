//! From flash.sh to a recording that was proven, and everything still the same after a restart.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use lucid_hw_tests::disk::DiskImage;
use lucid_hw_tests::eeprom::BootFiles;
use lucid_hw_tests::machine::{Ending, Run};
use lucid_hw_tests::probe::Probe;
use lucid_layout::provisioning::{AREA_BYTES, is_consumed};
use lucid_layout::{Partition, paths};
use serde_json::Value;

use crate::bench::{Bench, built, property, ready, reboot, until};
use crate::flash::{Flashed, TIME_ZONE, flash};
use crate::isolation;
use crate::owner::Owner;

const HOST_NAME: &str = "lucid-test";

/// Bytes of the recording: several chunks of 8 MiB would take minutes to emulate, one and a rest do not.
const RECORDED_BYTES: u32 = 9 * 1024 * 1024;

#[test]
fn a_flashed_image_becomes_its_owners_appliance() {
    let mut bench = Bench::new("appliance");
    let flashed = flash(&bench, HOST_NAME);
    let secrets = secrets(&bench, &flashed);
    let port = bench.forward(443);
    let mut run = bench.pi.power_on().unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    show_figures(&mut probe);
    assert_sound(&mut probe);
    let mut owner = Owner::meet(&bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    owner.claim(&flashed.code);
    // Destroyed beside the answer, which waits for no disk.
    until(&run, "the used code to be destroyed", || probe.stat(paths::CLAIM_CODE).is_err());
    wait_until_healthy(&run, &owner);
    owner.login();
    let (_, updates) = owner.ask("GET", "/api/update/status", None);
    assert!(updates.contains(&format!("\"zone\":\"{TIME_ZONE}\"")), "by whose clock windows go: {updates}");
    assert_consumed(&bench, &secrets);
    record_prove_and_restore(&owner);

    let before = identity(&mut probe, &owner);
    reboot(&mut probe, None);
    let ending = run.wait_end().unwrap();
    assert_eq!(ending, Ending::Reboot(None));
    let mut run = bench.pi.restart(&ending).unwrap();
    let mut probe = run.probe().unwrap();
    ready(&run, &mut probe);
    let mut owner = Owner::meet(&bench, port, &format!("{HOST_NAME}.local"), Some(&flashed.fingerprint));
    owner.enter();
    wait_until_healthy(&run, &owner);
    owner.login();
    assert_eq!(identity(&mut probe, &owner), before);
    isolation::assert_isolated(&mut run, &mut probe);
}

/// What the provisioning holds that nobody may read on the card afterwards.
pub(crate) fn secrets(bench: &Bench, flashed: &Flashed) -> Vec<String> {
    let file = DiskImage::open(&bench.disk()).unwrap().read(Partition::Autoboot.number(), "lucid.toml").unwrap();
    let text = String::from_utf8(file).unwrap();
    let key = text.split("-----BEGIN PRIVATE KEY-----").nth(1).unwrap();
    let lines = key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')).map(str::to_owned);
    let secrets: Vec<_> = lines.chain([flashed.code.clone()]).collect();
    assert!(secrets.len() >= 3, "a key of several lines, and the code");
    for secret in &secrets {
        assert!(on_first_partition(&bench.disk(), secret), "flash.sh wrote it");
    }
    secrets
}

pub(crate) fn on_first_partition(disk: &Path, text: &str) -> bool {
    let (start, bytes) = DiskImage::open(disk).unwrap().place(Partition::Autoboot.number()).unwrap();
    let mut partition = vec![0; usize::try_from(bytes).unwrap()];
    File::open(disk).unwrap().read_exact_at(&mut partition, start).unwrap();
    let (first, text) = (text.as_bytes()[0], text.as_bytes());
    partition.iter().enumerate().any(|(at, byte)| *byte == first && partition[at..].starts_with(text))
}

fn assert_consumed(bench: &Bench, secrets: &[String]) {
    let file = DiskImage::open(&bench.disk()).unwrap().read(Partition::Autoboot.number(), "lucid.toml").unwrap();
    assert!(is_consumed(&file), "{}", String::from_utf8_lossy(&file[..80]));
    assert_eq!(file.len(), AREA_BYTES);
    for secret in secrets {
        assert!(!on_first_partition(&bench.disk(), secret), "a secret is still on partition 1");
    }
}

/// No unit failed, and the stage before systemd had nothing to complain about.
fn assert_sound(probe: &mut Probe) {
    let failed = probe.run("/usr/bin/systemctl", &["list-units", "--failed", "--plain", "--no-legend"]).unwrap();
    assert_eq!((failed.code, failed.stdout.trim()), (Some(0), ""));
    let report: Value = serde_json::from_str(&probe.text(paths::BOOT_REPORT).unwrap()).unwrap();
    assert_eq!(report["problems"], serde_json::json!([]), "{report}");
    assert_eq!((&report["provisioned"], &report["host_name"]), (&true.into(), &HOST_NAME.into()), "{report}");
}

/// The virtual board has none, which is no fault of thermal-watch.
pub(crate) const NO_THERMOMETER: &[&str] = &["thermal-watch"];

/// Waits until every service does its work.
pub(crate) fn wait_until_healthy(run: &Run, owner: &Owner) {
    let mut last = Vec::new();
    until(run, "every service to be healthy", || {
        let unwell = owner.unwell(NO_THERMOMETER);
        if unwell != last {
            println!("{:4} s: not healthy: {unwell:?}", run.elapsed().as_secs());
            last.clone_from(&unwell);
        }
        unwell.is_empty()
    });
}

/// Records something, proves it away from the appliance, and gets it back. Its number, and what was recorded.
pub(crate) fn record_prove_and_restore(owner: &Owner) -> (String, Vec<u8>) {
    let mut random = fastrand::Rng::with_seed(11);
    let recorded: Vec<u8> = (0..RECORDED_BYTES).map(|_| random.u8(..)).collect();
    fs::write(owner.path("session.bin"), &recorded).unwrap();
    let id = owner.lucid(&["record", "session.bin"]);
    owner.lucid(&["export", &id, "evidence"]);
    fs::write(owner.path("trusted-key"), owner.lucid(&["key"])).unwrap();
    owner.lucid(&["verify", "evidence", "--trust", "trusted-key"]);
    assert_eq!(owner.command_line(&["verify", "evidence"], "").status.code(), Some(3), "nothing is trusted by itself");
    owner.lucid(&["restore", &id, "--output", "again.bin"]);
    assert!(fs::read(owner.path("again.bin")).unwrap() == recorded, "what comes back is what was recorded");
    (id, recorded)
}

/// What makes it this appliance and no other.
fn identity(probe: &mut Probe, owner: &Owner) -> BTreeMap<&'static str, String> {
    let machine = probe.text(paths::ETC_MACHINE_ID).unwrap();
    assert_eq!(machine.trim().len(), 32, "{machine}");
    let name = probe.text("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(name.trim(), HOST_NAME);
    BTreeMap::from([("machine-id", machine), ("host name", name), ("verifier key", owner.lucid(&["key"]))])
}

/// For BENCHMARKS.md; nothing depends on them.
fn show_figures(probe: &mut Probe) {
    let seconds = |text: String| text.parse::<f64>().unwrap() / 1e6;
    let at = |probe: &mut Probe, unit: &str| seconds(property(probe, unit, "ActiveEnterTimestampMonotonic"));
    let ready = at(probe, "lucid-ready.target");
    let basic = at(probe, "basic.target");
    let supervisor = at(probe, "lucid-supervisor.service");
    println!("kernel start to basic.target {basic:.2} s, supervisor {supervisor:.2} s, ready {ready:.2} s");
    let report: Value = serde_json::from_str(&probe.text(paths::BOOT_REPORT).unwrap()).unwrap();
    println!("stage before systemd: {} ms", report["stage_ms"]);
    let memory = probe.text("/proc/meminfo").unwrap();
    for line in memory.lines().filter(|line| line.starts_with("MemTotal") || line.starts_with("MemAvailable")) {
        println!("{line}");
    }
    for unit in ["lucid-supervisor.service", "lucid-payments.service", "lucid-agent.service"] {
        println!("{unit}: {} bytes of memory", property(probe, unit, "MemoryCurrent"));
    }
    for file in fs::read_dir(built("image")).unwrap().map(|entry| entry.unwrap().path()) {
        println!("{}: {} bytes", file.display(), fs::metadata(&file).unwrap().len());
    }
}
