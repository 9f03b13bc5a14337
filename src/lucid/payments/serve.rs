//! The process: takes its socket from systemd, answers, and tells systemd that it lives.
//!
//! Promises: at most [`CONNECTIONS_MAX`] connections, each ended after one answer, or once the peer is silent for
//! [`MESSAGE_MAX`]. The watchdog is fed while the loop turns, whatever a connection does.

use std::{os::unix::net::UnixStream, process::ExitCode};

use lucid_agent_protocol::{FrameError, MESSAGE_MAX, Server, Timed, receive, send};
use lucid_layout::users;
use lucid_observe::LevelFilter;
use sd_notify::NotifyState;

use super::{PlaneStatus, Reply, Request, peer::Allowed};
use crate::{activation::HandedOver, failure::Failure, run::observe};

/// The supervisor asks one question at a time; some to spare for one that was started anew meanwhile.
const CONNECTIONS_MAX: usize = 4;

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
    let server = Server::new(listener, CONNECTIONS_MAX).map_err(failed)?;
    let allowed = Allowed::user(users::LUCID).map_err(failed)?;
    tell(&[NotifyState::Ready, NotifyState::Status("idle (not yet in use)")]);
    tracing::info!("the payments plane is idle");
    loop {
        tell(&[NotifyState::Watchdog]);
        server.turn(|stream| allowed.is(stream), answer).map_err(failed)?;
    }
}

/// Tells systemd, if it started this process.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the payments plane is; will go on trying");
    }
}

/// Answers one request.
fn answer(stream: &UnixStream) -> Result<(), FrameError> {
    match receive::<Request>(&mut Timed::new(stream, MESSAGE_MAX))? {
        Some(Request::Status {}) => send(&mut Timed::new(stream, MESSAGE_MAX), &Reply::Status(PlaneStatus::idle())),
        None => Ok(()),
    }
}
