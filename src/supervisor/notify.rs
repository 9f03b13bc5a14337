//! What the service manager is told: the datagrams of sd_notify(3).
//!
//! The protocol is a few lines of text on a unix datagram socket. It is spoken here directly because the socket's
//! address is a value of the configuration, as everything from the environment is, and not read behind our back.
//!
//! Must never block: a service manager that does not read must not stop the box.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// One line of status; the service manager shows it on one line of a terminal.
const STATUS_BYTES_MAX: usize = 512;

/// The link to the service manager; silent where there is none.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    /// The last send failed and was logged; the next failure is not.
    failing: AtomicBool,
}

/// The service manager's environment can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The socket is not there or does not accept us.
    #[error("connecting to the service manager at `{address}` (NOTIFY_SOCKET)")]
    Connect {
        /// As the environment gave it.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The watchdog's period is no number of microseconds, or zero.
    #[error("WATCHDOG_USEC is `{value}`: it must be a positive number of microseconds")]
    Watchdog {
        /// As the environment gave it.
        value: String,
    },
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` through `environment` and connects.
    ///
    /// Without `NOTIFY_SOCKET`, as on a developer's machine, everything that is sent goes nowhere. A watchdog that
    /// `WATCHDOG_PID` addresses to another process is not ours to feed.
    ///
    /// # Errors
    /// When the socket refuses, or the watchdog's period is not a positive number.
    pub fn from_environment(environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, NotifyError> {
        let socket = environment("NOTIFY_SOCKET").map(|address| connect(&address)).transpose()?;
        let own_id = std::process::id().to_string();
        let ours = environment("WATCHDOG_PID").is_none_or(|id| id == OsStr::new(&own_id));
        let period = environment("WATCHDOG_USEC").filter(|_| ours).map(|value| period(&value)).transpose()?;
        Ok(Self { watchdog: period.filter(|_| socket.is_some()), socket, failing: AtomicBool::new(false) })
    }

    /// A notifier that tells nobody.
    pub fn silent() -> Self {
        Self { socket: None, watchdog: None, failing: AtomicBool::new(false) }
    }

    /// The period within which the service manager wants to hear from us.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The box is ready.
    pub(crate) fn ready(&self) {
        self.send("READY=1\n");
    }

    /// The box is alive.
    pub(crate) fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    /// The box begins to stop.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping\n");
    }

    /// One line for people.
    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}\n", one_line(status)));
    }

    fn send(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        match socket.send(message.as_bytes()) {
            Ok(_) => self.failing.store(false, Ordering::Relaxed),
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "the service manager can't be told how the box is doing; will go on trying");
            }
            Err(_) => {}
        }
    }
}

/// Connects to a path, or to an abstract name, which begins with `@`.
fn connect(address: &OsStr) -> Result<UnixDatagram, NotifyError> {
    let open = || {
        let to = match address.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&to)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    open().map_err(|source| NotifyError::Connect { address: address.to_string_lossy().into_owned(), source })
}

fn period(value: &OsStr) -> Result<Duration, NotifyError> {
    let micros = value.to_str().and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
    let error = || NotifyError::Watchdog { value: value.to_string_lossy().into_owned() };
    micros.map(Duration::from_micros).ok_or_else(error)
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
mod tests;
