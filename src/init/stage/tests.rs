mod mounted;

use std::fs;
use std::path::PathBuf;

use lucid_layout::autoboot::{committed, render};
use lucid_layout::files;
use lucid_layout::provisioning::{consumed, padded};
use tempfile::TempDir;

use super::*;
use crate::disk::tests::recorded;
use crate::system::fake::{Fake, Fate};
use crate::tests::volume::Volume;

const CODE: &str = "ABCD-EFGH-JKMN-PQRS";
const FILE: &str = "version = 1\nhostname = \"cellar\"\ntimezone = \"Europe/Berlin\"\n\
                    [claim]\ncode = \"ABCD-EFGH-JKMN-PQRS\"\n";

/// What the kernel and the image give a boot.
const GIVEN: [(&str, &str); 8] = [
    ("/proc/cmdline", "quiet init=/usr/bin/lucid-init lucid.slot=a panic=10\n"),
    ("/proc/device-tree/serial-number", "10000000deadbeef\0"),
    ("/proc/sys/kernel/random/boot_id", "0e7a8a3c-0000-4000-8000-000000000001\n"),
    ("/etc/machine-id", ""),
    ("/sbin/e2fsck", ""),
    ("/dev/kmsg", ""),
    ("/dev/watchdog0", ""),
    ("/usr/share/zoneinfo/Europe/Berlin", "TZif"),
];

/// Every call that the stage makes of the kernel, in the order of the fake's notes.
const CALLS: [&str; 15] = [
    "look proc",
    "mount proc on proc",
    "mount sysfs on sys",
    "mount devtmpfs on dev",
    "mount tmpfs on run",
    "device",
    "check mmcblk0p6",
    "mount ext4 on state",
    "mount tmpfs on var",
    "bind systemd on systemd",
    "bind journal on journal",
    "bind machine-id on machine-id",
    "name cellar",
    "look sys",
    "look run",
];

/// A box whose mounts are only noted.
struct Bench {
    dir: TempDir,
    root: Root,
    fake: Fake,
    volume: Volume,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::of_test(dir.path());
        recorded(dir.path(), 4);
        for (path, text) in GIVEN {
            file::write_volatile(&root.at(path), text).unwrap();
        }
        let volume = Volume::with(files::PROVISIONING, &padded(FILE.as_bytes()).unwrap());
        std::os::unix::fs::symlink(&volume.image, root.at("/dev/mmcblk0p1")).unwrap();
        Self { dir, root, fake: Fake::new(), volume }
    }

    fn boot(&self) -> BootReport {
        run(&self.root, &self.fake)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.at(path)).unwrap()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.at(path)
    }
}

fn codes(report: &BootReport) -> Vec<&str> {
    report.problems.iter().map(|problem| &*problem.code).collect()
}

#[test]
fn a_first_boot_and_a_second() {
    let bench = Bench::new();
    let report = bench.boot();
    let expected = BootReport {
        slot: Some(Slot::A),
        boot_count: Some(1),
        first_boot: true,
        state: StateCondition::Fresh,
        provisioned: true,
        trial: false,
        rescue: None,
        serial: Some("10000000deadbeef".to_owned()),
        eeprom_settings: None,
        host_name: Some("cellar".to_owned()),
        boot_disk: Some("mmcblk0".to_owned()),
        stage_ms: report.stage_ms,
        problems: vec![],
    };
    assert_eq!(report, expected);
    assert_eq!(serde_json::from_str::<BootReport>(&bench.text(paths::BOOT_REPORT)).unwrap(), report);
    assert_eq!(bench.text("/run/lucid/env"), "TZ=Europe/Berlin\n");
    assert_eq!(bench.text("/run/lucid/timezone"), "Europe/Berlin\n");
    assert!(bench.text("/run/systemd/network/10-lucid.network").contains("DHCP=yes"));
    assert!(CALLS.iter().all(|call| bench.fake.was_asked(call)), "{:?}", bench.fake.calls.borrow());
    let trial = bench.place("/run/systemd/system/lucid-ready.target.d/10-trial.conf");
    assert!(!trial.exists(), "no trial's deadline, as this is none");
    let log = bench.text("/dev/kmsg");
    assert!(log.lines().all(|line| line.starts_with("<6>lucid-init: ")) && log.contains("starting systemd"), "{log}");

    let id = bench.text(paths::MACHINE_ID);
    file::write_volatile(&bench.place("/proc/sys/kernel/random/boot_id"), "another\n").unwrap();
    let again = bench.boot();
    let kept = BootReport { boot_count: Some(2), first_boot: false, state: StateCondition::Kept, ..expected };
    assert_eq!(again, BootReport { stage_ms: again.stage_ms, ..kept });
    assert_eq!(bench.text(paths::MACHINE_ID), id);
}

