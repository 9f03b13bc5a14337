use std::io::Write;
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::arguments::{self, Inherited};
use super::*;
use crate::eeprom::image::Release;
use crate::eeprom::tests::Disk as EepromDisk;

const FDS: Inherited = Inherited { memory: 10, monitor: 11, probe: 12 };

fn line(board: &Board) -> String {
    arguments::boot(board, std::path::Path::new("/f"), "quiet", false, FDS).join(" ")
}

fn event(name: &str, data: serde_json::Value) -> Event {
    Event { name: name.to_owned(), data }
}

#[test]
fn endings_are_told_apart() {
    let reset = event("SHUTDOWN", json!({"guest": true, "reason": "guest-reset"}));
    let off = event("SHUTDOWN", json!({"guest": true, "reason": "guest-shutdown"}));
    let killed = event("SHUTDOWN", json!({"guest": false, "reason": "host-signal"}));
    let watchdog = event("WATCHDOG", json!({"action": "reset"}));
    let tryboot = "[   9.0] reboot: Restarting system with command '0 tryboot'";
    let plain = "[   9.0] reboot: Restarting system";
    let panic = "[   9.0] Kernel panic - not syncing: sysrq triggered crash";
    let cases = [
        (vec![reset.clone()], vec![tryboot], Ending::Reboot(Some("0 tryboot".to_owned()))),
        (vec![reset.clone()], vec![plain], Ending::Reboot(None)),
        (vec![reset.clone()], vec![panic], Ending::Panic),
        (vec![reset.clone()], vec![], Ending::Reset),
        (vec![watchdog.clone(), reset.clone()], vec![panic], Ending::Watchdog),
        (vec![off], vec![plain], Ending::PowerOff),
        (vec![killed], vec![plain], Ending::PowerCut),
        (vec![watchdog], vec![], Ending::PowerCut),
        (vec![], vec![tryboot], Ending::PowerCut),
    ];
    for (events, console, expected) in cases {
        let console: Vec<_> = console.into_iter().map(str::to_owned).collect();
        assert_eq!(Ending::read(&events, &console), expected, "{events:?} {console:?}");
    }
}

#[test]
fn only_a_reboot_with_the_argument_sets_the_flag() {
    let flag = |ending: &Ending| ending.reset().map(|reset| reset.tryboot);
    assert_eq!(flag(&Ending::Reboot(Some("0 tryboot".to_owned()))), Some(true));
    for ending in [Ending::Reboot(None), Ending::Watchdog, Ending::Panic, Ending::Reset] {
        assert_eq!(flag(&ending), Some(false), "{ending:?}");
    }
    assert_eq!((flag(&Ending::PowerOff), flag(&Ending::PowerCut)), (None, None));
}

#[test]
fn the_guest_reaches_nothing_but_the_bench() {
    let mut board = Board::new("/image");
    board.forwards = vec![Forward { host: 4443, guest: 443 }];
    let line = line(&board);
    assert!(line.contains("user,id=network,restrict=on,hostfwd=tcp:127.0.0.1:4443-:443"), "{line}");
    assert!(!line.contains("PROBE"), "no probe was asked for");
}

