use super::*;

const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t1024\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0
eth1\t0000FEA9\t00000000\t0001\t0\t0\t2048\t0000FFFF\t0\t0\t0
broken line
";
const ADDRESSES: &str = "00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000dea632fffe000001 02 40 20 80     eth0
fd000000000000000000000000000001 03 40 00 80     eth1
nonsense
";

/// A machine of files.
fn machine(dir: &Path) -> ThisMachine {
    let write = |path: &str, content: &[u8]| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    for (link, carrier) in [("eth0", "1\n"), ("eth1", "1\n"), ("wlan0", "0\n")] {
        write(&format!("sys/class/net/{link}/carrier"), carrier.as_bytes());
        write(&format!("sys/class/net/{link}/device/modalias"), b"");
    }
    write("sys/class/net/lo/carrier", b"1\n");
    write("proc/net/route", ROUTES.as_bytes());
    write("proc/net/if_inet6", ADDRESSES.as_bytes());
    write(EEPROM, &1_765_152_000_u32.to_be_bytes());
    write("sys/class/thermal/thermal_zone0/temp", b"71500\n");
    write("sys/class/thermal/thermal_zone0/type", b"cpu-thermal\n");
    ThisMachine { root: dir.to_owned(), mount_point: dir.join("mnt") }
}

#[test]
fn links_count_with_a_carrier_and_addresses_beyond_the_link() {
    let dir = tempfile::tempdir().unwrap();
    let found = machine(dir.path()).circumstances().unwrap();
    assert_eq!(found.links, ["eth0", "eth1"]);
    assert_eq!(found.addressed, ["eth0", "eth1"], "one by IPv4, one by IPv6");
    assert_eq!(found.data_disk, None);
    assert_eq!(addressed_v4(ROUTES), ["eth0"]);
    assert_eq!(addressed_v6(ADDRESSES), ["lo", "eth1"]);
    fs::write(dir.path().join("sys/class/net/eth0/carrier"), "0\n").unwrap();
    assert_eq!(machine_of(dir.path()).circumstances().unwrap().links, ["eth1"]);
    fs::remove_file(dir.path().join("proc/net/if_inet6")).unwrap();
    assert!(machine_of(dir.path()).circumstances().unwrap().addressed.is_empty(), "without IPv6");
}

#[test]
fn what_a_preflight_asks_is_read_or_said_to_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let conditions = machine(dir.path()).conditions();
    assert_eq!(conditions.eeprom_s, Reading::Present(1_765_152_000));
    assert_eq!(conditions.hottest_mc, Reading::Present(71_500));
    assert!(conditions.undervoltage.is_absent());
    fs::write(dir.path().join(EEPROM), [1, 2, 3]).unwrap();
    assert!(matches!(machine_of(dir.path()).conditions().eeprom_s, Reading::Failed { .. }));
    fs::remove_file(dir.path().join(EEPROM)).unwrap();
    assert!(machine_of(dir.path()).conditions().eeprom_s.is_absent());
}

fn machine_of(dir: &Path) -> ThisMachine {
    ThisMachine { root: dir.to_owned(), mount_point: dir.join("mnt") }
}

#[test]
fn a_disk_that_was_pulled_while_mounted_is_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (machine, device) = (machine_of(dir.path()), dir.path().join("dev/sda"));
    let links = dir.path().join("dev/disk/by-uuid");
    fs::create_dir_all(&links).unwrap();
    fs::write(&device, "").unwrap();
    assert!(machine.uuid(&device).unwrap_err().to_string().contains("has no UUID"));
    std::os::unix::fs::symlink(&device, links.join("c0de")).unwrap();
    assert_eq!(machine.uuid(&device).unwrap().as_deref(), Some("c0de"));
    fs::remove_file(&device).unwrap();
    assert_eq!(machine.uuid(&device).unwrap(), None, "with and without the link");
    fs::remove_file(links.join("c0de")).unwrap();
    assert_eq!(machine.uuid(&device).unwrap(), None);
}
