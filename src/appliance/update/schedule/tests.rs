//! Waits stay within their bounds, whatever the clock says and however often something failed.

use super::*;

#[test]
fn the_first_look_is_due_a_day_after_the_last_and_soon_where_that_is_not_known() {
    let hour_ms = 3_600_000;
    assert_eq!(after_start(None, 100, 24, 0.0), Duration::ZERO);
    assert_eq!(after_start(None, 100, 24, 1.0), AFTER_START_MAX);
    assert_eq!(after_start(Some(hour_ms), 5 * hour_ms, 24, 0.0), 20 * HOUR);
    assert_eq!(after_start(Some(hour_ms), 99 * hour_ms, 24, 0.5), AFTER_START_MAX / 2);
    assert_eq!(after_start(Some(99 * hour_ms), hour_ms, 24, 0.0), Duration::ZERO, "a time in the future");
    assert!(after_start(Some(0), 0, u64::MAX, 1.0) > HOUR, "no overflow");
}

#[test]
fn a_look_that_fails_is_tried_again_later_and_later_but_not_later_than_a_good_one() {
    assert_eq!(after_look(0, 24, 0.0), 24 * HOUR);
    assert_eq!(after_look(0, 24, 1.0), 27 * HOUR);
    let waits: Vec<_> = (1..40).map(|failures| after_look(failures, 24, 0.0)).collect();
    assert_eq!(waits[0], AFTER_FAILURE);
    assert!(waits.is_sorted() && waits.last() == Some(&(24 * HOUR)), "{waits:?}");
    assert!(after_look(u32::MAX, 720, 1.0) <= (720 * HOUR).mul_f64(1.0 + SPREAD));
}

#[test]
fn a_transfer_that_breaks_is_tried_again_later_and_later() {
    let waits: Vec<_> = (1..40).map(|breaks| after_break(breaks, 0.0)).collect();
    assert_eq!(waits[..3], [AFTER_BREAK, 2 * AFTER_BREAK, 4 * AFTER_BREAK]);
    assert!(waits.is_sorted() && waits.last() == Some(&AFTER_BREAK_MAX), "{waits:?}");
}
