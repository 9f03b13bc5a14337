//! The only crate that knows redb: typed tables, group commit, schema versions, blobs, snapshots.
//!
//! A [`Store`] is one file of one service. Promises: a write is on disk when it is acknowledged, whole or not at all,
//! also after a power cut; a file that is lost, damaged, foreign or too new is an error that says what to do, and never
//! becomes an empty store. After a failed commit the store takes no more writes until it is opened again, because what
//! the disk holds is known only after a fresh look. Must never show a redb type to a service.
//!
//! ```text
//! const ROWS: Table<(String, u64), Json<Row>> = Table::new("rows");
//!
//! let store = Store::open(path, &SCHEMA, Options::default())?;            // blocking
//! store.write(move |tx| tx.put(&ROWS, &(id.clone(), 7), &row)).await?;    // on disk when this returns
//! let rows = store.read(|tx| tx.range(&ROWS, .., 100))?;
//! ```

mod blobs;
mod error;
mod file;
mod key;
mod open;
mod schema;
mod snapshot;
mod table;
mod tx;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase as _};
use tokio::sync::{mpsc, oneshot};

pub use blobs::{BLOB_ID_BYTES_MAX, BlobBuffer, Blobs};
pub use error::{Cause, StoreError};
pub use file::{MODE_SECRET, create_file, overwrite_in_place, sync_dir, write_file};
pub use key::Key;
pub use open::CHECK_BYTES_MAX;
pub use redb::StorageBackend;
pub use schema::{CACHE_BYTES_DEFAULT, Migration, Options, Schema};
pub use snapshot::SnapshotSize;
pub use table::{Codec, Json, TABLE_NAME_BYTES_MAX, Table};
pub use tx::{KEY_BYTES_MAX, ReadTx, Reader, VALUE_BYTES_MAX, WriteTx};
pub use writer::{GROUP_MAX, QUEUE_MAX};

use crate::open::Opened;
use crate::writer::{Job, Write};

/// One open file. Cheap to clone; the last clone closes it, after the writes that wait are committed.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// Locked for reading by transactions, for writing by the integrity check.
    database: Arc<RwLock<Database>>,
    shared: Arc<Shared>,
    version: u32,
    /// `None` once the store is closing.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the handle and the writer thread both know.
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) schema: &'static Schema,
    failure: OnceLock<StoreError>,
}

impl Shared {
    /// The error for writes after a failed commit.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        let source = self.failure.get()?.clone();
        Some(StoreError::Failed { path: self.path.clone(), source: Box::new(source) })
    }

    /// Stops all later writes.
    pub(crate) fn fail(&self, failure: StoreError) {
        self.failure.get_or_init(|| failure);
    }
}

impl Store {
    /// Opens the store at `path`, or makes it if it never was there. Blocking: call from `spawn_blocking`.
    ///
    /// Opening is exclusive. It repairs what a power cut left, checks the whole file if it has at most
    /// [`CHECK_BYTES_MAX`], and migrates it as far as `options` allow.
    ///
    /// # Errors
    /// `Missing`, `Corrupt`, `AlreadyOpen`, `WrongSchema`, `TooNew`, `TooOld`, `NoMigration`, `DiskFull`, `Io`; the
    /// error of the migration. The file is then as it was.
    pub fn open(path: &Path, schema: &'static Schema, options: Options) -> Result<Self, StoreError> {
        let opened = open::open_file(path, schema, options)?;
        Self::start(opened, path, schema)
    }

    /// Opens a store on a storage backend: for tests that cut the power or fill the disk.
    ///
    /// # Errors
    /// As [`Store::open`], but for `Missing`.
    pub fn open_with_backend(
        backend: impl StorageBackend,
        schema: &'static Schema,
        options: Options,
    ) -> Result<Self, StoreError> {
        let path = Path::new("backend");
        let opened = open::open_backend(backend, path, schema, options)?;
        Self::start(opened, path, schema)
    }

