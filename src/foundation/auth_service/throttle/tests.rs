//! The counts on their own.

use super::*;

const WINDOW_S: u64 = 900;
const DAY_MS: u64 = 86_400_000;

fn throttle() -> Throttle {
    Throttle::new(5, WINDOW_S)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_wait_doubles_up_to_the_window() {
    let throttle = throttle();
    let table = [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (14, 512), (15, 900), (100, 900), (u32::MAX, 900)];
    for (failures, wait_s) in table {
        assert_eq!(throttle.delay_ms(failures), wait_s * 1000, "{failures}");
    }
}

#[test]
fn refused_attempts_do_not_prolong_the_wait() {
    let mut throttle = throttle();
    (0..5).for_each(|_| throttle.begin("zoe", ip("10.0.0.1"), 0).unwrap());
    for now_ms in [0, 10, 500, 999] {
        assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), now_ms), Err(1));
    }
    throttle.begin("zoe", ip("10.0.0.1"), 1000).unwrap();
    assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), 1001), Err(2));
}

#[test]
fn an_address_is_slowed_down_over_all_accounts() {
    let mut throttle = throttle();
    for name in ["a", "b", "c", "d", "e"] {
        throttle.begin(name, ip("10.0.0.1"), 0).unwrap();
    }
    assert_eq!(throttle.begin("f", ip("10.0.0.1"), 0), Err(1));
    assert_eq!(throttle.begin("f", ip("10.0.0.2"), 0), Ok(()));
}

#[test]
fn an_account_is_slowed_down_over_all_addresses_after_three_attempts_from_each() {
    let mut throttle = throttle();
    for last in 1..=20 {
        let address = IpAddr::from([10, 0, 0, last]);
        assert_eq!((0..3).filter(|_| throttle.begin("zoe", address, 0).is_ok()).count(), 3);
    }
    assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), 0), Err(WINDOW_S));
    assert_eq!(throttle.begin("zoe", ip("10.0.0.99"), 0), Ok(()), "the right person from elsewhere");
    assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), WINDOW_S * 1000), Ok(()));
}

#[test]
fn a_right_attempt_counts_for_nothing() {
    let mut throttle = throttle();
    for now_ms in 0..100 {
        throttle.begin("zoe", ip("10.0.0.1"), now_ms).unwrap();
        throttle.succeeded("zoe", ip("10.0.0.1"));
    }
    // Somebody with an account of their own can't wash their guesses off with it.
    (0..5).for_each(|_| throttle.begin("admin", ip("10.0.0.1"), 100).unwrap());
    assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), 100), Err(1));
}

#[test]
fn quiet_counts_are_forgotten() {
    let mut throttle = throttle();
    (0..5).for_each(|_| throttle.begin("zoe", ip("10.0.0.1"), 0).unwrap());
    (0..5).for_each(|_| throttle.begin("zoe", ip("10.0.0.1"), DAY_MS).unwrap());
    assert_eq!(throttle.begin("zoe", ip("10.0.0.1"), DAY_MS), Err(1));
}

#[test]
fn one_host_has_one_address() {
    let table = [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
    ];
    for (one, two, same) in table {
        assert_eq!(network(ip(one)) == network(ip(two)), same, "{one} {two}");
    }
}

#[test]
fn memory_is_bounded_and_the_most_guessed_account_is_kept() {
    let mut throttle = throttle();
    (1..=4).for_each(|last| throttle.begin("admin", IpAddr::from([10, 1, 0, last]), 0).unwrap());
    for index in 0..6_000u32 {
        let address = IpAddr::from(index.to_be_bytes());
        throttle.begin(&format!("name{index}"), address, u64::from(index)).unwrap();
    }
    let counts = [throttle.addresses.len(), throttle.accounts.len(), throttle.pairs.len()];
    assert!(counts.iter().all(|&count| count <= ENTRIES_MAX), "{counts:?}");
    assert_eq!(throttle.accounts["admin"].failures, 4);
}
