//! The system's clock, held up by the floor.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::floor::{FLOOR_MAX_MS, Floor, FloorFile};
use super::{Clock, ClockError, ClockTrust, Now};
use crate::files::Root;

/// The floor is kept no more often than this: an SD card is worn out by small writes, and a minute lost is no loss.
const KEEP_INTERVAL_MS: u64 = 60_000;

/// systemd-timesyncd creates this file at the first synchronization since boot (systemd-timesyncd.service(8)).
const SYNCHRONIZED_FILE: &str = "/run/systemd/timesync/synchronized";

/// No Lucid was built before 2026-01-01. Release builds set SOURCE_DATE_EPOCH, in seconds, and so raise this.
const BUILT_MS_MIN: u64 = 1_767_225_600_000;

/// Where raw times come from.
pub(super) trait Source: Send + Sync {
    /// Milliseconds since 1970 by the system's clock.
    fn wall_ms(&self) -> u64;
    /// Milliseconds since some moment; never goes back.
    fn monotonic_ms(&self) -> u64;
}

/// The system's clock, held up by a floor in the state directory.
pub struct SystemClock {
    source: Box<dyn Source>,
    synchronized_file: PathBuf,
    startup_problem: Option<ClockError>,
    held: Mutex<Held>,
    /// Apart from `held`, so that telling the time never waits for a write. Locked before it, never after.
    keeper: Mutex<Keeper>,
}

/// What the clock is held to.
#[derive(Debug, Clone, Copy)]
struct Held {
    floor: Floor,
    /// When, by the monotonic clock, `floor.floor_ms` was so.
    anchored_ms: u64,
}

/// What is needed to write.
#[derive(Debug)]
struct Keeper {
    file: FloorFile,
    /// When the floor was last kept, by the monotonic clock; `None` since the start.
    kept_ms: Option<u64>,
    /// A damaged file is still in the way.
    is_file_damaged: bool,
}

impl SystemClock {
    /// The clock of the running system, with its floor in `state_dir`. It works whatever the floor file holds; what was
    /// wrong with that is [`SystemClock::startup_problem`].
    pub fn new(state_dir: &Path) -> Self {
        Self::below(Path::new("/"), state_dir)
    }

    /// Like [`SystemClock::new`], with systemd's `/run` below another root. `state_dir` is a path of its own.
    pub fn below(root: &Path, state_dir: &Path) -> Self {
        Self::with_source(Box::new(SystemSource { started: Instant::now() }), root, state_dir, built_ms())
    }

    pub(super) fn with_source(source: Box<dyn Source>, root: &Path, state_dir: &Path, built_ms: u64) -> Self {
        let file = FloorFile::new(state_dir);
        let (kept, startup_problem) = match file.load() {
            Ok(kept) => (kept, None),
            Err(error) => (None, Some(error)),
        };
        let held = Held {
            floor: kept.unwrap_or(Floor { floor_ms: built_ms, synchronized_ms: built_ms }).at_least(built_ms),
            anchored_ms: source.monotonic_ms(),
        };
        let is_file_damaged = matches!(startup_problem, Some(ClockError::Damaged { .. }));
        Self {
            source,
            synchronized_file: Root::new(root).at(SYNCHRONIZED_FILE),
            startup_problem,
            held: Mutex::new(held),
            keeper: Mutex::new(Keeper { file, kept_ms: None, is_file_damaged }),
        }
    }

    /// What was wrong with the floor file at the start. The floor is then the time of the build.
    pub fn startup_problem(&self) -> Option<&ClockError> {
        self.startup_problem.as_ref()
    }

    /// The earliest time that it can be, in milliseconds since 1970: the latest one seen while synchronized, or that of
    /// the build. A clock that is synchronized may still step back to it, so nothing that is to be valid then may begin
    /// later.
    pub fn earliest_ms(&self) -> u64 {
        lock(&self.held).floor.synchronized_ms
    }

