use super::*;
use crate::eeprom::tests::Disk;
use crate::eeprom::{Boot, Outcome, Reset, Update};

const SERIAL: u64 = 0x1234_5678;
const DATE: u32 = 1_779_753_600;
const TRIAL: Reset = Reset { tryboot: true, partition: 0 };

fn image() -> Vec<u8> {
    Release::of_virtual_pi(DATE).image()
}

fn with(settings: &str, date: u32) -> Release {
    Release { settings: settings.to_owned(), ..Release::of_virtual_pi(date) }
}

#[track_caller]
fn updated(eeprom: &Eeprom, disk: &Disk) -> Update {
    match eeprom.boot(&mut disk.clone(), SERIAL, TRIAL).unwrap() {
        Outcome::Update(update) => update,
        Outcome::Boot(boot) => panic!("{:?}", boot.log),
    }
}

#[track_caller]
fn booted(eeprom: &Eeprom, disk: &Disk, reset: Reset) -> Boot {
    match eeprom.boot(&mut disk.clone(), SERIAL, reset).unwrap() {
        Outcome::Boot(boot) => boot,
        Outcome::Update(update) => panic!("{update:?}"),
    }
}

#[test]
fn the_partition_that_is_booted_gives_the_update_and_no_other() {
    let disk = Disk::lucid().armed(3, &image(), DATE);
    assert_eq!(booted(&Eeprom::CURRENT, &disk, Reset::default()).partition, 2, "its files are not looked at");
    let Update { eeprom, log } = updated(&Eeprom::CURRENT, &disk);
    let release = Release::of_virtual_pi(DATE);
    assert_eq!((eeprom.build_timestamp, eeprom.update_timestamp, &*eeprom.version), (DATE, DATE, &*release.version));
    assert_eq!((&*eeprom.settings, eeprom.image.clone()), (&*release.settings, Some(sha256(&image()))));
    assert!(log.last().unwrap().contains("partition 3") && log.last().unwrap().contains(&release.version), "{log:?}");
    let after = booted(&eeprom, &disk, TRIAL);
    assert_eq!((after.partition, after.tryboot), (3, true));
    assert!(after.log.iter().any(|line| line.contains("is not after")), "{:?}", after.log);
}

#[test]
fn what_does_not_fit_is_not_installed_and_the_boot_goes_on() {
    let armed = || Disk::lucid().armed(3, &image(), DATE);
    let other = Release::of_virtual_pi(DATE + 1).image();
    let digest = |text: &str| armed().with(3, "pieeprom.sig", text);
    let sum = sha256(&image());
    let cases = [
        (armed().with(3, "pieeprom.upd", &other), "another digest"),
        (armed().with(3, "pieeprom.upd", &image()[..1 << 20]), "1048576 bytes"),
        (Disk::lucid().armed(3, b"short", DATE), "5 bytes"),
        (Disk::lucid().with(3, "pieeprom.sig", format!("{sum}\nts: {DATE}")), "no pieeprom.upd"),
        (digest(""), "is no digest"),
        (digest(&sum[1..]), "is no digest"),
        (digest(&sum.to_uppercase()), "is no digest"),
        (digest(&format!("{sum}\nts: soon")), "is no digest"),
        (digest(&format!("ts: {DATE}\n{sum}\n")), "is no digest"),
        (armed().with(3, "pieeprom.sig", [0xff; 65]), "is no digest"),
        (armed().with(3, "config.txt", "bootloader_update=0"), "bootloader_update=0"),
        (armed().with(3, "config.txt", "[boot_partition=3]\nbootloader_update=0"), "bootloader_update=0"),
    ];
    for (disk, wanted) in cases {
        let boot = booted(&Eeprom::CURRENT, &disk, TRIAL);
        assert_eq!(boot.partition, 3, "{wanted}");
        assert!(boot.log.iter().any(|line| line.contains(wanted)), "{wanted}: {:?}", boot.log);
    }
    let elsewhere = armed().with(3, "config.txt", "[boot_partition=2]\nbootloader_update=0");
    assert_eq!(updated(&Eeprom::CURRENT, &elsewhere).eeprom.build_timestamp, DATE);
    let boot = booted(&Eeprom::CURRENT, &Disk::lucid().with(3, "pieeprom.upd", image()), TRIAL);
    assert!(!boot.log.iter().any(|line| line.contains("EEPROM")), "without a digest there is nothing to say");
}

