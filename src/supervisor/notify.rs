//! What the service manager is told: ready, alive, stopping, and one line of status.
//!
//! The crate `sd-notify` speaks the protocol and reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` itself: the
//! one place besides the configuration that looks at the environment. Without `NOTIFY_SOCKET`, as on a developer's
//! machine, it says nothing and nothing fails. It knows sockets with a path, as systemd's is, and no abstract ones.
//!
//! Must never block: its socket waits for a service manager that does not read, so a thread of its own sends. That
//! thread only passes on what the runtime says; a runtime that is dead says nothing.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use sd_notify::NotifyState;

/// One line of status; the service manager shows it on one line of a terminal.
const STATUS_BYTES_MAX: usize = 512;
/// Messages that wait for a service manager that does not read. It reads at once while it lives; further ones are
/// dropped.
const QUEUE_MAX: usize = 16;

/// The link to the service manager.
pub struct Notifier {
    tell: Box<dyn Fn(Message) + Send + Sync>,
    watchdog: Option<Duration>,
}

/// One datagram.
pub(crate) enum Message {
    Ready,
    Alive,
    Stopping,
    /// On one line, bounded: made by [`one_line`].
    Status(String),
}

impl Notifier {
    /// Tells systemd, if it started this process; nobody otherwise. A watchdog period that is not a positive number of
    /// microseconds, or that `WATCHDOG_PID` addresses to another process, counts as none.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn systemd() -> io::Result<Self> {
        let queue = Queue::start(sd_notify::notify)?;
        Ok(Self::new(sd_notify::watchdog_enabled(), move |message| queue.put(message)))
    }

    /// One that hands every message to `tell` under a watchdog of `watchdog`.
    pub(crate) fn new(watchdog: Option<Duration>, tell: impl Fn(Message) + Send + Sync + 'static) -> Self {
        // A period of zero would be fed without end.
        Self { tell: Box::new(tell), watchdog: watchdog.filter(|period| !period.is_zero()) }
    }

    /// The period within which the service manager wants to hear from us.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The box is ready.
    pub(crate) fn ready(&self) {
        (self.tell)(Message::Ready);
    }

    /// The box is alive.
    pub(crate) fn alive(&self) {
        (self.tell)(Message::Alive);
    }

    /// The box begins to stop.
    pub(crate) fn stopping(&self) {
        (self.tell)(Message::Stopping);
    }

    /// One line for people.
    pub(crate) fn status(&self, status: &str) {
        (self.tell)(Message::Status(one_line(status)));
    }
}

impl Message {
    /// The assignments that it consists of.
    pub(crate) fn states(&self) -> Vec<NotifyState<'_>> {
        match self {
            Self::Ready => vec![NotifyState::Ready],
            Self::Alive => vec![NotifyState::Watchdog],
            Self::Stopping => vec![NotifyState::Stopping, NotifyState::Status("stopping")],
            Self::Status(line) => vec![NotifyState::Status(line)],
        }
    }
}

/// Messages on their way to the thread that sends them, in their order.
struct Queue {
    waiting: SyncSender<Message>,
    /// A message was dropped and that was logged; the next one is not.
    full: AtomicBool,
}

impl Queue {
    /// Starts the thread; it ends once this is dropped and everything is sent.
    fn start(send: impl FnMut(&[NotifyState<'_>]) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (waiting, messages) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new().name("lucid-notify".to_owned()).spawn(move || send_all(&messages, send))?;
        Ok(Self { waiting, full: AtomicBool::new(false) })
    }

    fn put(&self, message: Message) {
        let dropped = self.waiting.try_send(message).is_err();
        if dropped && !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!("the service manager does not read what it is told; will go on trying");
        } else if !dropped {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// Sends until no more messages can come. Of failures in a row the first is logged.
fn send_all(messages: &Receiver<Message>, mut send: impl FnMut(&[NotifyState<'_>]) -> io::Result<()>) {
    let mut failing = false;
    for message in messages {
        let sent = send(&message.states());
        if let (Err(error), false) = (&sent, failing) {
            tracing::warn!(%error, "the service manager can't be told how the box is doing; will go on trying");
        }
        failing = sent.is_err();
    }
}

/// `text` on one line of bounded length. Reasons come from anywhere, and a line break would begin a new message.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if line.len() + letter.len_utf8() > STATUS_BYTES_MAX {
            break;
        }
        line.push(letter);
    }
    line
}

#[cfg(test)]
pub(crate) mod tests;
