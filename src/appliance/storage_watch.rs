//! storage-watch: tells every other service whether the data disk may be used.
//!
//! Owns the one published [`Storage`] value. Looks at the data root every two seconds: is it there, a directory,
//! writable, the same one as before, and how much room is left. Promises that a disk which vanished and came back, or
//! was replaced, is published as waiting for several ticks, so that every service that had it open has let go.
//!
//! Asks the agent, where there is one, why a disk is not there, and publishes what it says for the pages.
//!
//! Must never mount, format or repair anything, and never write more than its own small test file.
//! Degraded while room is short: recording stops then, reading and deleting go on, however full the disk is. Waiting
//! while the disk can't be used.

mod judge;
mod probe;

use std::{convert::Infallible, path::PathBuf, time::Duration};

use lucid_kit::{Ctx, Health, Service};
use lucid_ports::Storage;
use serde::Serialize;
use tokio::{sync::watch, time::Instant};

use crate::{
    AgentLink, AgentView, Release,
    look::{LookError, Looks},
};
use judge::Memory;
use probe::Seen;

/// A disk that needs longer for a few file operations is not fit to record on.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// The agent answers from memory.
const AGENT_MAX: Duration = Duration::from_secs(2);
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
    /// The way to the agent, which knows why a disk is not there.
    pub agent: AgentLink,
    /// By which services are made to let go of the disk.
    pub release: Release,
    /// Where it publishes what the agent said.
    pub agent_view: watch::Sender<AgentView>,
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

/// The service.
pub struct StorageWatch {
    config: Config,
    storage: watch::Sender<Storage>,
    agent: AgentLink,
    release: Release,
    agent_view: watch::Sender<AgentView>,
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
    type Request = Infallible;
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
            agent: deps.agent.clone(),
            release: deps.release.clone(),
            agent_view: deps.agent_view.clone(),
            looks: Looks::new(LOOK_MAX),
            memory: Memory::default(),
            write_tested: None,
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Error> {
        while ctx.ticked().await {
            ctx.publish(self.reconcile().await);
        }
        Ok(())
    }

    fn health(status: &Status) -> Health {
        match &status.storage {
            None => Health::Starting,
            Some(Storage::Waiting { reason }) => Health::Waiting { reason: reason.clone() },
            Some(Storage::Ready { low: true, free_bytes, .. }) => {
                Health::Degraded { reason: short_of_room(*free_bytes) }
            }
            Some(Storage::Ready { .. }) => Health::Healthy,
        }
    }
}

/// What little room means, and what to do.
fn short_of_room(free_bytes: u64) -> String {
    let how = if free_bytes < judge::FULL_BYTES { "full" } else { "nearly full" };
    format!(
        "the data disk is {how} ({} MiB free): nothing new is recorded; what is there can be read and exported; delete \
         recordings, or have a larger disk",
        free_bytes >> 20
    )
}

impl StorageWatch {
    /// Looks, judges, publishes.
    async fn reconcile(&mut self) -> Status {
        let agent = self.agent.clone();
        // Side by side: neither a disk nor an agent that hangs holds up the other.
        let ((storage, size_bytes), asked) = tokio::join!(self.seen(), agent.status(AGENT_MAX));
        let view = AgentView::of(asked);
        let storage = match storage {
            Storage::Waiting { reason } if !self.release.is_asked_for() => {
                Storage::Waiting { reason: view.explain(reason) }
            }
            storage => storage,
        };
        self.agent_view.send_if_modified(|known| std::mem::replace(known, view.clone()) != view);
        self.publish(&storage);
        let size_bytes = size_bytes.filter(|_| storage.waiting().is_none());
        Status { storage: Some(storage), size_bytes }
    }

    /// What the disk is good for by its looks, and its size. One that is to be let go of is not even looked at.
    async fn seen(&mut self) -> (Storage, Option<u64>) {
        if self.release.is_asked_for() {
            let reason = "the data disk is being let go of, to be detached".to_owned();
            return (Storage::Waiting { reason }, None);
        }
        match self.look().await {
            Ok(seen) => (self.memory.judge(&seen, &self.config), seen.size_bytes()),
            Err(error) => (self.memory.unanswered(&error), None),
        }
    }

    async fn look(&mut self) -> Result<Seen, LookError> {
        let due = self.write_tested.is_none_or(|at| at.elapsed() >= WRITE_TEST_PERIOD);
        let (root, marker) = (self.config.root.clone(), self.config.marker.clone());
        // A fault found by writing must not be forgotten by the looks between two tries.
        let test_writing = due || self.memory.must_test_writing();
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