#[test]
fn time_and_image_must_be_other_ones() {
    let eeprom = Eeprom { update_timestamp: 100, image: Some(sha256(&image())), ..Eeprom::CURRENT };
    let other = Release::of_virtual_pi(DATE + 1).image();
    for (disk, wanted) in [
        (Disk::lucid().armed(3, &other, 99), "99 is not after 100"),
        (Disk::lucid().armed(3, &other, 100), "100 is not after 100"),
        (Disk::lucid().armed(3, &image(), 101), "holds this image already"),
    ] {
        let boot = booted(&eeprom, &disk, TRIAL);
        assert!(boot.log.iter().any(|line| line.contains(wanted)), "{wanted}: {:?}", boot.log);
    }
    assert_eq!(updated(&eeprom, &Disk::lucid().armed(3, &other, 101)).eeprom.update_timestamp, 101);
    let timeless = Disk::lucid().armed(3, &other, 0).with(3, "pieeprom.sig", sha256(&other));
    assert_eq!(updated(&eeprom, &timeless).eeprom.update_timestamp, 0, "without a time, none is compared");
}

#[test]
fn settings_switch_it_off() {
    let disk = Disk::lucid().armed(3, &image(), DATE);
    let eeprom = |settings: &'static str| Eeprom { settings: settings.into(), ..Eeprom::CURRENT };
    for settings in ["ENABLE_SELF_UPDATE=0", "[all]\nENABLE_SELF_UPDATE=1\n[pi5]\nENABLE_SELF_UPDATE=0"] {
        let boot = booted(&eeprom(settings), &disk, TRIAL);
        assert!(boot.log.iter().any(|line| line.contains("ENABLE_SELF_UPDATE=0")), "{:?}", boot.log);
    }
    for settings in ["", "ENABLE_SELF_UPDATE=1", "[pi4]\nENABLE_SELF_UPDATE=0"] {
        updated(&eeprom(settings), &disk);
    }
}

#[test]
fn what_is_write_protected_goes_on_since_2024_09_05_and_never_before() {
    let disk = Disk::lucid().armed(3, &image(), DATE);
    let protected = |date| Eeprom { write_protected: true, build_timestamp: date, ..Eeprom::CURRENT };
    let boot = booted(&protected(PROTECTED_GOES_ON_S), &disk, TRIAL);
    assert!(boot.log.iter().any(|line| line.contains("write-protected")), "{:?}", boot.log);
    let error = protected(PROTECTED_GOES_ON_S - 1).boot(&mut disk.clone(), SERIAL, TRIAL).unwrap_err();
    assert!(matches!(error, NoBoot::Forever { .. }) && error.to_string().contains("write-protected"), "{error}");
    let unfit = Disk::lucid().armed(3, b"short", DATE);
    assert_eq!(booted(&protected(0), &unfit, TRIAL).partition, 3, "what is not written does no harm");
}

#[test]
fn a_release_knows_what_was_there_at_its_date() {
    let knows = |settings: &str, date| {
        let eeprom = Eeprom::of_release(with(settings, date), SERIAL);
        (eeprom.partition_walk, eeprom.boot_partition_filter)
    };
    for (settings, date, expected) in [
        ("", WALK_DEFAULT_S, (true, true)),
        ("", WALK_DEFAULT_S - 1, (false, true)),
        ("", BOOT_PARTITION_FILTER_S - 1, (false, false)),
        ("PARTITION_WALK=1", WALK_S, (true, false)),
        ("PARTITION_WALK=1", WALK_S - 1, (false, false)),
        ("PARTITION_WALK=0", WALK_DEFAULT_S, (false, true)),
    ] {
        assert_eq!(knows(settings, date), expected, "{settings} {date}");
    }
    for eeprom in [Eeprom::CURRENT, Eeprom::OF_2024] {
        let expected = (eeprom.partition_walk, eeprom.boot_partition_filter);
        assert_eq!(knows("", eeprom.build_timestamp), expected, "the two that are known are as their dates say");
    }
}

#[test]
fn an_image_that_is_none_ruins_the_board() {
    let disk = Disk::lucid().armed(3, &[0; IMAGE_BYTES], DATE);
    let error = Eeprom::CURRENT.boot(&mut disk.clone(), SERIAL, TRIAL).unwrap_err();
    assert!(matches!(error, NoBoot::Ruined { .. }) && error.to_string().contains("Imager"), "{error}");
}
