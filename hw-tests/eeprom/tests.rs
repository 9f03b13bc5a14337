use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const AUTOBOOT: &str = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n";
const CONFIG: &str = "[boot_partition=2]\ncmdline=cmdline-a.txt\n[boot_partition=3]\ncmdline=cmdline-b.txt\n[all]\n";
const SERIAL: u64 = 0x1234_5678;

/// The partition and the command line, if anything boots.
type Booted = Option<(u32, String)>;

/// A disk of text files.
#[derive(Clone, Default)]
pub(crate) struct Disk(BTreeMap<(u32, String), Vec<u8>>);

impl BootFiles for Disk {
    fn is_fat(&mut self, number: u32) -> bool {
        self.0.keys().any(|(partition, _)| *partition == number)
    }

    fn read(&mut self, number: u32, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(&(number, path.to_owned())).cloned().ok_or(format!("no {path}"))
    }
}

impl Disk {
    pub(crate) fn with(mut self, partition: u32, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.insert((partition, path.to_owned()), text.as_ref().to_vec());
        self
    }

    fn without(mut self, partition: u32, path: &str) -> Self {
        self.0.remove(&(partition, path.to_owned())).expect("it was there");
        self
    }

    /// The appliance's: 1 autoboot, 2 and 3 with equal files.
    pub(crate) fn lucid() -> Self {
        [2, 3].into_iter().fold(Self::default().with(1, "autoboot.txt", AUTOBOOT), |disk, partition| {
            disk.with(partition, "config.txt", CONFIG)
                .with(partition, DEVICE_TREE, "dtb")
                .with(partition, "kernel_2712.img", format!("kernel {partition}"))
                .with(partition, "cmdline.txt", "default")
                .with(partition, "cmdline-a.txt", "a\n")
                .with(partition, "cmdline-b.txt", "b\n")
        })
    }

    /// With a release to install on a partition, as rpi-eeprom-update leaves one.
    pub(crate) fn armed(self, partition: u32, image: &[u8], time: u32) -> Self {
        let digest = format!("{}\nts: {time}\n", image::sha256(image));
        self.with(partition, "pieeprom.upd", image).with(partition, "pieeprom.sig", digest)
    }

    fn autoboot(self, text: impl AsRef<[u8]>) -> Self {
        self.with(1, "autoboot.txt", text)
    }
}

fn boot(disk: &Disk, reset: Reset) -> Result<Boot, NoBoot> {
    Eeprom::CURRENT.boot(&mut disk.clone(), SERIAL, reset).map(booted)
}

#[track_caller]
fn booted(outcome: Outcome) -> Boot {
    match outcome {
        Outcome::Boot(boot) => boot,
        Outcome::Update(update) => panic!("{update:?}"),
    }
}

/// Partition and command line of a boot without and of one with the flag.
fn both(disk: &Disk) -> [Booted; 2] {
    [false, true].map(|tryboot| {
        let booted = boot(disk, Reset { tryboot, partition: 0 }).ok()?;
        assert_eq!(booted.kernel, format!("kernel {}", booted.partition).as_bytes());
        Some((booted.partition, booted.cmdline))
    })
}

fn a() -> Booted {
    Some((2, "a".to_owned()))
}

fn b() -> Booted {
    Some((3, "b".to_owned()))
}

#[test]
fn the_flag_boots_the_other_slot() {
    assert_eq!(both(&Disk::lucid()), [a(), b()]);
    let swapped = AUTOBOOT.replace('2', "x").replace('3', "2").replace('x', "3");
    assert_eq!(both(&Disk::lucid().autoboot(swapped)), [b(), a()]);
}

