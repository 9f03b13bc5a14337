//! The process: takes its socket from systemd, answers, and tells systemd that it lives.
//!
//! Promises: at most [`CONNECTIONS_MAX`] connections, each ended after one answer, or once the peer is silent for
//! [`MESSAGE_MAX`]. The watchdog is fed while the loop turns, whatever a connection does.

use std::{
    io,
    os::unix::net::{UnixListener, UnixStream},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use lucid_agent_protocol::{FrameError, MESSAGE_MAX, receive, send};
use lucid_layout::users;
use lucid_observe::LevelFilter;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use sd_notify::NotifyState;

use super::{PlaneStatus, Reply, Request, peer::Allowed};
use crate::{activation::HandedOver, failure::Failure, run::observe};

/// The supervisor asks one question at a time; some to spare for one that was started anew meanwhile.
const CONNECTIONS_MAX: usize = 4;
/// How often the loop turns without a connection. systemd's watchdog of the unit is several times this.
const TURN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Pause after a connection could not be accepted, as when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs the plane. Ends only by a failure, or by the signal with which systemd stops it: there is nothing to finish.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let _observe = observe(LevelFilter::INFO)?;
    let failed = |source| Failure::Io { attempted: "listen for the supervisor".to_owned(), source };
    let handed_over =
        HandedOver::take().map_err(|source| Failure::other("take over the socket of the payments plane", source))?;
    let listener = handed_over.payments.ok_or_else(|| {
        Failure::Usage(
            "the payments plane is started by systemd with the socket of lucid-payments.socket: start that unit"
                .to_owned(),
        )
    })?;
    // A client that hangs up between poll and accept must not stop the rest.
    listener.set_nonblocking(true).map_err(failed)?;
    let allowed = Allowed::user(users::LUCID).map_err(failed)?;
    tell(&[NotifyState::Ready, NotifyState::Status("idle (not yet in use)")]);
    tracing::info!("the payments plane is idle");
    turn(&listener, allowed).map_err(failed)
}

/// Turns for ever.
fn turn(listener: &UnixListener, allowed: Allowed) -> io::Result<ExitCode> {
    let places = Arc::new(());
    loop {
        tell(&[NotifyState::Watchdog]);
        match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&TURN)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => accept(listener, allowed, &places),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tells systemd, if it started this process.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the payments plane is; will go on trying");
    }
}

/// Accepts the next connection. The clones of `places` count those that are open.
fn accept(listener: &UnixListener, allowed: Allowed, places: &Arc<()>) {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(error) => {
            tracing::error!(%error, "a connection could not be accepted");
            return thread::park_timeout(ACCEPT_PAUSE);
        }
    };
    match allowed.is(&stream) {
        Ok(true) if Arc::strong_count(places) <= CONNECTIONS_MAX => begin(stream, places.clone()),
        Ok(true) => tracing::warn!("too many connections: one more was ended"),
        Ok(false) => tracing::warn!("a user who may not ask was turned away"),
        Err(error) => tracing::error!(%error, "who asks is not known: turned away"),
    }
}

fn begin(stream: UnixStream, place: Arc<()>) {
    let begun = thread::Builder::new().name("lucid-asked".to_owned()).spawn(move || {
        if let Err(error) = answer(stream) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a connection was ended");
        }
        drop(place);
    });
    if let Err(error) = begun {
        tracing::error!(%error, "no thread for a connection");
    }
}

/// Answers one request.
fn answer(mut stream: UnixStream) -> Result<(), FrameError> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(MESSAGE_MAX))?;
    stream.set_write_timeout(Some(MESSAGE_MAX))?;
    match receive::<Request>(&mut stream)? {
        Some(Request::Status {}) => send(&mut stream, &Reply::Status(PlaneStatus::idle())),
        None => Ok(()),
    }
}
