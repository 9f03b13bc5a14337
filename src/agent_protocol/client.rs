//! The supervisor's side.
//!
//! One connection for each question: questions are rare, and a connection that lies idle is ended by the agent. Blocks
//! for [`REPLY_MAX`] at most, so callers on an async runtime go through its blocking pool.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lucid_layout::Digest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::data::send_frame;
use crate::update::DATA_BYTES_MAX;
use crate::{FrameError, MESSAGE_MAX, Refusal, Reply, Request, Timed, receive, send};

/// In this time an answer is there: a dying disk may keep the agent for 20 s before it gives up looking at it, and
/// unmounting writes what is still in memory.
pub const REPLY_MAX: Duration = Duration::from_secs(60);

/// In this time after a bundle's last byte the agent has read a slot back: a gigabyte from a slow card takes two
/// minutes.
pub const VERDICT_MAX: Duration = Duration::from_secs(600);

/// Asks the agent.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the agent can't be reached at `{}`; see the journal of lucid-agent.service", socket.display())]
    Connect {
        /// Where it should listen.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The question or the answer got lost.
    #[error("asking the agent failed; ask for the status to see what became of it")]
    Exchange(#[from] FrameError),
    /// The agent hung up without an answer: too many ask at once, or it does not know who asks.
    #[error("the agent hung up without an answer; ask again, as the user that the appliance runs as")]
    HungUp,
    /// The agent answered another question.
    #[error("the agent gave an answer that does not belong to the question; both sides must be of the same release")]
    Unexpected,
    /// The agent refused.
    #[error(transparent)]
    Refused(Refusal),
}

impl Client {
    /// One that asks the agent listening at `socket`.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Begins to send a bundle whose bytes from `offset` on are at hand; see [`Request::Bundle`]. Send from
    /// [`Upload::offset`] on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn send_bundle(&self, offset: u64, bundle: Option<Digest>, automatic: bool) -> Result<Upload, ClientError> {
        let stream = self.connect()?;
        send(&mut Timed::new(&stream, MESSAGE_MAX), &Request::Bundle { offset, bundle, automatic })?;
        match answer(&stream, REPLY_MAX)? {
            Reply::Send { offset } => Ok(Upload { stream, offset }),
            _ => Err(ClientError::Unexpected),
        }
    }

    fn connect(&self) -> Result<UnixStream, ClientError> {
        let failed = |source| ClientError::Connect { socket: self.socket.clone(), source };
        UnixStream::connect(&self.socket).map_err(failed)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`ClientError`]. A refusal is one of them: an answer that is returned was given.
    pub fn ask(&self, request: &Request) -> Result<Reply, ClientError> {
        let stream = self.connect()?;
        send(&mut Timed::new(&stream, MESSAGE_MAX), request)?;
        answer(&stream, REPLY_MAX)
    }
}

/// A bundle on its way to the agent. Dropped before its end, it is interrupted, and can be resumed.
#[derive(Debug)]
pub struct Upload {
    stream: UnixStream,
    offset: u64,
}

impl Upload {
    /// The first byte of the bundle that the agent wants.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Sends the next bytes, as many as there are. Blocks while the agent writes.
    ///
    /// # Errors
    /// See [`ClientError`]. The agent may refuse before the end; no more can be sent then.
    pub fn send(&self, bytes: &[u8]) -> Result<(), ClientError> {
        for frame in bytes.chunks(DATA_BYTES_MAX) {
            if self.has_answer()? {
                return Err(self.early());
            }
            if let Err(error) = send_frame(&self.stream, frame) {
                // What the agent said before it hung up says more.
                return Err(if self.has_answer()? { self.early() } else { error.into() });
            }
        }
        Ok(())
    }

    /// There is no more; waits until the agent has written everything and read it back, [`VERDICT_MAX`] at most.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn finish(self) -> Result<(), ClientError> {
        let ended = send_frame(&self.stream, &[]);
        match answer(&self.stream, VERDICT_MAX) {
            Ok(Reply::Done) => ended.map_err(ClientError::from),
            Ok(_) => Err(ClientError::Unexpected),
            Err(error) => Err(error),
        }
    }

    fn has_answer(&self) -> Result<bool, ClientError> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&at_once));
        Ok(ready.map_err(|error| FrameError::Connection(error.into()))? > 0)
    }

    /// What the agent said before it had everything.
    fn early(&self) -> ClientError {
        match answer(&self.stream, MESSAGE_MAX) {
            Ok(_) => ClientError::Unexpected,
            Err(error) => error,
        }
    }
}

fn answer(stream: &UnixStream, limit: Duration) -> Result<Reply, ClientError> {
    match receive(&mut Timed::new(stream, limit))? {
        Some(Reply::Refused(refusal)) => Err(ClientError::Refused(refusal)),
        Some(reply) => Ok(reply),
        None => Err(ClientError::HungUp),
    }
}

#[cfg(test)]
mod tests;
