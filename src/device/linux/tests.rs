//! The real device against recorded trees: a Raspberry Pi 5, a virtual machine without anything, and trees gone wrong.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{DataPlace, Linux};
use crate::{Device, Host, Power, Reading, SsdState, Storage, Thermal, Throttling, Transport};

const MOUNTINFO: &str = "\
22 1 253:0 / / ro,relatime - erofs /dev/dm-0 ro
42 22 259:1 / /mnt/myssd rw,noatime shared:7 - ext4 /dev/nvme0n1p1 rw
";

/// The files of a Pi 5 that this crate reads, as its kernel shows them.
const PI5: &[(&str, &str)] = &[
    ("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0"),
    ("proc/device-tree/serial-number", "10000000deadbeef\0"),
    ("proc/device-tree/chosen/power/max_current", "\0\0\x13\x08"),
    ("proc/loadavg", "0.52 0.41 0.30 1/213 4711\n"),
    ("proc/meminfo", "MemTotal:        8256144 kB\nMemFree:         1 kB\nMemAvailable:    7000000 kB\n"),
    ("proc/stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 0 0 1\ncpu1 1\ncpu2 1\ncpu3 1\nintr 5\ncpufoo 1\n"),
    ("proc/self/mountinfo", MOUNTINFO),
    ("proc/sys/kernel/osrelease", "6.12.47-v8-16k+\n"),
    ("proc/sys/kernel/random/boot_id", "0d6a6ed0-6c7e-4a0e-9d43-1b8d6e2b4a11\n"),
    ("proc/uptime", "350735.47 1234.00\n"),
    ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
    ("sys/class/hwmon/hwmon1/name", "rp1_adc\n"),
    ("sys/class/hwmon/hwmon2/name", "pwmfan\n"),
    ("sys/class/hwmon/hwmon2/fan1_input", "2980\n"),
    ("sys/class/hwmon/hwmon2/pwm1", "75\n"),
    ("sys/class/hwmon/hwmon10/name", "rpi_volt\n"),
    ("sys/class/hwmon/hwmon10/in0_lcrit_alarm", "0\n"),
    ("sys/class/thermal/cooling_device0/type", "pwm-fan\n"),
    ("sys/class/thermal/cooling_device0/cur_state", "1\n"),
    ("sys/class/thermal/cooling_device0/max_state", "4\n"),
    ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
    ("sys/class/thermal/thermal_zone0/temp", "51250\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_type", "critical\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "110000\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_hyst", "0\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_1_type", "active\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_1_temp", "50000\n"),
    ("sys/class/thermal/thermal_zone0/trip_point_1_hyst", "5000\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "2400000\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n"),
];

const NVME: &str = "sys/devices/platform/axi/1000110000.pcie/pci0001:00/0001:01:00.0/nvme/nvme0";
const USB: &str = "sys/devices/platform/axi/1000120000.pcie/usb2/2-1";

struct Tree(TempDir);

impl Tree {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn pi5() -> Self {
        let tree = Self::empty();
        for (path, content) in PI5 {
            tree.write(path, content);
        }
        fs::create_dir_all(tree.0.path().join("mnt/myssd")).unwrap();
        tree.nvme();
        tree
    }

    fn nvme(&self) {
        for (path, content) in [
            ("model", "Samsung SSD 990 EVO 1TB                 \n"),
            ("serial", "S7M3NS0X123456A     \n"),
            ("state", "live\n"),
            ("hwmon3/name", "nvme\n"),
            ("hwmon3/temp1_input", "38850\n"),
            ("hwmon3/temp1_alarm", "0\n"),
            ("nvme0n1/size", "1953525168\n"),
            ("nvme0n1/ro", "0\n"),
            ("nvme0n1/nvme0n1p1/partition", "1\n"),
        ] {
            self.write(&format!("{NVME}/{path}"), content);
        }
        symlink("..", self.0.path().join(NVME).join("nvme0n1/device")).unwrap();
        self.link(&format!("{NVME}/nvme0n1/nvme0n1p1"), "sys/dev/block/259:1");
    }

    fn usb(&self) {
        let scsi = format!("{USB}/2-1:1.0/host0/target0:0:0/0:0:0:0");
        for (path, content) in [
            (format!("{USB}/idVendor"), "04e8\n"),
            (format!("{USB}/serial"), "USB-SERIAL-1\n"),
            (format!("{scsi}/model"), "PSSD T7         \n"),
            (format!("{scsi}/state"), "running\n"),
            (format!("{scsi}/block/sda/size"), "3907029168\n"),
            (format!("{scsi}/block/sda/sda1/partition"), "1\n"),
        ] {
            self.write(&path, content);
        }
        symlink("../..", self.0.path().join(&scsi).join("block/sda/device")).unwrap();
        self.link(&format!("{scsi}/block/sda/sda1"), "sys/dev/block/8:1");
        self.write("proc/self/mountinfo", "42 22 8:1 / /mnt/myssd rw - ext4 /dev/sda1 rw\n");
    }

    fn write(&self, path: &str, content: &str) {
        self.write_bytes(path, content.as_bytes());
    }

    fn write_bytes(&self, path: &str, content: &[u8]) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A relative link, as sysfs has them.
    fn link(&self, to: &str, from: &str) {
        let from_path = self.0.path().join(from);
        fs::create_dir_all(from_path.parent().unwrap()).unwrap();
        let up = "../".repeat(Path::new(from).components().count() - 1);
        symlink(format!("{up}{to}"), from_path).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.0.path().join(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    fn device(&self) -> Linux {
        Linux::below(self.0.path(), DataPlace::MountPoint("/mnt/myssd".into()))
    }
}

#[track_caller]
fn assert_present<T: PartialEq + std::fmt::Debug>(reading: Reading<T>, expected: T) {
    assert_eq!(reading, Reading::Present(expected));
}

#[track_caller]
fn assert_absent<T: std::fmt::Debug>(reading: Reading<T>, reason: &str) {
    assert!(reading.is_absent() && reading.reason().unwrap().contains(reason), "{reading:?}");
}

#[track_caller]
fn assert_failed<T: std::fmt::Debug>(reading: Reading<T>, reason: &str) {
    assert!(reading.is_failed() && reading.reason().unwrap().contains(reason), "{reading:?}");
}

#[test]
fn a_pi5_is_read_in_full() {
    let tree = Tree::pi5();
    let snapshot = tree.device().snapshot();
    assert!(!snapshot.simulated);
    assert_eq!(snapshot.failures(), []);

    let zones = snapshot.thermal_zones.present().unwrap();
    assert_eq!((zones.len(), zones[0].name.as_str()), (1, "cpu-thermal"));
    assert_present(zones[0].temperature_mc.clone(), 51_250);
    assert_eq!(zones[0].trips.len(), 2);
    assert_present(zones[0].trips[1].kind.clone(), "active".to_owned());
    assert_present(zones[0].trips[1].hysteresis_mc.clone(), 5000);

    let fan = snapshot.fan.present().unwrap();
    assert_eq!((fan.rpm.present(), fan.pwm.present()), (Some(&2980), Some(&75)));
    assert_eq!((fan.level.present(), fan.level_max.present()), (Some(&1), Some(&4)));

    let cpu = &snapshot.cpu;
    assert_present(cpu.count.clone(), 4);
    assert_present(cpu.load.clone(), [0.52, 0.41, 0.30]);
    assert_present(cpu.frequency_khz.clone(), 1_500_000);
    assert_present(cpu.governor.clone(), "ondemand".to_owned());
    let memory = snapshot.memory.present().unwrap();
    assert_eq!((memory.total_bytes, memory.available_bytes), (8_256_144 * 1024, 7_000_000 * 1024));

    let board = &snapshot.board;
    assert_present(board.model.clone(), "Raspberry Pi 5 Model B Rev 1.0".to_owned());
    assert_present(board.serial.clone(), "10000000deadbeef".to_owned());
    assert_present(board.uptime_ms.clone(), 350_735_470);
    assert_present(board.boot_id.clone(), "0d6a6ed0-6c7e-4a0e-9d43-1b8d6e2b4a11".to_owned());
}

#[test]
fn the_nvme_of_a_pi5_is_found_from_its_mount() {
    let SsdState { path, mount, disk } = Tree::pi5().device().ssd();
    let (mount, disk) = (mount.present().unwrap(), disk.present().unwrap());
    assert_eq!((path.as_str(), mount.source.as_str()), ("/mnt/myssd", "/dev/nvme0n1p1"));
    assert_eq!((mount.filesystem.as_str(), mount.read_only), ("ext4", false));
    assert!(mount.free_bytes.present().unwrap() <= mount.size_bytes.present().unwrap());
    assert_eq!((disk.name.as_str(), disk.transport), ("nvme0n1", Transport::Nvme));
    assert_present(disk.model.clone(), "Samsung SSD 990 EVO 1TB".to_owned());
    assert_present(disk.serial.clone(), "S7M3NS0X123456A".to_owned());
    assert_present(disk.size_bytes.clone(), 1_000_204_886_016);
    assert_present(disk.state.clone(), "live".to_owned());
    assert_present(disk.temperature_mc.clone(), 38_850);
    assert_present(disk.temperature_alarm.clone(), false);
    assert_absent(disk.smart.clone(), "agent");
}

#[test]
fn an_ssd_on_usb_is_read_too() {
    let tree = Tree::pi5();
    tree.usb();
    let ssd = tree.device().ssd();
    let disk = ssd.disk.present().unwrap();
    assert_eq!((disk.name.as_str(), disk.transport), ("sda", Transport::Usb));
    assert_present(disk.model.clone(), "PSSD T7".to_owned());
    assert_present(disk.serial.clone(), "USB-SERIAL-1".to_owned());
    assert_absent(disk.temperature_mc.clone(), "no temperature");
}

#[test]
fn an_nvme_behind_a_subsystem_is_read_too() {
    const SUBSYSTEM: &str = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
    let tree = Tree::pi5();
    for (path, content) in [("model", "Dual\n"), ("nvme0n1/size", "8\n"), ("nvme0n1/nvme0n1p1/partition", "1\n")] {
        tree.write(&format!("{SUBSYSTEM}/{path}"), content);
    }
    symlink("..", tree.0.path().join(SUBSYSTEM).join("nvme0n1/device")).unwrap();
    tree.link(NVME, &format!("{SUBSYSTEM}/nvme0"));
    tree.remove("sys/dev/block/259:1");
    tree.link(&format!("{SUBSYSTEM}/nvme0n1/nvme0n1p1"), "sys/dev/block/259:1");
    let ssd = tree.device().ssd();
    let disk = ssd.disk.present().unwrap();
    assert_present(disk.model.clone(), "Dual".to_owned());
    assert_present(disk.state.clone(), "live".to_owned());
    assert_present(disk.temperature_mc.clone(), 38_850);
}

#[test]
fn product_data_serials_are_bounded_by_their_page() {
    let page = format!("{USB}/2-1:1.0/host0/target0:0:0/0:0:0:0/vpd_pg80");
    for (content, expected) in [
        (&b"\0\x80\0\x06AB1234trailing"[..], Ok("AB1234")),
        (b"\0\x80\0\x06AB", Err("cut short")),
        (b"\0\x80\xff\xff", Err("cut short")),
        (b"\0", Err("cut short")),
        // A blank page: the USB descriptor is asked.
        (b"\0\x80\0\x02  ", Ok("USB-SERIAL-1")),
    ] {
        let tree = Tree::pi5();
        tree.usb();
        tree.write_bytes(&page, content);
        let serial = tree.device().ssd().disk.present().unwrap().serial.clone();
        match expected {
            Ok(expected) => assert_present(serial, expected.to_owned()),
            Err(reason) => assert_failed(serial, reason),
        }
    }
}

#[test]
fn no_mount_is_no_ssd() {
    let tree = Tree::pi5();
    tree.write("proc/self/mountinfo", "22 1 253:0 / / ro - erofs /dev/dm-0 ro\n");
    let ssd = tree.device().ssd();
    assert_absent(ssd.mount, "nothing is mounted at `/mnt/myssd`");
    assert_absent(ssd.disk, "nothing is mounted");
}

#[test]
fn a_pulled_ssd_is_told_from_an_absent_one() {
    let tree = Tree::pi5();
    tree.remove("sys/dev/block/259:1");
    let ssd = tree.device().ssd();
    assert!(ssd.mount.present().is_some());
    assert_absent(ssd.disk, "drive is gone");
}

#[test]
fn a_read_only_ssd_is_seen() {
    let tree = Tree::pi5();
    tree.write("proc/self/mountinfo", &MOUNTINFO.replace("nvme0n1p1 rw", "nvme0n1p1 rw,emergency_ro"));
    assert!(tree.device().ssd().mount.present().unwrap().read_only);
}

#[test]
fn a_failing_drive_does_not_hide_its_mount() {
    let tree = Tree::pi5();
    tree.write(&format!("{NVME}/hwmon3/temp1_input"), "garbage\n");
    tree.write(&format!("{NVME}/nvme0n1/size"), "-1\n");
    let snapshot = tree.device().snapshot();
    assert!(snapshot.ssd.mount.present().is_some());
    let fields: Vec<String> = snapshot.failures().into_iter().map(|failure| failure.field).collect();
    assert_eq!(fields, ["ssd.disk.size_bytes", "ssd.disk.temperature_mc"]);
}

#[test]
fn a_directory_is_followed_to_its_filesystem() {
    let tree = Tree::pi5();
    symlink("myssd", tree.0.path().join("mnt/link")).unwrap();
    let device = |path: &str| Linux::below(tree.0.path(), DataPlace::Directory(path.into()));
    for path in ["/mnt/myssd", "/mnt/link"] {
        assert_eq!(device(path).ssd().mount.present().unwrap().mount_point, "/mnt/myssd", "{path}");
    }
    assert_eq!(device("/mnt").ssd().mount.present().unwrap().mount_point, "/");
    assert_absent(device("/mnt/gone").ssd().mount, "does not exist");
}

#[test]
fn a_filesystem_without_a_drive_says_so() {
    let tree = Tree::pi5();
    tree.write("proc/self/mountinfo", "42 22 0:40 / /mnt/myssd rw - tmpfs tmpfs rw\n");
    assert_absent(tree.device().ssd().disk, "no drive of its own");
}

#[test]
fn undervoltage_is_latched() {
    let tree = Tree::pi5();
    let device = tree.device();
    let power = || device.power().present().unwrap().clone();
    assert_present(power().undervoltage_now, false);
    assert_absent(power().undervoltage_since_boot, "none was seen");
    assert_present(power().supply_max_ma, 4872);
    assert_absent(power().throttling, "firmware's throttling word");

    tree.write("sys/class/hwmon/hwmon10/in0_lcrit_alarm", "1\n");
    assert_present(power().undervoltage_now, true);
    tree.write("sys/class/hwmon/hwmon10/in0_lcrit_alarm", "0\n");
    assert_present(power().undervoltage_now, false);
    assert_present(power().undervoltage_since_boot, true);
}

#[test]
fn the_throttling_word_is_understood() {
    let throttling = |frequency_capped, throttled, soft_temperature_limit| Throttling {
        frequency_capped,
        throttled,
        soft_temperature_limit,
    };
    for (word, now, since_boot, expected) in [
        ("0\n", false, false, throttling(false, false, false)),
        ("50000\n", false, true, throttling(false, false, false)),
        ("50005\n", true, true, throttling(false, true, false)),
        ("0xa000a\n", false, false, throttling(true, false, true)),
    ] {
        let tree = Tree::pi5();
        tree.remove("sys/class/hwmon/hwmon10");
        tree.write("sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", word);
        let power = tree.device().power().present().unwrap().clone();
        assert_present(power.undervoltage_now, now);
        assert_present(power.undervoltage_since_boot, since_boot);
        assert_present(power.throttling, expected);
    }
}

#[test]
fn usage_is_counted_from_question_to_question() {
    let tree = Tree::pi5();
    let device = tree.device();
    let usage = |line: &str| {
        tree.write("proc/stat", &format!("{line}\ncpu0 1\n"));
        device.cpu().usage_permille
    };
    assert_absent(usage("cpu  100 0 50 800 50 0 0 0 0 0"), "first");
    // 40 ticks of 100 were busy; guest time is part of user time.
    assert_present(usage("cpu  130 0 60 850 60 0 0 0 20 0"), 400);
    assert_present(usage("cpu  130 0 60 850 60 0 0 0 20 0"), 400);
    // iowait went back.
    assert_present(usage("cpu  230 0 60 850 50 0 0 0 0 0"), 1000);
    // All counters went back, as after a restored machine.
    assert_present(usage("cpu  1 0 0 1 0 0 0 0 0 0"), 1000);
    assert_failed(usage("cpu  x"), "processor times");
    assert_present(usage("cpu  1 0 0 18446744073709551615 18446744073709551615 0 0 0 0 0"), 0);
}

#[test]
fn a_machine_without_anything_is_all_absent() {
    let snapshot = Tree::empty().device().snapshot();
    assert_eq!(snapshot.failures(), []);
    assert!(snapshot.thermal_zones.is_absent() && snapshot.fan.is_absent() && snapshot.power.is_absent());
    assert!(snapshot.ssd.mount.is_absent() && snapshot.ssd.disk.is_absent() && snapshot.memory.is_absent());
    assert!(snapshot.cpu.count.is_absent() && snapshot.board.model.is_absent());
}

#[test]
fn a_virtual_machine_has_processor_and_disk_but_no_sensors() {
    let tree = Tree::empty();
    for (path, content) in PI5.iter().filter(|(path, _)| path.starts_with("proc/") && !path.contains("device-tree")) {
        tree.write(path, content);
    }
    // Present and empty, as on machines whose kernel has the framework and no driver for it.
    fs::create_dir_all(tree.0.path().join("sys/class/thermal")).unwrap();
    tree.write("proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    tree.write("sys/devices/pci0000:00/virtio1/block/vda/size", "2048\n");
    tree.link("sys/devices/pci0000:00/virtio1/block/vda", "sys/dev/block/254:0");
    let snapshot = Linux::below(tree.0.path(), DataPlace::Directory("/".into())).snapshot();
    assert_eq!(snapshot.failures(), []);
    assert_absent(snapshot.thermal_zones, "no thermal zone");
    assert_absent(snapshot.fan, "no fan");
    assert_absent(snapshot.power, "supply voltage");
    let disk = snapshot.ssd.disk.present().unwrap();
    assert_eq!((disk.name.as_str(), disk.transport), ("vda", Transport::Virtio));
    assert_present(disk.size_bytes.clone(), 1_048_576);
    assert!(disk.serial.is_absent() && disk.model.is_absent() && disk.state.is_absent());
    assert!(snapshot.memory.present().is_some() && snapshot.cpu.load.present().is_some());
}

#[test]
fn garbage_is_a_failure_that_names_the_file() {
    for (path, content, field) in [
        ("sys/class/thermal/thermal_zone0/temp", "hot", "thermal_zones.0.temperature_mc"),
        ("sys/class/thermal/thermal_zone0/temp", "99999999999", "thermal_zones.0.temperature_mc"),
        ("sys/class/hwmon/hwmon2/pwm1", "256", "fan.pwm"),
        ("sys/class/hwmon/hwmon10/in0_lcrit_alarm", "2", "power.undervoltage_now"),
        ("proc/device-tree/chosen/power/max_current", "\0\0\0", "power.supply_max_ma"),
        ("proc/loadavg", "0.1 0.2", "cpu.load"),
        ("proc/meminfo", "MemTotal: 1 kB\n", "memory"),
        ("proc/meminfo", "MemTotal: 99999999999999999999 kB\nMemAvailable: 1 kB\n", "memory"),
        ("proc/stat", "", "cpu.usage_permille"),
        ("proc/uptime", "12", "board.uptime_ms"),
        ("proc/uptime", "99999999999999999999.00", "board.uptime_ms"),
    ] {
        let tree = Tree::pi5();
        tree.write(path, content);
        let failures = tree.device().snapshot().failures();
        assert_eq!(failures.len(), 1, "{path} {content:?}: {failures:?}");
        assert_eq!(failures[0].field, field);
        assert!(failures[0].reason.contains(path), "{failures:?}");
    }
}

#[test]
fn an_endless_file_is_refused() {
    let tree = Tree::pi5();
    tree.write_bytes("proc/meminfo", &vec![b'M'; 1024 * 1024 + 1]);
    assert_failed(tree.device().memory(), "longer than");
    tree.write_bytes("proc/device-tree/model", b"\xff\xfe\0");
    assert!(tree.device().board().model.present().is_some(), "odd bytes are replaced, not fatal");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_a_failure() {
    let tree = Tree::pi5();
    tree.remove("proc/meminfo");
    fs::create_dir(tree.0.path().join("proc/meminfo")).unwrap();
    assert_failed(tree.device().memory(), "meminfo");
}

#[test]
fn zones_come_in_the_order_of_their_numbers() {
    let tree = Tree::pi5();
    for number in [10, 2] {
        tree.write(&format!("sys/class/thermal/thermal_zone{number}/type"), &format!("zone-{number}"));
    }
    tree.write("sys/class/thermal/thermal_zoneX/type", "no zone");
    let zones = tree.device().thermal_zones();
    let names: Vec<&str> = zones.present().unwrap().iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["cpu-thermal", "zone-2", "zone-10"]);
    assert_absent(zones.present().unwrap()[1].temperature_mc.clone(), "does not exist");
}

#[test]
fn snapshots_survive_json() {
    let snapshot = Tree::pi5().device().snapshot();
    let json = serde_json::to_string(&snapshot).unwrap();
    assert!(json.contains(r#""simulated":false"#) && json.contains(r#""temperature_mc":{"present":51250}"#), "{json}");
    assert_eq!(serde_json::from_str::<crate::Snapshot>(&json).unwrap(), snapshot);
}

#[test]
fn the_machine_of_this_test_can_be_read() {
    let snapshot = Linux::new(DataPlace::Directory(std::env::temp_dir())).snapshot();
    assert!(snapshot.memory.present().unwrap().total_bytes > 0);
    assert!(snapshot.cpu.count.present().unwrap() > &0);
    assert!(snapshot.ssd.mount.present().unwrap().size_bytes.present().is_some());
}
