//! JSON log files, written by a thread of its own so that a slow or hanging disk never holds a service up.
//!
//! Lines wait in a bounded queue; what does not fit is dropped and counted. The thread also does the metrics' upkeep.

mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::line::Line;
use writer::Writer;

/// Lines waiting to be written. At a usual 300 bytes this is under 1 MiB, and covers a disk that stalls for a second.
const QUEUE_MAX: usize = 2048;
/// Interval of the metrics' upkeep: histograms collect samples until then.
const UPKEEP: Duration = Duration::from_secs(5);

/// The queue and the thread behind it. Dropping it writes what is queued and closes the files.
#[derive(Debug)]
pub(crate) struct Files {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// Something for the thread to do.
    work: Condvar,
    /// The thread has done something.
    progress: Condvar,
}

#[derive(Debug)]
struct State {
    /// Lines, and changes of the folder between them, in their order.
    jobs: VecDeque<Job>,
    /// Whether the newest folder in the queue is one.
    has_dir: bool,
    closing: bool,
    /// Jobs handed in and jobs finished: a flush waits until the second reaches the first.
    submitted: u64,
    finished: u64,
}

/// What is queued.
#[derive(Debug)]
enum Job {
    Dir(Option<PathBuf>),
    Line(Arc<Line>),
}

/// What the thread does next.
enum Next {
    Job(Job),
    Upkeep,
    End,
}

impl Files {
    /// Starts the thread. `upkeep` is called every few seconds.
    pub(crate) fn start(dir: Option<PathBuf>, upkeep: impl Fn() + Send + 'static) -> io::Result<Self> {
        let state =
            State { has_dir: dir.is_some(), jobs: [Job::Dir(dir)].into(), closing: false, submitted: 1, finished: 0 };
        let queue = Arc::new(Queue { state: Mutex::new(state), work: Condvar::new(), progress: Condvar::new() });
        let jobs = Arc::clone(&queue);
        let thread = Builder::new().name("lucid-log".to_owned()).spawn(move || work(&jobs, upkeep))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues a line; drops and counts it where the queue is full.
    pub(crate) fn push(&self, line: Arc<Line>) {
        let mut state = self.queue.lock();
        // Without a folder the line is not lost: ring, journal and terminal have it.
        if !state.has_dir {
            return;
        }
        if state.jobs.len() >= QUEUE_MAX {
            drop(state);
            count_dropped(1);
            return;
        }
        state.submit(Job::Line(line));
        self.queue.work.notify_one();
    }

    /// The folder from now on. Lines queued before still go to the old one.
    pub(crate) fn set_dir(&self, dir: Option<PathBuf>) {
        let mut state = self.queue.lock();
        state.has_dir = dir.is_some();
        // Two changes in a row are one: so changes take no more room than lines, however often they come.
        if let Some(Job::Dir(last)) = state.jobs.back_mut() {
            *last = dir;
        } else {
            state.submit(Job::Dir(dir));
        }
        self.queue.work.notify_one();
    }

    /// Waits at most `limit` until all that was handed in before is done. Whether it is.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.queue.lock();
        let target = state.submitted;
        while state.finished < target {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.queue.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.queue.lock().closing = true;
        self.queue.work.notify_one();
        // The thread itself may hold the last reference while it logs: it can't wait for itself.
        let own = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id());
        if let Some(thread) = own
            && thread.join().is_err()
        {
            count_dropped(1);
        }
    }
}

impl State {
    fn submit(&mut self, job: Job) {
        self.jobs.push_back(job);
        self.submitted += 1;
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what is to be done next.
    fn next(&self, upkeep_at: Instant) -> Next {
        let mut state = self.lock();
        loop {
            let left = upkeep_at.saturating_duration_since(Instant::now());
            // First, so that a flood of lines does not put it off.
            if left.is_zero() {
                return Next::Upkeep;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Next::Job(job);
            }
            if state.closing {
                return Next::End;
            }
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn finished_one(&self) {
        self.lock().finished += 1;
        self.progress.notify_all();
    }
}

/// The thread.
fn work(queue: &Queue, upkeep: impl Fn()) {
    let mut writer = Writer::new();
    let mut upkeep_at = Instant::now() + UPKEEP;
    loop {
        match queue.next(upkeep_at) {
            Next::Job(Job::Line(line)) => writer.write(&line),
            Next::Job(Job::Dir(dir)) => writer.set_dir(dir),
            Next::Upkeep => {
                upkeep();
                upkeep_at = Instant::now() + UPKEEP;
                continue;
            }
            Next::End => return,
        }
        queue.finished_one();
    }
}

/// Counts lines that reached no file.
fn count_dropped(lines: u64) {
    metrics::counter!("lucid_log_lines_dropped_total", "sink" => "files").increment(lines);
}

#[cfg(test)]
mod tests;
