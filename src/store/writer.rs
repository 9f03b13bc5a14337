//! Group commit: one thread per store runs write closures and syncs once for all that wait.
//!
//! While one commit is syncing, further closures queue up; the next transaction takes them all, up to [`GROUP_MAX`].
//! Promises: an answer is given only after the commit, so an acknowledged write is on disk; a closure that fails or
//! panics after it wrote has its writes undone without harm to the others, because the transaction is aborted and the
//! others run again; after a failed commit nothing more is written. Must never answer before the sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use redb::{Database, WriteTransaction};
use tokio::sync::mpsc::Receiver;

use crate::Shared;
use crate::error::{StoreError, text_of_panic};
use crate::tx::WriteTx;

/// Most closures in one transaction: bounds what a failing closure makes run again, and the dirty pages in memory.
pub const GROUP_MAX: usize = 256;

/// Most closures that wait: two groups, so that a full queue is worked off within three commits. Further writers wait.
pub const QUEUE_MAX: usize = 2 * GROUP_MAX;

/// A write whose result type is erased.
pub(crate) trait Job: Send {
    /// Runs the closure, and keeps its result.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Verdict;

    /// Gives the kept result to the waiter, or the error that took its place.
    fn finish(self: Box<Self>, failure: Option<StoreError>);
}

/// What a closure did, as far as the group cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Commit it.
    Keep,
    /// Its error or panic is its answer; what it wrote must be undone.
    Undo,
}

/// A closure, its result and its waiter.
pub(crate) struct Write<F, T, E, R> {
    pub(crate) closure: F,
    pub(crate) result: Option<Result<T, E>>,
    pub(crate) reply: R,
}

impl<F, T, E, R> Job for Write<F, T, E, R>
where
    F: Fn(&mut WriteTx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
    R: FnOnce(Result<T, E>) + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> Verdict {
        let path = tx.path;
        let result = catch_unwind(AssertUnwindSafe(|| (self.closure)(tx))).unwrap_or_else(|panic| {
            Err(StoreError::Panicked { path: path.to_path_buf(), message: text_of_panic(&*panic) }.into())
        });
        let verdict = if result.is_ok() { Verdict::Keep } else { Verdict::Undo };
        self.result = Some(result);
        verdict
    }

    fn finish(self: Box<Self>, failure: Option<StoreError>) {
        let answer = match (failure, self.result) {
            (None, Some(result)) => result,
            (Some(failure), _) => Err(failure.into()),
            (None, None) => return,
        };
        (self.reply)(answer);
    }
}

type Jobs = Vec<Box<dyn Job>>;

/// The thread's body: groups until the store is dropped.
pub(crate) fn run(mut queue: Receiver<Box<dyn Job>>, database: Arc<RwLock<Database>>, shared: Arc<Shared>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(job) = queue.try_recv()
        {
            group.push(job);
        }
        if let Some(failure) = shared.failure() {
            answer(group, Some(&failure));
            continue;
        }
        let database = database.read().unwrap_or_else(PoisonError::into_inner);
        let committed = catch_unwind(AssertUnwindSafe(|| commit_group(&database, group, &shared)));
        if let Err(panic) = committed {
            // redb panics on some damaged pages; the waiters were dropped with the group, which tells them.
            let message = text_of_panic(&*panic);
            tracing::error!(store = shared.schema.name, message, "the commit panicked; no more writes");
            shared.fail(StoreError::Panicked { path: shared.path.clone(), message });
        }
    }
}

/// Runs a group until all that is left of it can be kept, commits, and answers all.
fn commit_group(database: &Database, mut group: Jobs, shared: &Shared) {
    let mut undone = Jobs::new();
    let started = Instant::now();
    let size = group.len();
    let outcome = loop {
        let tx = match begin(database, &shared.path) {
            Ok(tx) => tx,
            Err(error) => break Err(error),
        };
        match run_group(&tx, &mut group, &shared.path) {
            Ok(Ran::Wrote) => break commit(tx, &shared.path),
            Ok(Ran::Nothing) => break abort(tx, &shared.path),
            Ok(Ran::Undo(index)) => undone.push(group.remove(index)),
            Err(error) => break Err(error),
        }
        if let Err(error) = abort(tx, &shared.path) {
            break Err(error);
        }
        if group.is_empty() {
            break Ok(());
        }
    };
    measure(shared.schema.name, size, started);
    let failure = outcome.err();
    if let Some(failure) = &failure {
        tracing::error!(store = shared.schema.name, error = %failure, "commit failed; no more writes");
        // Before the answers: who learns of the failure must find the store stopped.
        shared.fail(failure.clone());
    }
    undone.append(&mut group);
    answer(undone, failure.as_ref());
}

/// What a transaction holds after a group ran in it.
enum Ran {
    /// Nothing to commit.
    Nothing,
    /// Something to commit.
    Wrote,
    /// Writes of the closure at this index, which must be undone.
    Undo(usize),
}

/// Runs all closures in order, up to the first one whose writes must be undone.
fn run_group(tx: &WriteTransaction, group: &mut Jobs, path: &Path) -> Result<Ran, StoreError> {
    let mut ran = Ran::Nothing;
    for (index, job) in group.iter_mut().enumerate() {
        let mut tx = WriteTx::new(tx, path);
        let verdict = job.run(&mut tx);
        if let Some(failure) = tx.broken.take() {
            return Err(failure);
        }
        if verdict == Verdict::Undo && tx.writes > 0 {
            return Ok(Ran::Undo(index));
        }
        if tx.writes > 0 {
            ran = Ran::Wrote;
        }
    }
    Ok(ran)
}

fn begin(database: &Database, path: &Path) -> Result<WriteTransaction, StoreError> {
    database.begin_write().map_err(|error| StoreError::engine("begin a write to", path, error))
}

fn commit(tx: WriteTransaction, path: &Path) -> Result<(), StoreError> {
    tx.commit().map_err(|error| StoreError::engine("commit to", path, error))
}

fn abort(tx: WriteTransaction, path: &Path) -> Result<(), StoreError> {
    tx.abort().map_err(|error| StoreError::engine("abort a write to", path, error))
}

fn answer(jobs: Jobs, failure: Option<&StoreError>) {
    for job in jobs {
        job.finish(failure.cloned());
    }
}

fn measure(store: &'static str, size: usize, started: Instant) {
    metrics::counter!("store_commits_total", "store" => store).increment(1);
    metrics::histogram!("store_group_size", "store" => store).record(size as f64);
    metrics::histogram!("store_commit_seconds", "store" => store).record(started.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests;
