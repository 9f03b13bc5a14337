//! The floor through restarts, steps, damage and full disks, with raw times set by hand.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::system::Source;
use super::{Clock, ClockError, ClockTrust, FakeClock, Now, SystemClock};

/// 2026-06-01, the time of the build in these tests.
const BUILT_MS: u64 = 1_780_272_000_000;
const HOUR_MS: u64 = 3_600_000;

/// The raw clocks are those of a fake clock; its trust is not looked at.
struct Raw(Arc<FakeClock>);

impl Source for Raw {
    fn wall_ms(&self) -> u64 {
        self.0.now().unix_ms
    }
    fn monotonic_ms(&self) -> u64 {
        self.0.monotonic_ms()
    }
}

/// A box: its state directory, its root and its raw clocks.
struct Bench {
    dir: TempDir,
    raw: Arc<FakeClock>,
}

impl Bench {
    fn new(wall_ms: u64) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap(), raw: Arc::new(FakeClock::new(wall_ms)) };
        fs::create_dir_all(bench.dir.path().join("run/systemd/timesync")).unwrap();
        bench
    }

    /// Boots: the wall clock starts anew, nothing is synchronized yet.
    fn boot(&self, wall_ms: u64) -> SystemClock {
        self.synchronize(false);
        self.wall(wall_ms);
        SystemClock::with_source(Box::new(Raw(self.raw.clone())), self.dir.path(), self.dir.path(), BUILT_MS)
    }

    fn wall(&self, unix_ms: u64) {
        self.raw.step_to(Now { unix_ms, trust: ClockTrust::Synchronized });
    }

    fn synchronize(&self, is_synchronized: bool) {
        let file = self.dir.path().join("run/systemd/timesync/synchronized");
        if is_synchronized { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap_or_default() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clock")
    }
}

fn now(unix_ms: u64, trust: ClockTrust) -> Now {
    Now { unix_ms, trust }
}

#[test]
fn without_a_floor_the_build_time_is_one() {
    let bench = Bench::new(0);
    let clock = bench.boot(0);
    assert_eq!(clock.now(), now(BUILT_MS, ClockTrust::Held));
    bench.raw.advance(1500);
    assert_eq!(clock.now(), now(BUILT_MS + 1500, ClockTrust::Held), "held time passes");
}

#[test]
fn trust_follows_the_synchronized_file() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS + HOUR_MS);
    assert_eq!(clock.now(), now(BUILT_MS + HOUR_MS, ClockTrust::Unsynchronized));
    bench.synchronize(true);
    assert_eq!(clock.now(), now(BUILT_MS + HOUR_MS, ClockTrust::Synchronized));
}

#[test]
fn time_goes_on_over_restarts_without_a_battery() {
    let bench = Bench::new(0);
    let mut last_ms = 0;
    for _ in 0..3 {
        let clock = bench.boot(0);
        assert!(clock.now().unix_ms >= last_ms);
        bench.raw.advance(HOUR_MS);
        last_ms = clock.now().unix_ms;
        clock.keep().unwrap();
    }
    assert_eq!(last_ms, BUILT_MS + 3 * HOUR_MS);
}

#[test]
fn a_step_back_is_held() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS + 10 * HOUR_MS);
    clock.keep().unwrap();
    bench.wall(BUILT_MS + HOUR_MS);
    bench.raw.advance(250);
    assert_eq!(clock.now(), now(BUILT_MS + 10 * HOUR_MS + 250, ClockTrust::Held));
}

#[test]
fn synchronizing_undoes_a_wild_real_time_clock() {
    let (wild_ms, true_ms) = (BUILT_MS + 100_000 * HOUR_MS, BUILT_MS + HOUR_MS);
    let bench = Bench::new(0);
    let clock = bench.boot(wild_ms);
    clock.keep().unwrap();
    bench.synchronize(true);
    bench.wall(true_ms);
    assert_eq!(clock.now(), now(true_ms, ClockTrust::Synchronized));
    clock.keep().unwrap();
    assert_eq!(bench.boot(0).now(), now(true_ms, ClockTrust::Held), "the wild floor is gone from disk too");
}

#[test]
fn nothing_goes_below_a_synchronized_floor() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS + 10 * HOUR_MS);
    bench.synchronize(true);
    clock.keep().unwrap();
    bench.wall(BUILT_MS + HOUR_MS);
    assert_eq!(clock.now(), now(BUILT_MS + 10 * HOUR_MS, ClockTrust::Held), "a lying time server");
    let clock = bench.boot(BUILT_MS);
    bench.synchronize(true);
    assert_eq!(clock.now(), now(BUILT_MS + 10 * HOUR_MS, ClockTrust::Held), "nor after a restart");
}

#[test]
fn the_floor_is_written_once_a_minute_and_at_stop() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS);
    let kept = || fs::read_to_string(bench.file()).unwrap();
    clock.advance().unwrap();
    let first = kept();
    bench.raw.advance(59_999);
    clock.advance().unwrap();
    assert_eq!(kept(), first);
    bench.raw.advance(1);
    clock.advance().unwrap();
    let second = kept();
    assert_ne!(second, first);
    bench.raw.advance(1);
    clock.keep().unwrap();
    assert_ne!(kept(), second, "stop does not wait for the minute");
}

