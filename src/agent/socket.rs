//! The socket that the agent listens on, and who may speak there.
//!
//! Promises: only the one user and root get an answer, by what the kernel says of them (`SO_PEERCRED`, unix(7)), and
//! not by the rights of a file alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::sockopt;

use crate::Config;

/// Owner only: the user that may ask. Root needs no leave.
const SOCKET_MODE: u32 = 0o600;

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// systemd passed something else.
    #[error("the socket that systemd passed can't be used; it must be one with ListenStream= in lucid-agent.socket")]
    Passed(#[source] io::Error),
    /// Another agent is there.
    #[error("an agent listens at `{}` already; stop it first", .0.display())]
    Taken(PathBuf),
    /// The path can't be used.
    #[error("can't listen at `{}`; is its folder there, and is this process root?", path.display())]
    Bind {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The one that systemd passes (`LISTEN_FDS`, sd_listen_fds(3)), else one of our own.
pub(crate) fn listener(config: &Config) -> Result<UnixListener, SocketError> {
    let passed = sd_listen_fds::get().map_err(|error| SocketError::Passed(io::Error::other(error)))?;
    match passed.into_iter().next() {
        Some((_, descriptor)) => Ok(UnixListener::from(descriptor.into_std())),
        None => bind(&config.socket, config.user),
    }
}

fn bind(path: &Path, user: u32) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Bind { path: path.to_owned(), source };
    if UnixStream::connect(path).is_ok() {
        return Err(SocketError::Taken(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
    if user != rustix::process::geteuid().as_raw() {
        chown(path, Some(user), Some(user)).map_err(failed)?;
    }
    Ok(listener)
}

/// Whether the process at the other end may ask.
pub(crate) fn is_allowed(stream: &UnixStream, user: u32) -> io::Result<bool> {
    let peer = sockopt::socket_peercred(stream)?;
    Ok([0, user].contains(&peer.uid.as_raw()))
}
