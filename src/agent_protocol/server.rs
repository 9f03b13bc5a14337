//! The side that answers: connections, each on a thread of its own.
//!
//! Promises: no more connections than was said; whoever may not ask is turned away before a byte of theirs is read; a
//! panic while one is answered ends that connection and nothing else. Must never know what is asked.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::FrameError;

/// How long [`Server::turn`] waits for a connection. systemd's watchdog of the units is several times this.
const TURN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Pause after a connection could not be accepted, as when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is listened to.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    connections_max: usize,
    /// Its clones count the connections that are open.
    places: Arc<()>,
}

impl Server {
    /// Answers on `listener`, at most `connections_max` connections at a time.
    ///
    /// # Errors
    /// What the system says of the socket.
    pub fn new(listener: UnixListener, connections_max: usize) -> io::Result<Self> {
        // A client that hangs up between poll and accept must not stop the rest.
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections_max, places: Arc::new(()) })
    }

    /// Takes the next connection, or returns after a second without one. `talk` runs on a thread of its own, if
    /// `is_allowed` lets it.
    ///
    /// # Errors
    /// If waiting fails, which it does not for a socket that listens.
    pub fn turn(
        &self,
        is_allowed: impl FnOnce(&UnixStream) -> io::Result<bool>,
        talk: impl FnOnce(&UnixStream) -> Result<(), FrameError> + Send + 'static,
    ) -> io::Result<()> {
        match poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&TURN)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => self.accept(is_allowed, talk),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn accept(
        &self,
        is_allowed: impl FnOnce(&UnixStream) -> io::Result<bool>,
        talk: impl FnOnce(&UnixStream) -> Result<(), FrameError> + Send + 'static,
    ) {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                return thread::park_timeout(ACCEPT_PAUSE);
            }
        };
        match is_allowed(&stream) {
            Ok(true) if Arc::strong_count(&self.places) <= self.connections_max => {
                begin(stream, self.places.clone(), talk);
            }
            Ok(true) => tracing::warn!("too many connections: one more was ended"),
            Ok(false) => tracing::warn!("a user who may not ask was turned away"),
            Err(error) => tracing::error!(%error, "who asks is not known: turned away"),
        }
    }
}

fn begin(
    stream: UnixStream,
    place: Arc<()>,
    talk: impl FnOnce(&UnixStream) -> Result<(), FrameError> + Send + 'static,
) {
    let begun = thread::Builder::new().name("lucid-asked".to_owned()).spawn(move || {
        // A request must not end the process, whatever is wrong with our own code.
        let talked = catch_unwind(AssertUnwindSafe(|| {
            stream.set_nonblocking(false)?;
            talk(&stream)
        }));
        match talked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "a connection was ended"),
            Err(_) => tracing::error!("answering a request panicked"),
        }
        drop(place);
    });
    if let Err(error) = begun {
        tracing::error!(%error, "no thread for a connection");
    }
}