#[test]
fn a_damaged_file_is_reported_set_aside_and_replaced() {
    let good = format!("lucid-clock-1 {} {}\n", BUILT_MS + 2, BUILT_MS + 1);
    let damaged: &[&[u8]] = &[
        b"",
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xfe",
        b"lucid-clock-1 1 1",
        b"lucid-clock-1 1\n",
        b"lucid-clock-1 1 2\n",
        b"lucid-clock-1 -1 0\n",
        b"lucid-clock-1 99999999999999 0\n",
        b"lucid-clock-1 99999999999999999999999 0\n",
        b"lucid-clock-2 1 1\n",
        b"lucid-clock-1 1 1 1\n",
        &good.as_bytes()[..good.len() - 4],
        &[b'1'; 10_000],
    ];
    for content in damaged {
        let bench = Bench::new(0);
        fs::write(bench.file(), content).unwrap();
        let clock = bench.boot(0);
        assert!(matches!(clock.startup_problem(), Some(ClockError::Damaged { .. })), "{content:?}");
        assert_eq!(clock.now().unix_ms, BUILT_MS);
        clock.keep().unwrap();
        assert_eq!(&fs::read(bench.dir.path().join("clock.bad")).unwrap(), content);
        assert!(bench.boot(0).startup_problem().is_none());
    }
}

#[test]
fn an_absurd_present_is_told_and_not_kept() {
    let bench = Bench::new(0);
    let clock = bench.boot(u64::MAX);
    bench.raw.advance(HOUR_MS);
    assert_eq!(clock.now(), now(u64::MAX, ClockTrust::Unsynchronized));
    clock.keep().unwrap();
    bench.wall(0);
    assert_eq!(clock.now(), now(BUILT_MS + HOUR_MS, ClockTrust::Held), "time held before is not lost");
    assert!(bench.boot(0).startup_problem().is_none(), "what was kept can be read");
}

#[test]
fn a_floor_older_than_the_build_is_raised() {
    let bench = Bench::new(0);
    fs::write(bench.file(), "lucid-clock-1 5 4\n").unwrap();
    let clock = bench.boot(0);
    assert!(clock.startup_problem().is_none());
    assert_eq!(clock.now(), now(BUILT_MS, ClockTrust::Held));
}

#[test]
fn a_failed_write_is_an_error_and_is_tried_again() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS);
    // A directory in the place of the new file refuses the write, for root as well.
    let obstacle = bench.dir.path().join("clock.new");
    fs::create_dir(&obstacle).unwrap();
    assert!(matches!(clock.advance(), Err(ClockError::Write { .. })));
    assert!(!bench.file().exists());
    fs::remove_dir(&obstacle).unwrap();
    clock.advance().unwrap();
    assert!(bench.file().exists(), "the failed attempt does not count as the one of this minute");
}

#[test]
fn a_left_over_new_file_does_no_harm() {
    let bench = Bench::new(0);
    bench.boot(BUILT_MS + HOUR_MS).keep().unwrap();
    fs::write(bench.dir.path().join("clock.new"), "lucid-clock-1 9").unwrap();
    let clock = bench.boot(0);
    assert_eq!(clock.now(), now(BUILT_MS + HOUR_MS, ClockTrust::Held));
    clock.keep().unwrap();
}

/// Random days of a box: time passes, the wall clock jumps anywhere, servers come and go, the power fails.
#[test]
fn no_history_leads_below_what_was_kept_while_synchronized() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(0);
        let mut clock = bench.boot(0);
        let mut bound_ms = BUILT_MS;
        for step in 0..40 {
            match random.u8(..6) {
                0 => bench.raw.advance(random.u64(..HOUR_MS)),
                1 => bench.wall(random.u64(..2 * BUILT_MS)),
                2 => bench.synchronize(random.bool()),
                3 => clock.advance().unwrap(),
                4 => {
                    clock.keep().unwrap();
                    if clock.now().trust == ClockTrust::Synchronized {
                        bound_ms = bound_ms.max(clock.now().unix_ms);
                    }
                }
                _ => clock = bench.boot(random.u64(..2 * BUILT_MS)),
            }
            assert!(clock.startup_problem().is_none(), "seed {seed}, step {step}");
            assert!(clock.now().unix_ms >= bound_ms, "seed {seed}, step {step}: {:?} < {bound_ms}", clock.now());
        }
    }
}

#[test]
fn the_real_source_runs() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SystemClock::new(dir.path());
    let (first, second) = (clock.monotonic_ms(), clock.monotonic_ms());
    assert!(second >= first);
    assert!(clock.now().unix_ms > 1_767_225_600_000);
}

#[test]
fn the_fake_clock_does_as_told() {
    let clock = FakeClock::new(1000);
    clock.advance(5);
    assert_eq!((clock.now(), clock.monotonic_ms()), (now(1005, ClockTrust::Synchronized), 5));
    clock.step_to(now(3, ClockTrust::Held));
    assert_eq!((clock.now(), clock.monotonic_ms()), (now(3, ClockTrust::Held), 5));
}

#[test]
fn the_earliest_time_moves_with_a_synchronized_clock_only() {
    let bench = Bench::new(0);
    let clock = bench.boot(BUILT_MS + 9 * HOUR_MS);
    clock.keep().unwrap();
    assert_eq!(clock.earliest_ms(), BUILT_MS, "a clock that was never set may be ahead");
    bench.synchronize(true);
    bench.wall(BUILT_MS + HOUR_MS);
    clock.keep().unwrap();
    assert_eq!(clock.earliest_ms(), BUILT_MS + HOUR_MS);
    assert_eq!(bench.boot(BUILT_MS + 2 * HOUR_MS).earliest_ms(), BUILT_MS + HOUR_MS, "over a restart");
}