#[test]
fn autoboot_is_read_as_documented() {
    let padded = format!("{AUTOBOOT}{}", "\n".repeat(512 - AUTOBOOT.len()));
    let cases: [(&str, String, [Booted; 2]); 13] = [
        ("padded to a sector", padded.clone(), [a(), b()]),
        ("one byte more than a sector", format!("{padded}\n"), [a(), None]),
        ("CRLF", AUTOBOOT.replace('\n', "\r\n"), [a(), b()]),
        ("comments", AUTOBOOT.replace("[all]\n", "# of the appliance\n[all]\n#boot_partition=3\n"), [a(), b()]),
        ("a trailing comment is part of the value", AUTOBOOT.replace("=3", "=3 # B"), [a(), a()]),
        ("blanks around", AUTOBOOT.replace('\n', " \n  "), [a(), b()]),
        ("no line break at the end", AUTOBOOT.trim_end().to_owned(), [a(), b()]),
        ("the last one counts", format!("boot_partition=2\n{AUTOBOOT}[all]\nboot_partition=3\n"), [b(), b()]),
        ("[none]", AUTOBOOT.replace("[tryboot]", "[none]"), [a(), a()]),
        (
            "[none] until [all]",
            format!("[none]\nboot_partition=3\n[tryboot]\nboot_partition=3\n{AUTOBOOT}"),
            [a(), b()],
        ),
        ("unknown filter", AUTOBOOT.replace("[tryboot]", "[boot_count>3]"), [a(), a()]),
        ("a filter of config.txt only", AUTOBOOT.replace("[tryboot]", "[pi5]"), [a(), a()]),
        ("no file-level trial without tryboot_a_b", AUTOBOOT.replace("tryboot_a_b=1\n", ""), [a(), None]),
    ];
    for (what, text, expected) in cases {
        assert_eq!(both(&Disk::lucid().autoboot(text)), expected, "{what}");
    }
}

