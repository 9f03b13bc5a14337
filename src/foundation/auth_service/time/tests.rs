//! The floor, against a clock set by hand.

use lucid_device::{FakeClock, Now};

use super::*;

const NOW_MS: u64 = 1_748_736_000_000;

fn step(clock: &FakeClock, unix_ms: u64, trust: ClockTrust) {
    clock.step_to(Now { unix_ms, trust });
}

#[test]
fn an_untrusted_clock_goes_forward_only() {
    let clock = Arc::new(FakeClock::new(NOW_MS));
    let time = Time::new(clock.clone(), 0);
    assert_eq!(time.now_ms(), NOW_MS);
    step(&clock, NOW_MS - 5_000, ClockTrust::Unsynchronized);
    assert_eq!(time.now_ms(), NOW_MS);
    clock.advance(2_000);
    assert_eq!(time.now_ms(), NOW_MS + 2_000, "time goes on while it is held");
    step(&clock, NOW_MS + 9_000, ClockTrust::Held);
    assert_eq!(time.now_ms(), NOW_MS + 9_000);
}

#[test]
fn it_begins_where_the_store_left_off() {
    let clock = Arc::new(FakeClock::new(0));
    step(&clock, 1_000, ClockTrust::Unsynchronized);
    assert_eq!(Time::new(clock.clone(), NOW_MS).now_ms(), NOW_MS);
    step(&clock, NOW_MS + 1, ClockTrust::Unsynchronized);
    assert_eq!(Time::new(clock, NOW_MS).now_ms(), NOW_MS + 1);
}

#[test]
fn a_time_server_is_believed_in_both_directions() {
    let clock = Arc::new(FakeClock::new(0));
    step(&clock, NOW_MS, ClockTrust::Synchronized);
    let time = Time::new(clock.clone(), NOW_MS * 2);
    assert_eq!(time.now_ms(), NOW_MS);
    step(&clock, NOW_MS - 7_000, ClockTrust::Synchronized);
    assert_eq!(time.now_ms(), NOW_MS - 7_000);
    step(&clock, 5, ClockTrust::Unsynchronized);
    assert_eq!(time.now_ms(), NOW_MS - 7_000);
}