#[test]
fn no_secret_is_in_the_log_or_the_report() {
    for file in [FILE.to_owned(), FILE.replace("ABCD-", "ABCD!"), FILE.replace("code = ", "code = 1 ")] {
        let bench = Bench::new();
        bench.volume.put(files::PROVISIONING, file.as_bytes());
        let report = bench.boot();
        assert_eq!(report.provisioned, file == FILE);
        let told = bench.text("/dev/kmsg") + &bench.text(paths::BOOT_REPORT);
        assert!(!told.contains(&CODE[5..]), "{told}");
        assert_eq!(told.contains("provisioning-mistake"), file != FILE);
    }
}

#[test]
fn whatever_call_fails_or_panics_the_boot_goes_on_and_says_so() {
    for (call, fate) in CALLS.iter().flat_map(|call| [(call, Fate::Fails), (call, Fate::Panics)]) {
        let bench = Bench::new();
        bench.fake.doom(call, fate);
        let report = bench.boot();
        assert!(!report.problems.is_empty(), "{call}");
        assert_eq!(report.problems[0].text.contains("panicked"), fate == Fate::Panics, "{:?}", report.problems);
        assert_eq!(bench.text(paths::BOOT_REPORT), serde_json::to_string(&report).unwrap());
        assert!(bench.text("/dev/kmsg").contains("starting systemd"), "{call}");
        let has_state = !["device", "mount ext4"].iter().any(|needed| call.starts_with(needed));
        let expected = if has_state { StateCondition::Fresh } else { StateCondition::Unmountable };
        assert_eq!((report.state, report.provisioned), (expected, has_state), "{call}");
        assert_eq!(report.boot_count.is_some(), has_state, "{call}");
    }
}

#[test]
fn whatever_is_missing_the_boot_goes_on_and_says_so() {
    let check = |path: &str, expected: &[&str]| {
        let bench = Bench::new();
        let place = bench.place(path);
        let removed = if place.is_dir() { fs::remove_dir_all(place) } else { fs::remove_file(place) };
        removed.unwrap();
        assert_eq!(codes(&bench.boot()), expected, "without {path}");
    };
    check("/proc/cmdline", &["slot"]);
    check("/proc/device-tree/serial-number", &[]);
    check("/proc/sys/kernel/random/boot_id", &["boot-count"]);
    check("/etc/machine-id", &["machine-id"]);
    check("/sbin/e2fsck", &["state-check"]);
    check("/dev/kmsg", &[]);
    check("/dev/watchdog0", &["watchdog"]);
    check("/usr/share/zoneinfo", &["timezone"]);
    check("/dev/mmcblk0p1", &["state-unknown"]);
    check("/sys", &["boot-disk"]);
}

#[test]
fn a_state_that_its_check_gave_up_on_is_not_mounted_and_the_box_locked() {
    for (status, is_mounted) in [(0, true), (1, true), (3, true), (4, false), (12, false), (8, true), (16, true)] {
        let bench = Bench::new();
        bench.fake.check_status.set(Some(status));
        let report = bench.boot();
        assert_eq!(bench.fake.was_asked("mount ext4 on state"), is_mounted, "{status}");
        assert_eq!(report.state.is_locked(), !is_mounted, "{status}");
        assert_eq!(bench.fake.was_asked("mount tmpfs on state"), !is_mounted, "{status}");
        let is_used_up = bench.volume.get(files::PROVISIONING) == consumed(32 * 1024);
        assert_eq!(is_used_up, is_mounted, "{status}: nothing is taken from the file where it can't be kept");
    }
}

#[test]
fn a_trial_gets_its_deadline_and_a_foreign_root_is_noticed() {
    let bench = Bench::new();
    fs::create_dir_all(bench.place("/proc/device-tree/chosen/bootloader")).unwrap();
    fs::write(bench.place("/proc/device-tree/chosen/bootloader/tryboot"), [0, 0, 0, 1]).unwrap();
    file::write_volatile(&bench.place("/proc/cmdline"), "lucid.slot=b").unwrap();
    let report = bench.boot();
    assert!(report.trial && report.slot == Some(Slot::B));
    let bounds = fs::read_dir(bench.place("/run/systemd/system/lucid-ready.target.d")).unwrap();
    let bounds: Vec<_> = bounds.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(bounds, ["10-trial.conf"]);
    assert!(bench.place("/run/systemd/system/timers.target.wants/lucid-trial.timer").is_symlink());
    let kept: Attempts = serde_json::from_str(&bench.text(paths::BOOT_ATTEMPTS)).unwrap();
    assert_eq!(kept.trial.map(|trial| trial.slot), Some(Slot::B));
    assert_eq!(codes(&report), ["slot"]);
    assert!(report.problems[0].text.contains("slot b") && report.problems[0].text.contains("partition 4"));
}

