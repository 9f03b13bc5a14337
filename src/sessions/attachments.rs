//! Who is attached to which recording: at most one upload a recording.
//!
//! Lives with the repository and not with the uploads, so that an upload of an earlier incarnation of session-pipeline is
//! known, ended and waited for, too: two uploads that write the same chunk files would take acknowledged bytes with them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lucid_ports::SessionId;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// How long a new upload waits for the one it replaces to make its last bytes durable.
const TAKE_OVER_MAX: Duration = Duration::from_secs(30);

/// The uploads that are attached, by recording.
#[derive(Default)]
pub(crate) struct Attachments(Mutex<HashMap<SessionId, Entry>>);

/// The upload that a recording has now, or had last.
#[derive(Default)]
struct Entry {
    lock: Arc<tokio::sync::Mutex<()>>,
    cancel: CancellationToken,
}

/// While it lives, nobody else writes to the recording.
pub(crate) type Attachment = OwnedMutexGuard<()>;

/// Why an upload is not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAttached {
    /// Its own `cancel` came while it waited: a newer upload was faster.
    Cancelled,
    /// The former upload did not end in time.
    Busy,
}

impl Attachments {
    /// Cancels the recording's present upload, waits until it has ended, and takes its place. `cancel` is what will end
    /// the new one in its turn.
    pub(crate) async fn take_over(&self, id: SessionId, cancel: &CancellationToken) -> Result<Attachment, NotAttached> {
        let lock = self.with(id, |entry| {
            std::mem::replace(&mut entry.cancel, cancel.clone()).cancel();
            entry.lock.clone()
        });
        let guard = tokio::time::timeout(TAKE_OVER_MAX, lock.lock_owned()).await.map_err(|_| NotAttached::Busy)?;
        if cancel.is_cancelled() { Err(NotAttached::Cancelled) } else { Ok(guard) }
    }

    /// Takes the place if nobody is attached or about to be.
    pub(crate) fn claim(&self, id: SessionId) -> Option<Attachment> {
        self.with(id, |entry| (Arc::strong_count(&entry.lock) == 1).then(|| entry.lock.clone().try_lock_owned().ok()))?
    }

    fn with<T>(&self, id: SessionId, act: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Recordings whose lock nobody holds or waits for are over.
        entries.retain(|_, former| Arc::strong_count(&former.lock) > 1);
        act(entries.entry(id).or_default())
    }
}
