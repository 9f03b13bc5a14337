//! What is an address, what is a window, and when that is open.

use super::*;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// A moment of some day, as `HH:MM`.
fn at(text: &str) -> u64 {
    20_000 * DAY_MS + u64::from(minute(text).unwrap()) * MINUTE_MS + 59_999
}

#[test]
fn a_window_is_open_from_its_beginning_to_before_its_end() {
    let left = |window: &str, now: &str| window.parse::<Window>().unwrap().left_min(&Zone::default(), at(now));
    assert_eq!(left("02:00-05:00", "01:59"), None);
    assert_eq!(left("02:00-05:00", "02:00"), Some(180));
    assert_eq!(left("02:00-05:00", "04:59"), Some(1));
    assert_eq!(left("02:00-05:00", "05:00"), None);
    assert_eq!(left("23:30-00:30", "23:29"), None);
    assert_eq!(left("23:30-00:30", "23:30"), Some(60));
    assert_eq!(left("23:30-00:30", "00:29"), Some(1));
    assert_eq!(left("23:30-00:30", "00:30"), None);
    assert_eq!(left("00:00-23:59", "23:59"), None);
}

#[test]
fn a_window_goes_by_the_clock_on_the_wall() {
    let night: Window = "02:00-05:00".parse().unwrap();
    // 2025-01-15 and 2025-07-15, at midnight UTC.
    let (winter, summer) = (1_736_899_200_000, 1_752_537_600_000);
    let hour = |hour: u64| hour * 60 * MINUTE_MS;
    let zone = |rules| Zone(TimeZone::posix(rules).unwrap());
    let berlin = zone("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_eq!(night.left_min(&berlin, winter + hour(1)), Some(180), "02:00 in winter");
    assert_eq!(night.left_min(&berlin, winter), None);
    assert_eq!(night.left_min(&berlin, summer), Some(180), "02:00 in summer");
    assert_eq!(night.left_min(&berlin, summer + hour(3)), None);
    let chicago = zone("CST6CDT,M3.2.0,M11.1.0");
    assert_eq!(night.left_min(&chicago, winter + hour(10)), Some(60), "04:00, and the day before it in UTC at 20:00");
    assert_eq!(night.left_min(&chicago, winter), None);
    assert_eq!(night.left_min(&berlin, u64::MAX), night.left_min(&Zone::default(), u64::MAX));
    assert_eq!(Zone::default().to_string(), "UTC");
}

#[test]
fn a_window_is_written_in_one_way() {
    for good in ["02:00-05:00", "23:59-00:00"] {
        assert_eq!(good.parse::<Window>().unwrap().to_string(), good);
    }
    for bad in ["", "02:00", "2:00-5:00", "02:00-02:00", "24:00-01:00", "02:60-03:00", "02:00 - 05:00", "+1:00-05:00"] {
        assert_eq!(bad.parse::<Window>(), Err(NoWindow), "{bad:?}");
    }
}

#[test]
fn an_address_is_of_a_web_server_and_holds_no_password() {
    for good in ["http://10.0.0.1/x.bundle", "https://example.org/a?b=c", "HTTPS://example.org"] {
        assert!(good.parse::<UpdateUrl>().is_ok(), "{good}");
    }
    let long = format!("https://example.org/{}", "x".repeat(URL_BYTES_MAX));
    let bad = [
        "",
        "example.org",
        "file:///etc/passwd",
        "ftp://example.org/",
        "data:,x",
        "https://",
        "http://a:b@c/",
        "http://a@c/",
    ];
    for bad in bad.iter().copied().chain([long.as_str()]) {
        assert_eq!(bad.parse::<UpdateUrl>(), Err(NoUpdateUrl), "{bad}");
    }
}