#[test]
fn an_ordinary_boot_that_is_counted_has_to_become_ready_too() {
    let bench = Bench::new();
    bench.boot();
    let bound = bench.text("/run/systemd/system/lucid-ready.target.d/10-ordinary.conf");
    assert_eq!(bound, "[Unit]\nJobTimeoutSec=900\nJobTimeoutAction=reboot\n");
    let uncounted = Bench::new();
    fs::remove_file(uncounted.place("/proc/sys/kernel/random/boot_id")).unwrap();
    assert_eq!(codes(&uncounted.boot()), ["boot-count"]);
    assert!(!uncounted.place("/run/systemd/system/lucid-ready.target.d").exists());
}

#[test]
fn damaged_settings_are_reported_and_replaced_by_defaults() {
    let bench = Bench::new();
    bench.boot();
    for path in [paths::HOSTNAME, paths::NETWORK, paths::TIMEZONE, paths::BOOT_ATTEMPTS, paths::MACHINE_ID] {
        fs::remove_file(bench.place(path)).ok();
        fs::write(bench.place(path), b"\xff\0").unwrap();
    }
    let report = bench.boot();
    assert_eq!(codes(&report), ["machine-id", "host-name", "network", "timezone", "boot-count"]);
    assert_eq!(report.host_name.as_deref(), Some("lucid-beef"));
    assert_eq!((report.state, report.boot_count), (StateCondition::Kept, Some(1)));
    assert_eq!(bench.text("/run/lucid/env"), "TZ=UTC\n");
    assert!(bench.text("/run/systemd/network/10-lucid.network").contains("DHCP=yes"));
    assert!(bench.dir.path().exists());
}

/// A box that has booted, ready to fail.
fn failing(other: &str) -> Bench {
    let bench = Bench::new();
    bench.volume.put(files::AUTOBOOT_TXT, &render(Slot::A));
    bench.boot();
    let good = r#"{"standing":"good","version":"1","build_id":"ID","data":{"generation":2,"reads_from":2}}"#;
    let other = other.replace("GOOD", good).replace("ID", &"5a".repeat(32));
    let book = format!(r#"{{"committed":"a","a":{{"standing":"unknown"}},"b":{other},"data_generation":2}}"#);
    fs::write(bench.place(paths::SLOT_BOOK), book).unwrap();
    bench
}

impl Bench {
    fn boot_again(&self, boots: u32) -> BootReport {
        file::write_volatile(&self.place("/proc/sys/kernel/random/boot_id"), &format!("boot {boots}\n")).unwrap();
        let report = self.boot();
        assert_eq!(report.boot_count, Some(boots));
        report
    }

    fn committed(&self) -> Option<Slot> {
        committed(&self.volume.get(files::AUTOBOOT_TXT)).ok()
    }
}

#[test]
fn the_third_failed_boot_leaves_the_slot_for_a_good_one() {
    let bench = failing("GOOD");
    for boots in [2, 3] {
        assert_eq!(bench.boot_again(boots).rescue, None);
    }
    assert!(!bench.fake.was_asked("restart") && bench.committed() == Some(Slot::A));
    let report = bench.boot_again(4);
    assert!(bench.fake.was_asked("restart") && bench.committed() == Some(Slot::B), "{report:?}");
    assert_eq!((report.rescue, report.problems), (None, vec![]));
    assert!(bench.text(paths::FALLBACK).contains(r#""from":"a","failed_boots":3,"boot_id":"boot 4""#));
}

#[test]
fn a_restart_that_fails_ends_in_rescue() {
    for fate in [Fate::Fails, Fate::Panics] {
        let bench = failing("GOOD");
        (2..4).for_each(|boots| drop(bench.boot_again(boots)));
        bench.fake.doom("restart", fate);
        let report = bench.boot_again(4);
        assert_eq!(codes(&report), ["fallback"]);
        assert!(report.rescue.unwrap().contains("the restart into it failed"));
    }
}

#[test]
fn without_a_good_slot_the_box_comes_up_in_rescue_and_tries_again_after_it() {
    let bench = failing(r#"{"standing":"unfit","reason":"half written"}"#);
    for boots in 2..9 {
        let report = bench.boot_again(boots);
        let is_rescue = [4, 6, 8].contains(&boots);
        assert_eq!(report.rescue.is_some(), is_rescue, "boot {boots}");
        assert_eq!(bench.place(RESCUE).exists(), is_rescue);
        if is_rescue {
            assert!(bench.text(RESCUE).contains("half written"));
            fs::remove_file(bench.place(RESCUE)).unwrap();
        }
    }
    assert!(!bench.fake.was_asked("restart") && bench.committed() == Some(Slot::A));
}

#[test]
fn a_trial_neither_leaves_its_slot_nor_ends_in_rescue() {
    let bench = failing("GOOD");
    fs::create_dir_all(bench.place("/proc/device-tree/chosen/bootloader")).unwrap();
    fs::write(bench.place("/proc/device-tree/chosen/bootloader/tryboot"), [0, 0, 0, 1]).unwrap();
    for boots in 2..8 {
        assert_eq!(bench.boot_again(boots).rescue, None);
    }
    assert!(!bench.fake.was_asked("restart") && bench.committed() == Some(Slot::A));
}
