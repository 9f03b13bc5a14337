//! What can go wrong with an update, before it is known what became of it.

use std::io;
use std::path::PathBuf;

use crate::error::ClientError;

/// Why an update was not sent or not taken. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The server, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file can't be read.
    #[error("can't read `{}`: give a bundle's file, which must not be a pipe", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("`{}` is no update bundle: give the file that `lucid-image bundle` wrote, whole", path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: lucid_bundle::ReadError,
    },
    /// The appliance's agent can't be asked.
    #[error("the appliance can't update itself now: {problem}")]
    NoAgent {
        /// Why, and what to do.
        problem: String,
    },
    /// Another update is under way.
    #[error("{what}: wait for its end (`lucid update status`), or give it up with `lucid update discard`")]
    Busy {
        /// What is being done.
        what: String,
    },
    /// It was sent, and is not there.
    #[error("the appliance did not take the bundle: {why}")]
    NotTaken {
        /// Its words.
        why: String,
    },
    /// No progress for too long.
    #[error("no progress for {after_s} s, giving up; {durable_bytes} bytes are safe: the same command goes on there")]
    GaveUp {
        /// The limit that was reached.
        after_s: u64,
        /// What need not be sent again.
        durable_bytes: u64,
        /// The last failure.
        source: Box<ClientError>,
    },
}

impl UpdateError {
    /// Whether a fresh log-in lifts it.
    pub fn needs_sign_in(&self) -> bool {
        matches!(self, Self::Client(error) if super::needs_sign_in(error))
    }
}
