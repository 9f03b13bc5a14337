//! What systemd hands over at the start: sockets that listen already, and the console (sd_listen_fds(3)).
//!
//! Each is known by its name: `https` and `http` for the dashboard, `payments` for the payments plane, `console` for
//! what the owner has to see and no log may hold, `kmsg` for the kernel's log. Promises: without any of it nothing
//! changes; what is not known is closed.
//! Must be called once in a process, since a descriptor has one owner.

use std::{
    fs::File,
    io::{self, Write},
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{fs::OFlags, io::FdFlags, net::sockopt};

use crate::{command::terminal, config::process_environment};

/// What was handed over.
#[derive(Default)]
pub(crate) struct HandedOver {
    /// The dashboard's port for browsers.
    pub(crate) https: Option<TcpListener>,
    /// The port that leads there.
    pub(crate) http: Option<TcpListener>,
    /// The way into the payments plane.
    pub(crate) payments: Option<UnixListener>,
    /// The screen or the serial line.
    pub(crate) console: Option<File>,
    /// The kernel's log. Reading it never waits.
    pub(crate) kernel_log: Option<File>,
}

/// Something that was handed over can't be used. Both ends of it are in the units of the appliance.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivationError {
    /// The variables contradict themselves.
    #[error("`LISTEN_PID` or `LISTEN_FDS` is no number; start it by its unit, or without these variables")]
    Malformed,
    /// Two of one name.
    #[error("two sockets are named `{name}`; give each socket unit a FileDescriptorName= of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// No socket, or one that does not listen.
    #[error("what systemd passed as `{name}` can't be used; it must be a socket of a unit with ListenStream=")]
    Unusable {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl HandedOver {
    /// Takes what is there. Nothing, where systemd did not start this process.
    pub(crate) fn take() -> Result<Self, ActivationError> {
        let passed = sd_listen_fds::get().map_err(|_| ActivationError::Malformed)?;
        let mut handed_over = Self::default();
        for (name, descriptor) in passed {
            handed_over.keep(name.unwrap_or_default(), descriptor.into_std())?;
        }
        Ok(handed_over)
    }

    fn keep(&mut self, name: String, descriptor: OwnedFd) -> Result<(), ActivationError> {
        let unusable = |source: io::Error| ActivationError::Unusable { name: name.clone(), source };
        rustix::io::fcntl_setfd(&descriptor, FdFlags::CLOEXEC).map_err(|error| unusable(error.into()))?;
        let twice = match name.as_str() {
            "https" => self.https.replace(listening(descriptor).map_err(unusable)?.into()).is_some(),
            "http" => self.http.replace(listening(descriptor).map_err(unusable)?.into()).is_some(),
            "payments" => self.payments.replace(listening(descriptor).map_err(unusable)?.into()).is_some(),
            "console" => self.console.replace(descriptor.into()).is_some(),
            "kmsg" => self.kernel_log.replace(never_waiting(descriptor).map_err(unusable)?.into()).is_some(),
            _ => {
                tracing::warn!(name, "systemd passed something that is not known here: it is closed");
                false
            }
        };
        if twice { Err(ActivationError::Twice { name }) } else { Ok(()) }
    }
}

/// The descriptor, if it is a socket that listens.
fn listening(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    match sockopt::socket_acceptconn(&descriptor)? {
        true => Ok(descriptor),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen")),
    }
}

/// The descriptor, on which a read returns at once where there is nothing.
fn never_waiting(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let flags = rustix::fs::fcntl_getfl(&descriptor)?;
    rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
    Ok(descriptor)
}

/// Shows the one-time code of an appliance that nobody has claimed, as [`at_the_box`] does.
pub(crate) fn announcer(console: Option<File>) -> Arc<dyn Fn(&str) + Send + Sync> {
    let show = at_the_box(console);
    Arc::new(move |code| {
        show(&format!(
            "\n  To claim this appliance, open its dashboard and enter the one-time code:\n\n      {code}\n\n"
        ));
    })
}

/// Shows a text with a one-time code to whoever is at the box: on the console that was handed over, else to whoever
/// started it. Under systemd standard output is the journal, and a code must not be logged: there it goes to the
/// console at any rate.
pub(crate) fn at_the_box(console: Option<File>) -> impl Fn(&str) + Send + Sync {
    let console = Mutex::new(console);
    move |text| {
        let shown = match &mut *console.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(console) => console.write_all(text.as_bytes()),
            None => show(text),
        };
        if let Err(error) = shown {
            tracing::error!(%error, "a one-time code could not be shown; connect a screen, and restart the appliance");
        }
    }
}

fn show(text: &str) -> io::Result<()> {
    if process_environment().any(|(name, _)| name == "JOURNAL_STREAM") {
        return std::fs::OpenOptions::new().write(true).open("/dev/console")?.write_all(text.as_bytes());
    }
    terminal::print(text)
}
