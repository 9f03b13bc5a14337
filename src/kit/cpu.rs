//! Threads for work that burns CPU, so that it never delays the dashboard.
//!
//! Argon2, compression, hashing of large data: none of it may run on the runtime's workers. Here it runs on as many
//! threads as there are cores, at a lower scheduling priority, and in classes, so that a flood of log-ins or a
//! validation of the whole chain can't take the recording's threads.

use std::{num::NonZeroUsize, sync::Arc};

use tokio::{
    runtime::{Handle, Runtime},
    sync::{Semaphore, watch},
};

/// Nice value of the pool's threads. The runtime's workers stay at 0, so the kernel prefers them.
const NICE: i32 = 10;
/// Argon2 takes 19 MiB and a core for a tenth of a second: one at a time bounds what a flood of log-ins costs.
const INTERACTIVE_MAX: usize = 1;
/// Opening chunks for readers: two at a time keep a disk busy, and leave the other cores to recordings.
const READING_MAX: usize = 2;
/// Background work gets one thread and waits while load is shed.
const BACKGROUND_MAX: usize = 1;

/// Who is waiting for the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A recording: never shed.
    Recording,
    /// A person, for example at the log-in form.
    Interactive,
    /// Somebody who reads a recording.
    Reading,
    /// Nobody: validation, re-reading. Waits while the box sheds load.
    Background,
}

/// The work did not complete.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// It panicked; the panic is contained.
    #[error("a computation panicked: {0}")]
    Panicked(String),
    /// The pool is shutting down.
    #[error("the appliance is stopping")]
    Stopped,
}

/// The pool. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    threads: Arc<Threads>,
    interactive: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    background: Arc<Semaphore>,
    recording: Arc<Semaphore>,
    background_allowed: watch::Receiver<bool>,
}

/// A runtime used for its blocking threads alone; shut down without waiting when the last pool is dropped.
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Pool {
    /// A pool with one thread a core. `background_allowed` is what thermal-watch says about background work.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(background_allowed: watch::Receiver<bool>) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(cores + INTERACTIVE_MAX + READING_MAX + BACKGROUND_MAX)
            .thread_name("lucid-cpu")
            .on_thread_start(lower_priority)
            .build()?;
        Ok(Self {
            threads: Arc::new(Threads { handle: runtime.handle().clone(), runtime: Some(runtime) }),
            interactive: Arc::new(Semaphore::new(INTERACTIVE_MAX)),
            reading: Arc::new(Semaphore::new(READING_MAX)),
            background: Arc::new(Semaphore::new(BACKGROUND_MAX)),
            recording: Arc::new(Semaphore::new(cores)),
            background_allowed,
        })
    }

    /// Runs `work` on a thread of the pool when its class has room.
    ///
    /// Dropping the future before the work began drops the work; begun work runs to its end.
    pub async fn run<T: Send + 'static>(
        &self,
        class: Class,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let room = match class {
            Class::Recording => &self.recording,
            Class::Interactive => &self.interactive,
            Class::Reading => &self.reading,
            Class::Background => {
                self.background_allowed.clone().wait_for(|allowed| *allowed).await.map_err(|_| PoolError::Stopped)?;
                &self.background
            }
        };
        let permit = room.clone().acquire_owned().await.map_err(|_| PoolError::Stopped)?;
        let span = tracing::Span::current();
        let task = self.threads.handle.spawn_blocking(move || {
            let _permit = permit;
            span.in_scope(work)
        });
        task.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => PoolError::Panicked(crate::supervise::panic_text(&*panic)),
            Err(_) => PoolError::Stopped,
        })
    }

    /// How many recordings' computations run at once: one a core.
    pub fn width(&self) -> usize {
        std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }
}

/// On Linux the nice value belongs to the thread. Refusal is harmless: the work then competes as an equal.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a computing thread keeps the normal priority");
    }
}
