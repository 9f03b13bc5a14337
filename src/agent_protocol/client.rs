//! The supervisor's side.
//!
//! One connection for each question: questions are rare, and a connection that lies idle is ended by the agent. Blocks
//! for [`REPLY_MAX`] at most, so callers on an async runtime go through its blocking pool.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{FrameError, MESSAGE_MAX, Refusal, Reply, Request, Timed, receive, send};

/// In this time an answer is there: a dying disk may keep the agent for 20 s before it gives up looking at it, and
/// unmounting writes what is still in memory.
pub const REPLY_MAX: Duration = Duration::from_secs(60);

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

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`ClientError`]. A refusal is one of them: an answer that is returned was given.
    pub fn ask(&self, request: &Request) -> Result<Reply, ClientError> {
        let connect = |source| ClientError::Connect { socket: self.socket.clone(), source };
        let stream = UnixStream::connect(&self.socket).map_err(connect)?;
        send(&mut Timed::new(&stream, MESSAGE_MAX), request)?;
        match receive(&mut Timed::new(&stream, REPLY_MAX))? {
            Some(Reply::Refused(refusal)) => Err(ClientError::Refused(refusal)),
            Some(reply) => Ok(reply),
            None => Err(ClientError::HungUp),
        }
    }
}

#[cfg(test)]
mod tests;
