//! The clock's floor: a Pi without a battery begins at the kernel's build or at 1970.
//!
//! Certificates and the journal need a time that never was before. Promises: moves the clock forward only. Must never
//! trust a time from the state that lies absurdly far ahead: it would hold the clock there for good.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lucid_layout::paths;

use crate::error::Error;
use crate::root::Root;
use crate::system::System;

/// Files whose time of change is the build's: every file of the image has `SOURCE_DATE_EPOCH`, and the first is
/// systemd's own convention for it.
const BUILD: [&str; 2] = ["/usr/lib/clock-epoch", paths::BINARY];

/// What timesyncd touches whenever it knows the time, and at least once a minute.
const SYNCHRONIZED: &str = "/state/systemd/timesync/clock";

/// As systemd has it: no release runs for longer than 15 years.
const AHEAD_MAX: Duration = Duration::from_secs(15 * 365 * 24 * 60 * 60);

/// What was done to the clock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// It was at the floor or after it, or there is no floor.
    Kept,
    /// It was set to the floor, by so much.
    Advanced(Duration),
}

/// Sets the clock to the floor if it is before it.
pub(crate) fn advance(root: &Root, system: &dyn System) -> Result<Clock, Error> {
    let build = BUILD.iter().map(|path| changed(&root.at(path))).collect::<Result<Vec<_>, _>>()?;
    let built = build.into_iter().flatten().max();
    let floor = floor(built, changed(&root.at(SYNCHRONIZED))?);
    match floor.map(|floor| (floor, floor.duration_since(system.now()))) {
        Some((floor, Ok(ahead))) if !ahead.is_zero() => {
            system.set_clock(floor).map_err(Error::io("set the clock by", &root.at(SYNCHRONIZED)))?;
            Ok(Clock::Advanced(ahead))
        }
        _ => Ok(Clock::Kept),
    }
}

/// The later of both, unless the state's is absurd.
fn floor(built: Option<SystemTime>, synchronized: Option<SystemTime>) -> Option<SystemTime> {
    let Some(built) = built else { return synchronized };
    let credible = synchronized.filter(|time| time.duration_since(built).is_ok_and(|ahead| ahead <= AHEAD_MAX));
    Some(credible.unwrap_or(built))
}

/// When a file was changed; `None` if it is not there.
fn changed(path: &Path) -> Result<Option<SystemTime>, Error> {
    match fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(time) => Ok(Some(time)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

#[cfg(test)]
mod tests;
