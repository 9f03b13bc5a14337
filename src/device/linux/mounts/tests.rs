//! Lines of mountinfo, whole, odd and hostile.

use std::path::Path;

use super::{Mount, holding, mounted_at, unescape};

const MOUNTINFO: &str = "\
22 1 253:0 / / ro,relatime - erofs /dev/dm-0 ro
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 179:6 / /state rw,relatime shared:5 - ext4 /dev/mmcblk0p6 rw,errors=remount-ro
41 22 0:30 / /mnt rw - tmpfs tmpfs rw,size=4k
42 41 259:1 / /mnt/myssd rw,noatime shared:7 master:2 - ext4 /dev/nvme0n1p1 rw
43 41 8:1 / /mnt/with\\040space rw - vfat /dev/sda1 rw
";

fn device(mount: Option<Mount>) -> Option<String> {
    mount.map(|mount| mount.device)
}

#[test]
fn a_mount_point_is_matched_exactly() {
    for (path, expected) in [
        ("/mnt/myssd", Some("259:1")),
        ("/mnt/with space", Some("8:1")),
        ("/mnt/myss", None),
        ("/mnt/myssd/Lucid", None),
        ("/", Some("253:0")),
    ] {
        assert_eq!(device(mounted_at(MOUNTINFO, Path::new(path))).as_deref(), expected, "{path}");
    }
}

#[test]
fn a_path_is_held_by_the_longest_mount_above_it() {
    for (path, expected) in
        [("/mnt/myssd/Lucid/data", "259:1"), ("/mnt/myssd2", "0:30"), ("/state", "179:6"), ("/usr/bin", "253:0")]
    {
        assert_eq!(device(holding(MOUNTINFO, Path::new(path))).as_deref(), Some(expected), "{path}");
    }
}

#[test]
fn the_topmost_of_stacked_mounts_counts() {
    let stacked = format!("{MOUNTINFO}44 42 259:9 / /mnt/myssd rw - ext4 /dev/nvme1n1p1 rw\n");
    assert_eq!(device(mounted_at(&stacked, Path::new("/mnt/myssd"))).as_deref(), Some("259:9"));
    assert_eq!(device(holding(&stacked, Path::new("/mnt/myssd/x"))).as_deref(), Some("259:9"));
}

#[test]
fn read_only_is_seen_in_both_option_lists() {
    for (options, super_options, expected) in [
        ("rw,noatime", "rw,errors=remount-ro", false),
        ("ro,noatime", "rw", true),
        ("rw,noatime", "ro,errors=remount-ro", true),
        ("rw", "rw,emergency_ro", true),
        ("rw", "rw,shutdown", true),
    ] {
        let line = format!("42 41 259:1 / /d {options} - ext4 /dev/nvme0n1p1 {super_options}");
        let mount = mounted_at(&line, Path::new("/d")).unwrap();
        assert_eq!(mount.read_only, expected, "{line}");
    }
}

#[test]
fn garbage_lines_are_no_mounts() {
    for line in ["", "-", " - ", "a - b", "1 2 3:4 / /d rw - ext4", "1 2 3:4 / - ext4 /dev/sda rw", "\\\\\\ - \\1 \\"] {
        assert_eq!(mounted_at(line, Path::new("/d")), None, "{line:?}");
    }
}

#[test]
fn escapes_are_undone_and_broken_ones_kept() {
    for (field, expected) in
        [("a\\040b", "a b"), ("\\134", "\\"), ("a\\04", "a\\04"), ("\\999", "\\999"), ("\\777", "\\777"), ("\\", "\\")]
    {
        assert_eq!(unescape(field), expected);
    }
}
