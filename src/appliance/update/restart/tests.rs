//! Each kind of order, in and out of the window, with and without recordings.

use super::*;

const MINUTE_MS: u64 = 60_000;

fn at(minute: u64, trust: ClockTrust) -> Now {
    Now { unix_ms: minute * MINUTE_MS, trust }
}

/// The order, the window, the minute of the day, the clock, the recordings; and why it waits, if it does.
type Row = (When, Option<Window>, u32, ClockTrust, usize, Option<&'static str>);

#[test]
fn a_release_is_installed_when_its_time_has_come() {
    use ClockTrust::{Synchronized, Unsynchronized};
    let night: Option<Window> = Some("02:00-05:00".parse().unwrap());
    let (noon, open, last) = (12 * 60, 2 * 60, 5 * 60 - FORCED_MIN);
    let table: [Row; 15] = [
        (When::Now, None, noon, Unsynchronized, 3, None),
        (When::Quiet, None, noon, Unsynchronized, 0, None),
        (When::Quiet, None, noon, Synchronized, 1, Some("1 recording is running: the restart waits for it")),
        (When::Quiet, None, noon, Synchronized, 2, Some("2 recordings are running: the restart waits for them")),
        (When::Quiet, night, open, Synchronized, 2, Some("2 recordings")),
        (When::Quiet, night, last, Synchronized, 2, None),
        (When::Quiet, night, last, Unsynchronized, 2, Some("2 recordings")),
        (When::Window, None, noon, Synchronized, 0, Some("no window is set")),
        (When::Window, night, noon, Synchronized, 0, Some("waits for the window, 02:00-05:00 (UTC)")),
        (When::Window, night, open, Synchronized, 0, None),
        (When::Window, night, open, Synchronized, 1, Some("1 recording")),
        (When::Window, night, last - 1, Synchronized, 1, Some("1 recording")),
        (When::Window, night, last, Synchronized, 1, None),
        (When::Window, night, open, Unsynchronized, 0, Some("no time server has set the clock")),
        (When::Window, night, open, ClockTrust::Held, 0, Some("no time server has set the clock")),
    ];
    let zone = Zone::default();
    for (when, window, minute, trust, recordings, reason) in table {
        let decided = decide(when, window.map(|window| (window, &zone)), at(u64::from(minute), trust), recordings);
        let case = format!("{when:?} {window:?} {minute} {trust:?} {recordings}: {decided:?}");
        match (reason, &decided) {
            (None, Go::Ahead) => {}
            (Some(part), Go::Wait(reason)) => assert!(reason.contains(part), "{case}"),
            _ => panic!("{case}"),
        }
    }
}