    fn start(opened: Opened, path: &Path, schema: &'static Schema) -> Result<Self, StoreError> {
        let database = Arc::new(RwLock::new(opened.database));
        let shared = Arc::new(Shared { path: path.to_path_buf(), schema, failure: OnceLock::new() });
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name(format!("store-{}", schema.name));
        let body = {
            let (database, shared) = (database.clone(), shared.clone());
            move || writer::run(jobs, database, shared)
        };
        let writer = thread.spawn(body).map_err(|error| StoreError::io("start the writer thread of", path, error))?;
        let (queue, writer) = (Some(queue), Mutex::new(Some(writer)));
        Ok(Self { inner: Arc::new(Inner { database, shared, version: opened.version, queue, writer }) })
    }

    /// Runs `closure` in a write transaction, and returns its result once that is on disk.
    ///
    /// The closure may run several times, each time on a fresh transaction: it must have no effect but on `tx`, and
    /// must take its inputs by reference. Its error undoes what it wrote. Once queued it runs even if the returned
    /// future is dropped. It runs on the store's only writer thread: it must not block.
    ///
    /// # Errors
    /// The closure's own; `Panicked`, `DiskFull`, `Failed`, `Closed`, the engine's.
    pub async fn write<T, F>(&self, closure: F) -> Result<T, StoreError>
    where
        F: Fn(&mut WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.try_write(closure).await
    }

    /// As [`Store::write`], for closures with an error type of their own.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn try_write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        // A waiter that has gone away wants no answer.
        let reply = move |result| drop(reply.send(result));
        let job = Box::new(Write { closure, result: None, reply });
        let sent = match &self.inner.queue {
            Some(queue) => queue.send(job).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.closed().into());
        }
        answer.await.unwrap_or_else(|_| Err(self.closed().into()))
    }

    /// As [`Store::try_write`], for threads: panics if called from an async task, where it would block the runtime.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: Fn(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let reply = move |result| drop(reply.send(result));
        let job = Box::new(Write { closure, result: None, reply });
        let sent = self.inner.queue.as_ref().is_some_and(|queue| queue.blocking_send(job).is_ok());
        if !sent {
            return Err(self.closed().into());
        }
        answer.blocking_recv().unwrap_or_else(|_| Err(self.closed().into()))
    }

    /// Runs `closure` on one consistent state of the store. Cheap; blocks for the disk only where the cache misses.
    ///
    /// Must not be called within itself: an integrity check that waits between the two would never end.
    ///
    /// # Errors
    /// The closure's own, and the engine's.
    pub fn read<T, E: From<StoreError>>(&self, closure: impl FnOnce(&ReadTx<'_>) -> Result<T, E>) -> Result<T, E> {
        let path = &self.inner.shared.path;
        let database = self.inner.database.read().unwrap_or_else(PoisonError::into_inner);
        let tx = database.begin_read().map_err(|error| StoreError::engine("read", path, error))?;
        closure(&ReadTx { tx, path })
    }

    /// Checks the whole file; waits for transactions to end, and holds new ones up. Blocking, reads everything.
    ///
    /// # Errors
    /// `Corrupt`, `Io`. What redb could repair is repaired, and logged.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut database = self.inner.database.write().unwrap_or_else(PoisonError::into_inner);
        open::check(&mut database, &self.inner.shared.path)
    }

    /// The version of the rows: the schema's; one less while a migration waits for permission; more if a later release
    /// left a version that this one can read.
    #[must_use]
    pub fn schema_version(&self) -> u32 {
        self.inner.version
    }

    /// The failure that stopped writes, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<StoreError> {
        self.inner.shared.failure()
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.shared.path
    }

    /// Why a write was not taken, or its answer got lost.
    fn closed(&self) -> StoreError {
        self.failure().unwrap_or_else(|| StoreError::Closed { path: self.inner.shared.path.clone() })
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("path", &self.inner.shared.path).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    /// Closes the queue and waits for the writer, so that the file is free when the last handle is gone.
    fn drop(&mut self) {
        self.queue = None;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        // A closure that owned the last handle is dropped on the writer thread, which can't wait for itself.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!(store = self.shared.schema.name, "the store's writer thread panicked");
        }
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