#[test]
fn disks_are_attached_as_described() {
    let mut board = Board::new("/image");
    assert!(line(&board).contains(r#""driver":"nvme""#));
    board.boot_disk.bus = Bus::Usb;
    assert!(line(&board).contains(r#""driver":"usb-storage""#));
    board.boot_disk.bus = Bus::Sd;
    board.boot_disk.record = Some("/record".into());
    let line = line(&board);
    assert!(line.contains(r#""driver":"virtio-blk-pci""#) && line.contains(r#""driver":"blklogwrites""#), "{line}");
    assert!(line.contains(r#""request-merging":false"#), "{line}");
}

#[test]
fn an_nvme_disk_is_not_recorded() {
    let mut board = Board::new("/image");
    board.boot_disk.record = Some("/record".into());
    let error = Pi::new(board, "/nowhere").power_on().err().unwrap();
    assert!(matches!(error, MachineError::Record { .. }), "{error}");
}

#[test]
fn the_console_is_read_to_its_end() {
    let (mut guest, bench) = UnixStream::pair().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let (console, reader) = Console::read(bench, log.reopen().unwrap());
    guest.write_all(b"one\r\ntwo \xff\nthr").unwrap();
    assert_eq!(console.wait(0, "two", Duration::from_secs(60)), Some(1));
    assert_eq!(console.wait(2, "two", Duration::ZERO), None, "it is behind");
    drop(guest);
    reader.join().unwrap();
    assert_eq!(console.lines(), ["one", "two \u{fffd}", "thr"]);
    assert!(console.ended() && console.next(3, Duration::from_secs(60)).is_empty());
    assert_eq!(console.wait(0, "four", Duration::from_secs(60)), None, "nobody waits for what has ended");
    assert!(std::fs::read_to_string(log.path()).unwrap().contains(" thr\n"));
}

/// A monitor that has said all this, and listens on.
fn monitor(answers: &[&str]) -> (UnixStream, Result<Qmp, QmpError>) {
    let (mut qemu, bench) = UnixStream::pair().unwrap();
    for answer in answers {
        writeln!(qemu, "{answer}").unwrap();
    }
    qemu.shutdown(std::net::Shutdown::Write).unwrap();
    (qemu, Qmp::open(bench))
}

#[test]
fn the_monitor_keeps_events_between_answers() {
    let (_qemu, qmp) = monitor(&[
        r#"{"QMP": {}}"#,
        r#"{"return": {}}"#,
        r#"{"event": "RESUME", "timestamp": {}}"#,
        r#"{"error": {"class": "GenericError", "desc": "no"}}"#,
        r#"{"return": 7}"#,
        r#"{"event": "SHUTDOWN", "data": {"reason": "guest-reset"}}"#,
    ]);
    let mut qmp = qmp.unwrap();
    assert!(matches!(qmp.execute("x", json!({})), Err(QmpError::Refused { .. })));
    assert_eq!(qmp.execute("y", json!({})).unwrap(), 7);
    assert!(qmp.wait_event("SHUTDOWN", Duration::from_secs(60)));
    assert!(!qmp.wait_event("WATCHDOG", Duration::from_secs(60)), "it has ended");
    assert_eq!(qmp.events().iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["RESUME", "SHUTDOWN"]);
    assert!(matches!(qmp.execute("z", json!({})), Err(QmpError::Closed)));
    assert!(matches!(monitor(&["{}", "no json"]).1, Err(QmpError::Closed)));
}

#[test]
fn a_line_that_the_kernel_would_cut_off_is_refused() {
    let error = qemu::cmdline(&Board { cmdline: vec!["x".repeat(2047)], ..Board::new("/image") }, &boot()).unwrap_err();
    assert!(matches!(error, MachineError::Cmdline { max: 2047, .. }), "{error}");
}

fn boot() -> Boot {
    struct One;
    impl crate::eeprom::BootFiles for One {
        fn is_fat(&mut self, number: u32) -> bool {
            number == 1
        }
        fn read(&mut self, _: u32, path: &str) -> Result<Vec<u8>, String> {
            if path == "autoboot.txt" { Err("none".to_owned()) } else { Ok(b"quiet".to_vec()) }
        }
    }
    start(&mut Board::new("/image"), &mut One, Reset::default()).unwrap()
}

const LATER: u32 = 1_779_753_600;

/// A board whose slot B has a later release of the EEPROM to install.
fn armed() -> (Board, EepromDisk) {
    let image = Release::of_virtual_pi(LATER).image();
    (Board::new("/image"), EepromDisk::lucid().armed(3, &image, LATER))
}

#[test]
fn an_update_of_the_eeprom_resets_the_board_and_stays() {
    let trial = Reset { tryboot: true, partition: 0 };
    for (survives, partition) in [(false, 2), (true, 3)] {
        let (mut board, mut disk) = armed();
        board.flag_survives_update = survives;
        let boot = start(&mut board, &mut disk, trial).unwrap();
        assert_eq!((boot.partition, boot.tryboot), (partition, survives));
        let updates = boot.log.iter().filter(|line| line.contains("updates itself")).count();
        assert_eq!(updates, 1, "{:?}", boot.log);
        assert_eq!((board.eeprom.build_timestamp, board.eeprom.update_timestamp), (LATER, LATER));
        let again = start(&mut board, &mut disk, trial).unwrap();
        assert_eq!(again.partition, 3, "it stays updated, and does it once");
    }
}

#[test]
fn the_partition_that_was_asked_for_is_lost_with_the_flag() {
    for (survives, partition) in [(false, 2), (true, 3)] {
        let (mut board, mut disk) = armed();
        board.flag_survives_update = survives;
        assert_eq!(start(&mut board, &mut disk, Reset { tryboot: false, partition: 3 }).unwrap().partition, partition);
    }
}

#[test]
fn an_update_stays_even_if_nothing_boots_behind_it() {
    let (mut board, disk) = armed();
    let mut disk = disk.with(2, "config.txt", "kernel=none").with(3, "config.txt", "kernel=none");
    let error = start(&mut board, &mut disk, Reset { tryboot: true, partition: 0 }).unwrap_err();
    assert!(matches!(error, NoBoot::File { .. }), "{error}");
    assert_eq!(board.eeprom.build_timestamp, LATER);
}

/// A disk whose slots hold another release each time that somebody looks.
struct Restless(EepromDisk, u32);

impl BootFiles for Restless {
    fn is_fat(&mut self, number: u32) -> bool {
        self.0.is_fat(number)
    }

    fn read(&mut self, number: u32, path: &str) -> Result<Vec<u8>, String> {
        if path == "pieeprom.sig" {
            self.1 += 1;
            self.0 = self.0.clone().armed(number, &Release::of_virtual_pi(self.1).image(), self.1);
        }
        self.0.read(number, path)
    }
}

#[test]
fn updates_without_end_are_an_error() {
    let mut board = Board::new("/image");
    let error = start(&mut board, &mut Restless(EepromDisk::lucid(), LATER), Reset::default()).unwrap_err();
    assert!(matches!(error, NoBoot::Forever { .. }), "{error}");
    assert_eq!(board.eeprom.build_timestamp, LATER + 1 + EEPROM_UPDATES_MAX);
}

#[test]
fn the_slot_that_is_booted_after_an_update_may_hold_another_one() {
    let (mut board, disk) = armed();
    let later = Release::of_virtual_pi(LATER + 1).image();
    let trial = Reset { tryboot: true, partition: 0 };
    let boot = start(&mut board, &mut disk.clone().armed(2, &later, LATER + 1), trial).unwrap();
    assert_eq!((boot.partition, board.eeprom.build_timestamp), (2, LATER + 1), "{:?}", boot.log);
    let boot = start(&mut Board::new("/image"), &mut disk.armed(2, &later, LATER), trial).unwrap();
    assert!(boot.log.iter().any(|line| line.contains("is not after")), "{:?}", boot.log);
}

#[test]
fn the_device_tree_tells_of_the_eeprom_that_booted() {
    let (mut board, mut disk) = armed();
    let tree = |board: &Board, boot: &Boot| device_tree::overlay(board, boot, 1, &[0; 40]);
    let before = tree(&board, &boot());
    assert!(
        before.contains("update-timestamp = <0x0>;") && before.contains("build-timestamp = <0x69361500>;"),
        "{before}"
    );
    let boot = start(&mut board, &mut disk, Reset { tryboot: true, partition: 0 }).unwrap();
    let after = tree(&board, &boot);
    let version = Release::of_virtual_pi(LATER).version;
    for wanted in [
        format!("build-timestamp = <{LATER:#x}>;"),
        format!("update-timestamp = <{LATER:#x}>;"),
        format!("version = \"{version}\";"),
    ] {
        assert!(after.contains(&wanted), "{wanted}: {after}");
    }
}
