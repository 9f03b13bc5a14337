//! The connections of one listener: how many there are, and which one to cut when there is no room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant};

use super::Limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte yet, or in the TLS handshake.
    Opening,
    /// Between requests.
    Idle,
    /// Some bytes of a request's headers are there.
    Headers,
    /// A request is being answered.
    Busy,
}

/// What a connection is doing and since when. Written by the connection's own task, read by the accept loop.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// Start of the phase. Not moved by single bytes: a slow-loris client ages like an idle one.
    since: Instant,
    /// Last byte in either direction.
    moved: Instant,
    /// Since when the client has taken nothing of what is ready to be sent.
    write_blocked: Option<Instant>,
}

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(State { phase: Phase::Opening, since: now, moved: now, write_blocked: None }))
    }

    /// Starts `phase`.
    pub(super) fn enter(&self, phase: Phase) {
        let mut state = lock(&self.0);
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        let mut state = lock(&self.0);
        state.moved = Instant::now();
        if state.phase == Phase::Idle {
            state.phase = Phase::Headers;
            state.since = state.moved;
        }
    }

    /// The client took bytes.
    pub(super) fn sent(&self) {
        let mut state = lock(&self.0);
        state.moved = Instant::now();
        state.write_blocked = None;
    }

    /// Everything that was ready has been taken.
    pub(super) fn flushed(&self) {
        lock(&self.0).write_blocked = None;
    }

    /// Bytes are ready and the client takes none.
    pub(super) fn write_blocked(&self) {
        lock(&self.0).write_blocked.get_or_insert_with(Instant::now);
    }

    pub(super) fn phase(&self) -> Phase {
        lock(&self.0).phase
    }

    /// Whether a stop may close the connection at once: no request whose head is complete, and nothing of a reply left
    /// to be sent.
    pub(super) fn has_nothing_under_way(&self) -> bool {
        let state = *lock(&self.0);
        state.phase != Phase::Busy && state.write_blocked.is_none()
    }

    /// When the connection is to be cut if nothing changes. None: the handler has its own time limit.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let state = *lock(&self.0);
        let after = |since: Instant, ms| since + Duration::from_millis(ms);
        let by_phase = match state.phase {
            Phase::Opening => Some(after(state.since, limits.opening_ms)),
            Phase::Headers => Some(after(state.since, limits.header_read_ms)),
            Phase::Idle => Some(after(state.since, limits.idle_ms)),
            Phase::Busy => None,
        };
        let by_write = state.write_blocked.map(|since| after(since, limits.write_stall_ms));
        by_phase.into_iter().chain(by_write).min()
    }

    /// Order in which connections are cut, smallest first: those without a request in progress by the start of their
    /// phase, then the others by their last byte.
    fn rank(&self) -> (bool, Instant) {
        let state = *lock(&self.0);
        match state.phase {
            Phase::Busy => (true, state.moved),
            _ => (false, state.since),
        }
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub(super) struct Registry {
    /// Label of the metrics.
    service: &'static str,
    connections_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    next_id: u64,
    connections: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    activity: Arc<Activity>,
    abort: Option<AbortHandle>,
}

/// One connection's place in the registry; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Entry {
    id: u64,
    activity: Arc<Activity>,
    registry: Arc<Registry>,
}

impl Registry {
    pub(super) fn new(service: &'static str, connections_max: usize) -> Self {
        Self { service, connections_max, inner: Mutex::new(Inner { next_id: 0, connections: HashMap::new() }) }
    }

    /// Cuts connections until there is room for one more. Whether any was cut.
    pub(super) fn make_room(&self) -> bool {
        let mut inner = lock(&self.inner);
        let mut cut_any = false;
        while inner.connections.len() >= self.connections_max.max(1) {
            let oldest = inner.connections.iter().min_by_key(|(id, connection)| (connection.activity.rank(), **id));
            let id = *oldest.expect("the registry holds at least one connection").0;
            if let Some(abort) = inner.connections.remove(&id).and_then(|connection| connection.abort) {
                abort.abort();
            }
            cut_any = true;
        }
        cut_any
    }

    /// A place for a new connection. Call [`Registry::make_room`] before.
    pub(super) fn enter(self: &Arc<Self>) -> Entry {
        let activity = Arc::new(Activity::new());
        let mut inner = lock(&self.inner);
        let id = inner.next_id;
        inner.next_id += 1;
        inner.connections.insert(id, Connection { activity: Arc::clone(&activity), abort: None });
        metrics::gauge!("lucid_http_connections", "service" => self.service).increment(1);
        Entry { id, activity, registry: Arc::clone(self) }
    }

    /// Sets how to cut connection `id`. Does nothing where it has ended already.
    pub(super) fn set_abort(&self, id: u64, abort: AbortHandle) {
        if let Some(connection) = lock(&self.inner).connections.get_mut(&id) {
            connection.abort = Some(abort);
        }
    }
}

impl Entry {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.registry.inner).connections.remove(&self.id);
        metrics::gauge!("lucid_http_connections", "service" => self.registry.service).decrement(1);
    }
}

/// The data of a mutex. A panic while it was held leaves it usable: every section under it is one assignment or map
/// operation.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