    /// Raises the floor to the present and keeps it, unless that was done within the last minute. To be called every
    /// so often; blocks for one small synced write.
    ///
    /// # Errors
    /// The floor could not be kept. The next call tries again.
    pub fn advance(&self) -> Result<(), ClockError> {
        let mut keeper = lock(&self.keeper);
        let since_ms = |kept_ms| self.source.monotonic_ms().saturating_sub(kept_ms);
        let is_due = keeper.kept_ms.is_none_or(|kept_ms| since_ms(kept_ms) >= KEEP_INTERVAL_MS);
        if is_due { self.keep_with(&mut keeper) } else { Ok(()) }
    }

    /// Raises the floor to the present and keeps it. To be called at stop; blocks for one small synced write.
    ///
    /// # Errors
    /// The floor could not be kept.
    pub fn keep(&self) -> Result<(), ClockError> {
        self.keep_with(&mut lock(&self.keeper))
    }

    fn keep_with(&self, keeper: &mut Keeper) -> Result<(), ClockError> {
        let floor = self.raise_floor();
        if keeper.is_file_damaged {
            keeper.file.set_aside()?;
            keeper.is_file_damaged = false;
        }
        keeper.file.keep(floor)?;
        keeper.kept_ms = Some(self.source.monotonic_ms());
        Ok(())
    }

    /// Raises the floor to the present, unless that is a time that no floor may have.
    fn raise_floor(&self) -> Floor {
        let mut held = lock(&self.held);
        let (now, monotonic_ms) = self.judge(&held);
        if now.unix_ms <= FLOOR_MAX_MS {
            *held = Held { floor: raised(held.floor, now), anchored_ms: monotonic_ms };
        }
        held.floor
    }

    /// The present, and the monotonic time at which it was so.
    fn judge(&self, held: &Held) -> (Now, u64) {
        let monotonic_ms = self.source.monotonic_ms();
        let held_ms = held.floor.floor_ms.saturating_add(monotonic_ms.saturating_sub(held.anchored_ms));
        let now = judge(self.source.wall_ms(), self.synchronized_file.exists(), held.floor, held_ms);
        (now, monotonic_ms)
    }
}

/// Every change behind these locks is a whole one, so a panic elsewhere left the content sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        self.judge(&lock(&self.held)).0
    }

    fn monotonic_ms(&self) -> u64 {
        self.source.monotonic_ms()
    }
}

impl std::fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemClock").field("held", &self.held).field("keeper", &self.keeper).finish_non_exhaustive()
    }
}

/// The whole rule. A synchronized clock is held to the synchronized floor only; see the module above.
fn judge(wall_ms: u64, is_synchronized: bool, floor: Floor, held_ms: u64) -> Now {
    match is_synchronized {
        true if wall_ms >= floor.synchronized_ms => Now { unix_ms: wall_ms, trust: ClockTrust::Synchronized },
        false if wall_ms >= floor.floor_ms => Now { unix_ms: wall_ms, trust: ClockTrust::Unsynchronized },
        _ => Now { unix_ms: held_ms, trust: ClockTrust::Held },
    }
}

fn raised(floor: Floor, now: Now) -> Floor {
    match now.trust {
        ClockTrust::Synchronized => Floor { floor_ms: now.unix_ms, synchronized_ms: now.unix_ms },
        ClockTrust::Unsynchronized | ClockTrust::Held => Floor { floor_ms: now.unix_ms, ..floor },
    }
}

/// The time of the build. A SOURCE_DATE_EPOCH that is no number is the build's fault and counts as none.
fn built_ms() -> u64 {
    let seconds: Option<u64> = option_env!("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok());
    seconds.map_or(BUILT_MS_MIN, |seconds| seconds.saturating_mul(1000).max(BUILT_MS_MIN))
}

struct SystemSource {
    started: Instant,
}

impl Source for SystemSource {
    fn wall_ms(&self) -> u64 {
        // A clock before 1970 is as wrong as one at 1970: the floor takes over.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
