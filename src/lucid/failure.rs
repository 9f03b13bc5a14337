//! What `main` reports: every way in which a command can end badly.

use std::{error::Error, io};

use lucid_client::{ClientError, update::UpdateError};

use crate::config::ConfigErrors;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The other machine, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A bundle, or what became of sending it.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The operating system refused.
    #[error("could not {attempted}")]
    Io {
        /// What was attempted.
        attempted: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Anything else, with what was attempted.
    #[error("could not {attempted}")]
    Other {
        /// What was attempted.
        attempted: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Failure {
    pub(crate) fn other(attempted: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other { attempted: attempted.into(), source: source.into() }
    }

    /// The error and its causes, one per line.
    pub(crate) fn render(&self) -> String {
        lucid_error::causes(self).fold(format!("error: {self}"), |text, cause| format!("{text}\n  because: {cause}"))
    }
}

impl From<io::Error> for Failure {
    /// Only standard output is written without naming it.
    fn from(source: io::Error) -> Self {
        Self::Io { attempted: "write to standard output".to_owned(), source }
    }
}
