use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use lucid_agent_protocol::update::{LOG_LINES_MAX, WHY_BYTES_MAX};
use tempfile::TempDir;

use super::*;

const ARMED_IN: &str = "boot-1";
const PANIC: &str = "Panic#1 Part1\n<6>[   11.1] one\n<6>[   11.2] two\n<6>[   11.3] three\n<6>[   11.4] four\n\
    <0>[   12.0] Kernel panic - not syncing: sysrq triggered crash\n<4>[   12.1] CPU: 0 PID: 1\n";

/// A folder of pstore's, and a count of boots.
struct Bench {
    dir: TempDir,
    archive: Archive,
    asked: SystemTime,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pstore = vec![dir.path().join("sys"), dir.path().join("var"), dir.path().join("missing")];
        pstore[..2].iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
        let archive = Archive { pstore, attempts: dir.path().join("attempts.json"), asked: dir.path().join("asked") };
        let asked = SystemTime::now() - Duration::from_secs(60);
        File::create(&archive.asked).unwrap().set_modified(asked).unwrap();
        Self { dir, archive, asked }
    }

    fn counted(self, after: &str) -> Self {
        let trial = TrialBoot { slot: Slot::B, boot_id: "boot-2".to_owned(), after: Some(after.to_owned()) };
        let attempts =
            Attempts { boots_without_ready: 1, boot_id: "boot-3".to_owned(), slot: Some(Slot::A), trial: Some(trial) };
        fs::write(&self.archive.attempts, serde_json::to_vec(&attempts).unwrap()).unwrap();
        self
    }

    fn kept(self, name: &str, text: &[u8]) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn aged(self, name: &str) -> Self {
        let file = File::options().write(true).open(self.dir.path().join(name)).unwrap();
        file.set_modified(self.asked - Duration::from_secs(1)).unwrap();
        self
    }

    fn failure(&self, reached: Reached<'_>) -> Failure {
        self.archive.gather(Slot::B).failure("1.3", ARMED_IN, reached)
    }
}

fn fault() -> Fault {
    let log = vec!["started".to_owned(), "broken".to_owned()];
    Fault { cause: Cause::Service, service: Some("mongodb".to_owned()), why: "it fails".to_owned(), log }
}

#[track_caller]
fn assert_told(bench: &Bench, reached: Reached<'_>, cause: Cause, words: &str) -> Vec<String> {
    let failure = bench.failure(reached);
    assert!(failure.cause == cause && failure.why.contains(words), "{failure:?}");
    assert!(failure.why.contains("version 1.3"), "{failure:?}");
    failure.log
}

#[test]
fn a_panic_is_told_by_its_text() {
    for name in ["sys/dmesg-ramoops-0", "var/dmesg-ramoops-1", "var/1763/dmesg-ramoops-0", "var/1763/1/dmesg-efi-1"] {
        let bench = Bench::new().counted(ARMED_IN).kept(name, PANIC.as_bytes());
        for reached in [Reached::Armed, Reached::Trying(&[fault()])] {
            let log = assert_told(&bench, reached, Cause::Panic, "stopped: sysrq triggered crash");
            assert_eq!(log[0], "[   11.2] two");
            assert_eq!(log[3], "[   12.0] Kernel panic - not syncing: sysrq triggered crash");
            assert_eq!(log[4..], ["[   12.1] CPU: 0 PID: 1"]);
        }
    }
}

#[test]
fn what_is_older_or_no_panic_is_not_taken_for_one() {
    let old = Bench::new().kept("var/dmesg-ramoops-0", PANIC.as_bytes()).aged("var/dmesg-ramoops-0");
    assert_told(&old, Reached::Armed, Cause::NeverStarted, "nothing was heard");
    let unknown = Bench::new().kept("var/dmesg-ramoops-0", PANIC.as_bytes());
    fs::remove_file(&unknown.archive.asked).unwrap();
    assert_told(&unknown, Reached::Armed, Cause::NeverStarted, "nothing was heard");
    let oops = Bench::new().kept("var/dmesg-ramoops-0", b"Oops#1 Part1\n<1>[ 1.0] Unable to handle\n");
    assert_told(&oops, Reached::Armed, Cause::NeverStarted, "nothing was heard");
}

#[test]
fn a_trial_that_init_did_not_count_never_started() {
    assert_told(&Bench::new(), Reached::Armed, Cause::NeverStarted, "not loaded");
    let earlier = Bench::new().counted("boot-0");
    assert_told(&earlier, Reached::Armed, Cause::NeverStarted, "not loaded");
    let damaged = Bench::new().kept("attempts.json", b"{");
    assert_told(&damaged, Reached::Armed, Cause::NeverStarted, "not loaded");
    // The console is of the boot that asked for it.
    let other = b"Kernel command line: lucid.slot=a quiet\nreboot: Restarting system with command '0 tryboot'\n";
    let bench = Bench::new().kept("var/console-ramoops-0", other);
    assert!(assert_told(&bench, Reached::Armed, Cause::NeverStarted, "not loaded").is_empty());
}

#[test]
fn one_that_started_is_told_by_its_end() {
    let orderly = b"Command line: lucid.slot=b quiet\nsystemd[1]: Rebooting.\nreboot: Restarting system\n";
    let reset = b"Command line: lucid.slot=b quiet\nsystemd[1]: Started.\n";
    let check = |console: Option<&[u8]>, reached: Reached<'_>, cause, words| {
        let bench = Bench::new().counted(ARMED_IN);
        let bench = match console {
            Some(text) => bench.kept("var/console-ramoops-0", text),
            None => bench,
        };
        assert_told(&bench, reached, cause, words)
    };
    let nothing = Reached::Trying(&[]);
    assert_eq!(check(Some(orderly), Reached::Armed, Cause::Agent, "its agent").len(), 3);
    check(Some(reset), Reached::Armed, Cause::Watchdog, "stood still while it started");
    let before = b"reboot: Restarting system with command '0 tryboot'\n";
    check(Some(before), Reached::Armed, Cause::Interrupted, "power was cut while version 1.3 started");
    check(None, Reached::Armed, Cause::Interrupted, "power was cut while version 1.3 started");
    check(Some(orderly), nothing, Cause::NotReady, "never reported");
    check(Some(reset), nothing, Cause::Watchdog, "stood still");
    check(None, nothing, Cause::Interrupted, "power was cut");
    let waiting = Reached::Trying(&[fault()]);
    for console in [&orderly[..], &reset[..]] {
        let log = check(Some(console), waiting, Cause::Service, "mongodb: it fails");
        assert_eq!(log, fault().log);
    }
    check(None, waiting, Cause::Interrupted, "It was not ready yet: mongodb: it fails");
}

#[test]
fn hostile_files_are_bounded_and_harmless() {
    let mut long = b"<0>Kernel panic - not syncing: ".to_vec();
    long.extend([b'x'; 2000]);
    long.extend(b"\x1b[2J\xff\n".repeat(50_000));
    let bench = Bench::new().counted(ARMED_IN).kept("var/dmesg-ramoops-0", &long);
    let failure = bench.failure(Reached::Armed);
    assert!(failure.cause == Cause::Panic && failure.why.len() <= WHY_BYTES_MAX);
    assert!(failure.log.len() <= LOG_LINES_MAX && !failure.log.concat().contains('\x1b'), "{:?}", failure.log);
    let mut many = Bench::new();
    for index in 0..200 {
        many = many.kept(&format!("var/{index}/a/b/c/dmesg-ramoops-0"), PANIC.as_bytes());
    }
    assert_told(&many, Reached::Armed, Cause::NeverStarted, "nothing was heard");
}
