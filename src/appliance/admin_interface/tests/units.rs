//! Small functions by table.

use std::time::Duration;

use super::super::format;

#[test]
fn numbers_read_well() {
    let bytes = [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (u64::MAX, "18.4 EB"),
    ];
    for (count, expected) in bytes {
        assert_eq!(format::bytes(count), expected);
    }
    let durations = [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")];
    for (seconds, expected) in durations {
        assert_eq!(format::duration(Duration::from_secs(seconds)), expected);
    }
    assert_eq!(format::percent(49), "4.9 %");
    assert_eq!(format::temperature(-250), "-0.2 °C");
    assert!(format::time(u64::MAX).into_string().contains("9999"));
    assert!(format::time(0).into_string().contains("1970-01-01 00:00:00 UTC"));
}

#[test]
fn paths_are_local() {
    for bad in ["", "x", "//x", "/\\x", "/a\\b", "/a b", "/\u{e9}", &format!("/{}", "x".repeat(1024))] {
        assert_eq!(format::local_path(bad), "/", "{bad:?}");
    }
    assert_eq!(format::local_path("/sessions?before=1"), "/sessions?before=1");
}

#[test]
fn query_values_are_escaped() {
    assert_eq!(format::query_value("/a b&c=\u{e9}"), "/a%20b%26c%3D%C3%A9");
}