#[test]
fn a_damaged_or_missing_autoboot_is_walked_past() {
    let mut torn = format!("{AUTOBOOT}{}", "\n".repeat(512 - AUTOBOOT.len())).into_bytes();
    torn[20..].fill(0xff);
    let disks = [
        ("missing", Disk::lucid().without(1, "autoboot.txt").with(1, "lucid.toml", "")),
        ("empty", Disk::lucid().autoboot("")),
        ("zeroes", Disk::lucid().autoboot([0; 512])),
        ("garbage", Disk::lucid().autoboot([0xff; 512])),
        ("torn", Disk::lucid().autoboot(torn)),
        ("too far", Disk::lucid().autoboot("boot_partition=99")),
        ("no number", Disk::lucid().autoboot("boot_partition=two")),
        ("no boot files there", Disk::lucid().autoboot("boot_partition=1")),
        ("no FAT there", Disk::lucid().autoboot("boot_partition=4")),
    ];
    for (what, disk) in disks {
        let booted = boot(&disk, Reset::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((booted.partition, booted.walked), (2, true), "{what}");
        let old = Eeprom::OF_2024.boot(&mut disk.clone(), SERIAL, Reset::default());
        assert!(matches!(old, Err(NoBoot::Nothing { .. })), "{what}: an EEPROM of 2024 does not walk");
    }
}

#[test]
fn the_walk_goes_on_behind_the_partition_that_failed() {
    for lost in ["config.txt", DEVICE_TREE] {
        assert_eq!(both(&Disk::lucid().without(2, lost)), [b(), b()], "{lost} of A");
        assert_eq!(both(&Disk::lucid().without(3, lost)), [a(), a()], "{lost} of B");
        let neither = Disk::lucid().without(2, lost).without(3, lost);
        let error = boot(&neither, Reset::default()).unwrap_err().to_string();
        assert!(error.contains("partition 2") && error.contains("partition 3"), "{error}");
    }
}

#[test]
fn a_bootable_partition_without_its_kernel_is_an_error_and_no_reason_to_walk() {
    let error = boot(&Disk::lucid().without(2, "kernel_2712.img"), Reset::default()).unwrap_err();
    assert!(matches!(error, NoBoot::File { partition: 2, .. }), "{error}");
    let second = Disk::lucid().without(2, "kernel_2712.img").with(2, "kernel8.img", "kernel 2");
    assert_eq!(both(&second)[0], a());
    assert!(boot(&Disk::lucid().without(2, "cmdline-a.txt"), Reset::default()).is_err());
}

#[test]
fn an_eeprom_of_2024_takes_the_default_command_line() {
    let outcome = Eeprom::OF_2024.boot(&mut Disk::lucid(), SERIAL, Reset { tryboot: true, partition: 0 }).unwrap();
    let booted = booted(outcome);
    assert_eq!((booted.partition, booted.cmdline.as_str()), (3, "default"));
}

#[test]
fn config_is_read_as_documented() {
    let cases = [
        ("", "default"),
        ("cmdline=cmdline-a.txt\r\n", "a"),
        ("[pi5]\ncmdline=cmdline-a.txt\n", "a"),
        ("[pi4]\ncmdline=cmdline-a.txt\n", "default"),
        ("[pi4]\n[pi5]\ncmdline=cmdline-a.txt\n", "a"),
        ("[pi4]\n[boot_partition=2]\ncmdline=cmdline-a.txt\n", "default"),
        ("[boot_partition=3]\n[boot_partition=2]\ncmdline=cmdline-a.txt\n", "a"),
        ("[boot_partition=3]\n[all]\ncmdline=cmdline-a.txt\n", "a"),
        ("[boot_partition=x]\ncmdline=cmdline-a.txt\n", "default"),
        ("[unheard-of]\n[boot_partition=2]\ncmdline=cmdline-a.txt\n", "default"),
        ("[0x12345678]\ncmdline=cmdline-a.txt\n", "a"),
        ("[0x12345679]\ncmdline=cmdline-a.txt\n", "default"),
        ("[tryboot]\ncmdline=cmdline-a.txt\n", "default"),
        ("#cmdline=cmdline-a.txt\n[all]\n", "default"),
        ("[boot_partition=2\ncmdline=cmdline-a.txt\n", "a"),
    ];
    for (config, cmdline) in cases {
        let booted = boot(&Disk::lucid().with(2, "config.txt", config), Reset::default()).unwrap();
        assert_eq!(booted.cmdline, cmdline, "{config:?}");
    }
    let long = format!("{}cmdline=cmdline-a.txt", " ".repeat(lines::LINE_BYTES_MAX));
    assert_eq!(boot(&Disk::lucid().with(2, "config.txt", long), Reset::default()).unwrap().cmdline, "default");
}

#[test]
fn names_of_files_are_followed() {
    let config = "os_prefix=x/\nkernel=k\ndevice_tree=d\ninitramfs i followkernel\ncmdline=c";
    let disk = Disk::lucid().with(2, "config.txt", config).with(2, "x/k", "K").with(2, "x/d", "D");
    let disk = disk.with(2, "x/i", "I").with(2, "x/c", "C");
    let booted = boot(&disk, Reset::default()).unwrap();
    assert_eq!((booted.kernel, booted.initramfs, booted.cmdline), (b"K".to_vec(), Some(b"I".to_vec()), "C".to_owned()));
    let unchecked = Disk::lucid().with(2, "config.txt", "os_check=0").without(2, DEVICE_TREE);
    assert_eq!(boot(&unchecked, Reset::default()).unwrap().partition, 2);
    let error = boot(&Disk::lucid().with(2, "config.txt", "boot_ramdisk=1"), Reset::default()).unwrap_err();
    assert!(matches!(error, NoBoot::NotPlayed(_)), "{error}");
}

#[test]
fn the_argument_of_reboot_is_read_as_the_firmware_does() {
    let of = Reset::from_argument;
    assert_eq!(of("0 tryboot"), Reset { tryboot: true, partition: 0 });
    assert_eq!(of("3"), Reset { tryboot: false, partition: 3 });
    assert_eq!(of("3 tryboot"), Reset { tryboot: true, partition: 3 });
    for plain in ["", "tryboot", "firmware", "-1"] {
        assert_eq!(of(plain), Reset::default(), "{plain}");
    }
    assert_eq!(boot(&Disk::lucid(), of("3")).unwrap().partition, 3);
}

#[test]
fn an_empty_disk_boots_nothing() {
    assert!(matches!(boot(&Disk::default(), Reset::default()), Err(NoBoot::Nothing { .. })));
}

proptest! {
    /// Whatever stands in the two files: no panic, and what boots is one of the two slots.
    #[test]
    fn no_text_makes_it_boot_anything_else(autoboot: Vec<u8>, config: Vec<u8>, tryboot: bool, partition: u32) {
        let disk = Disk::lucid().autoboot(autoboot).with(2, "config.txt", config);
        if let Ok(booted) = boot(&disk, Reset { tryboot, partition }) {
            prop_assert!([2, 3].contains(&booted.partition));
        }
    }

    /// One damaged byte of the sector never keeps the disk from booting.
    #[test]
    fn one_damaged_byte_of_autoboot_still_boots(position in 0..512_usize, byte: u8) {
        let mut sector = format!("{AUTOBOOT}{}", "\n".repeat(512 - AUTOBOOT.len())).into_bytes();
        sector[position] = byte;
        let booted = boot(&Disk::lucid().autoboot(sector), Reset::default()).unwrap();
        prop_assert!([2, 3].contains(&booted.partition));
    }
}
