//! Keeps the runtime turning while a service blocks one of its threads.
//!
//! Timers and sockets of a runtime are polled by the worker that went idle last. When that worker wakes up for a task
//! that blocks, no other takes over the polling: every service stands still, though only one thread is lost. Any task
//! from outside wakes an idle worker, which polls again. This thread sends such a task from time to time.
//!
//! Must never: feed the watchdog. A thread of its own would go on feeding it for a runtime that is dead.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use tokio::runtime::Handle;

/// Longest time for which one blocked thread can hold up the others. Four wake-ups a second cost nothing that shows.
const PULSE_INTERVAL: Duration = Duration::from_millis(250);

/// The thread; it ends when this is dropped.
pub(crate) struct Pulse(#[expect(dead_code, reason = "dropping it ends the thread")] mpsc::Sender<()>);

impl Pulse {
    /// Starts it for `runtime`.
    pub(crate) fn start(runtime: Handle) -> io::Result<Self> {
        let (alive, gone) = mpsc::channel::<()>();
        let beat = move || {
            while gone.recv_timeout(PULSE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                drop(runtime.spawn(async {}));
            }
        };
        std::thread::Builder::new().name("lucid-pulse".to_owned()).spawn(beat)?;
        Ok(Self(alive))
    }
}
