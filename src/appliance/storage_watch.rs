//! storage-watch: tells every other service whether the data disk may be used.
//!
//! Owns the one published [`Storage`] value. Looks at the data root every two seconds: is it there, a directory,
//! writable, the same one as before, and how much room is left. Promises that a disk which vanished and came back, or
//! was replaced, is published as waiting for several ticks, so that every service that had it open has let go.
//!
//! Must never mount, format or repair anything, and never write more than its own small test file.
//! Degraded while room is short; waiting while the disk can't be used.

mod judge;
mod probe;

use std::{path::PathBuf, time::Duration};

use lucid_kit::{Ctx, Event, Health, Service};
use lucid_ports::Storage;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::look::{LookError, Looks};
use judge::Memory;
use probe::Seen;

/// A disk that needs longer for a few file operations is not fit to record on.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Writing is tried this often: each try costs a flush of the disk, and the other looks notice most faults sooner.
const WRITE_TEST_PERIOD: Duration = Duration::from_secs(30);

/// What to do where the data root is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentRoot {
    /// Wait: it comes with the disk. What an appliance does.
    Wait,
    /// Make it, once, at the start. What a developer's machine does.
    Create,
}

/// Settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data root: the directory that holds `data/`, `logs/` and `backup/`.
    pub root: PathBuf,
    /// Below this many free bytes nothing new is recorded.
    pub reserve_bytes: u64,
    /// What to do where the root is not there.
    pub absent: AbsentRoot,
    /// A file that must lie in the root: the sign that this disk was adopted.
    pub marker: Option<String>,
}

/// What it may use.
pub struct Deps {
    /// Where it publishes.
    pub storage: watch::Sender<Storage>,
}

/// What it says about itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// What was published last; nothing before the first look.
    #[serde(flatten)]
    pub storage: Option<Storage>,
    /// Size of the filesystem in bytes, while it is usable.
    pub size_bytes: Option<u64>,
}

/// Nothing can be asked of it: what it knows, it publishes.
#[derive(Debug)]
pub enum Request {}

/// The service.
pub struct StorageWatch {
    config: Config,
    storage: watch::Sender<Storage>,
    looks: Looks<Seen>,
    memory: Memory,
    write_tested: Option<Instant>,
}

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data root could not be made.
    #[error("can't make the data directory `{}`", path.display())]
    Create {
        /// The data root.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Service for StorageWatch {
    const NAME: &'static str = "storage-watch";
    const PERIOD: Duration = Duration::from_secs(2);

    type Config = Config;
    type Deps = Deps;
    type Request = Request;
    type Status = Status;
    type Error = Error;

    async fn start(config: &Config, deps: &Deps) -> Result<Self, Error> {
        if config.absent == AbsentRoot::Create {
            let made = tokio::fs::create_dir_all(&config.root).await;
            made.map_err(|source| Error::Create { path: config.root.clone(), source })?;
        }
        Ok(Self {
            config: config.clone(),
            storage: deps.storage.clone(),
            looks: Looks::new(LOOK_MAX),
            memory: Memory::default(),
            write_tested: None,
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Error> {
        loop {
            match ctx.next().await {
                Event::Tick => ctx.publish(self.reconcile().await),
                Event::Request(request) => match request {},
                Event::Stop => return Ok(()),
            }
        }
    }

    fn health(status: &Status) -> Health {
        match &status.storage {
            None => Health::Starting,
            Some(Storage::Waiting { reason }) => Health::Waiting { reason: reason.clone() },
            Some(Storage::Ready { low: true, free_bytes, .. }) => Health::Degraded {
                reason: format!(
                    "the data disk is nearly full ({} MiB free): nothing new is recorded; delete recordings",
                    free_bytes >> 20
                ),
            },
            Some(Storage::Ready { .. }) => Health::Healthy,
        }
    }
}

impl StorageWatch {
    /// Looks, judges, publishes.
    async fn reconcile(&mut self) -> Status {
        let (storage, size_bytes) = match self.look().await {
            Ok(seen) => (self.memory.judge(&seen, &self.config), seen.size_bytes()),
            Err(error) => (self.memory.unanswered(&error), None),
        };
        self.publish(&storage);
        let size_bytes = size_bytes.filter(|_| storage.waiting().is_none());
        Status { storage: Some(storage), size_bytes }
    }

    async fn look(&mut self) -> Result<Seen, LookError> {
        let due = self.write_tested.is_none_or(|at| at.elapsed() >= WRITE_TEST_PERIOD);
        let (root, marker) = (self.config.root.clone(), self.config.marker.clone());
        // A fault found by writing must not be forgotten by the looks between two tries.
        let test_writing = due || self.memory.last_was_waiting();
        let seen = self.looks.take(move || probe::look(&root, marker.as_deref(), test_writing)).await?;
        if test_writing {
            self.write_tested = Some(Instant::now());
        }
        Ok(seen)
    }

    /// Publishes a change, and logs it where it is one of kind.
    fn publish(&self, storage: &Storage) {
        let before = self.storage.send_replace(storage.clone());
        match (before.waiting(), storage.waiting()) {
            (was, Some(reason)) if was != Some(reason) => tracing::warn!(reason, "the data disk can't be used"),
            (Some(_), None) => tracing::info!(root = %self.config.root.display(), "the data disk is ready"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
