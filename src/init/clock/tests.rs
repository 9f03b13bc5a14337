use std::fs::File;

use tempfile::TempDir;

use super::*;
use crate::system::fake::{Fake, Fate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn built() -> SystemTime {
    SystemTime::UNIX_EPOCH + 20_000 * DAY
}

/// A tree with files of these times, and a clock.
fn bench(files: &[(&str, SystemTime)], now: SystemTime) -> (TempDir, Root, Fake) {
    let dir = tempfile::tempdir().unwrap();
    let (root, fake) = (Root::of_test(dir.path()), Fake::new());
    for (path, time) in files {
        crate::file::write_volatile(&root.at(path), "").unwrap();
        File::options().write(true).open(root.at(path)).unwrap().set_modified(*time).unwrap();
    }
    fake.clock.set(now);
    (dir, root, fake)
}

#[test]
fn the_clock_is_moved_forward_to_the_latest_time_that_is_known() {
    let check = |files: &[(&str, SystemTime)], now, expected: SystemTime| {
        let (_dir, root, fake) = bench(files, now);
        let clock = advance(&root, &fake).unwrap();
        assert_eq!(fake.clock.get(), expected, "{files:?}");
        assert_eq!(clock == Clock::Kept, now == expected);
        assert_eq!(fake.was_asked("clock"), now != expected);
    };
    let (epoch, later) = (SystemTime::UNIX_EPOCH, built() + 30 * DAY);
    check(&[], epoch, epoch);
    check(&[(paths::BINARY, built())], epoch, built());
    check(&[("/usr/lib/clock-epoch", built()), (paths::BINARY, epoch)], epoch, built());
    check(&[(paths::BINARY, built()), (SYNCHRONIZED, later)], epoch, later);
    check(&[(SYNCHRONIZED, later)], epoch, later);
    check(&[(paths::BINARY, built()), (SYNCHRONIZED, epoch)], epoch, built());
    // Never back.
    check(&[(paths::BINARY, built()), (SYNCHRONIZED, later)], later + DAY, later + DAY);
    // A time that no release lives to see.
    check(&[(paths::BINARY, built()), (SYNCHRONIZED, built() + AHEAD_MAX)], epoch, built() + AHEAD_MAX);
    check(&[(paths::BINARY, built()), (SYNCHRONIZED, built() + AHEAD_MAX + DAY)], epoch, built());
}

#[test]
fn a_clock_that_can_not_be_set_is_an_error() {
    let (_dir, root, fake) = bench(&[(paths::BINARY, built())], SystemTime::UNIX_EPOCH);
    fake.doom("clock", Fate::Fails);
    assert!(advance(&root, &fake).is_err());
}
