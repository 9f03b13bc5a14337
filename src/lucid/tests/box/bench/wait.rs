//! Waiting for a state, never for a duration.

use std::time::{Duration, Instant};

/// What takes a moment: a service that comes up, a reply, a block.
pub(crate) const SHORT: Duration = Duration::from_secs(30);
/// What takes long on a busy machine: a recording that is anchored, a client that backs off.
pub(crate) const LONG: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Looks until `look` gives something; its last complaint is the failure's message.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(complaint) if started.elapsed() > limit => panic!("{what}: not within {limit:?}; last: {complaint}"),
            Err(_) => pause(LOOK),
        }
    }
}

/// Lets time pass: between two looks, or where the moment itself is what is drawn at random.
#[expect(clippy::disallowed_methods, reason = "these tests have no runtime: they drive processes from outside")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
