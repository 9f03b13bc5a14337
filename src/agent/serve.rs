//! The agent's life: listens, answers on a thread for each connection, and tells systemd that it lives.
//!
//! Promises: at most [`CONNECTIONS_MAX`] connections; one that is silent for [`MESSAGE_MAX`] is ended; a request that
//! makes no sense is answered and ends its connection. The watchdog is fed while this loop turns and the keeper lives,
//! however long a disk takes. Must never carry a request out itself.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lucid_agent_protocol::{
    FrameError, MESSAGE_MAX, Refusal, RefusalCode, Reply, Request, Server, SsdReport, SsdState, Timed, receive, send,
};
use sd_notify::NotifyState;

use crate::Config;
use crate::answer::Answers;
use crate::keeper::{Keeper, orders};
use crate::machine::{Machine, Systemd};
use crate::socket::{self, SocketError};

/// The supervisor asks from a few services at once; a ninth waits for it to be its turn by asking again.
const CONNECTIONS_MAX: usize = 8;

/// Why the agent ends.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody can be listened to.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A thread can't be started.
    #[error("a thread could not be started; the system is out of memory or tasks: restart the box")]
    Thread(#[source] io::Error),
    /// Waiting for connections failed.
    #[error("waiting for connections failed; the unit starts the agent again")]
    Poll(#[source] io::Error),
    /// The keeper of the data disk ended, which it never should.
    #[error("the thread that keeps the data disk has ended; the unit starts the agent again")]
    Keeper,
}

/// Runs the agent. Ends only by an error: when the box stops, the process is simply ended, and what it was doing is
/// finished after the next start.
///
/// # Errors
/// See [`AgentError`].
pub fn run(config: Config) -> AgentError {
    serve(config, Box::new(Systemd)).map_or_else(|error| error, |never| match never {})
}

/// Never comes into being.
pub(crate) enum Never {}

/// Runs the agent on `machine`.
pub(crate) fn serve(config: Config, machine: Box<dyn Machine>) -> Result<Never, AgentError> {
    let config = Arc::new(config);
    let server = Server::new(socket::listener(&config)?, CONNECTIONS_MAX).map_err(AgentError::Poll)?;
    let (orders, ordered) = orders();
    let keeper = Keeper::new(config.clone());
    let answers = Arc::new(Answers { config, board: keeper.board(), orders, machine });
    let keeping = thread::Builder::new().name("lucid-keeper".to_owned()).spawn(move || keeper.run(&ordered));
    let keeping = keeping.map_err(AgentError::Thread)?;
    tell(&[NotifyState::Ready]);
    listen(&server, &answers, &keeping)
}

/// Turns until the keeper ends.
fn listen(server: &Server, answers: &Arc<Answers>, keeping: &JoinHandle<()>) -> Result<Never, AgentError> {
    let mut shown = None;
    loop {
        if keeping.is_finished() {
            return Err(AgentError::Keeper);
        }
        tell(&[NotifyState::Watchdog]);
        show(&answers.board.report(), &mut shown);
        let user = answers.config.user;
        let answers = answers.clone();
        let turned = server.turn(|stream| socket::is_allowed(stream, user), move |stream| talk(stream, &answers));
        turned.map_err(AgentError::Poll)?;
    }
}

/// Tells systemd, if it started this process.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the agent is; will go on trying");
    }
}

/// One line for `systemctl status`, when it changes.
fn show(report: &SsdReport, shown: &mut Option<String>) {
    let line = match (&report.state, &report.reason) {
        (SsdState::Working { work, .. }, _) => format!("data disk: {work:?}"),
        (SsdState::Mounted, _) => "data disk: mounted".to_owned(),
        (state, reason) => format!("data disk: {state:?}: {}", reason.as_deref().unwrap_or_default()),
    };
    if shown.as_ref() != Some(&line) {
        tell(&[NotifyState::Status(&line.replace(char::is_control, " "))]);
        *shown = Some(line);
    }
}

/// Answers until the other end hangs up or does not keep to the protocol.
fn talk(stream: &UnixStream, answers: &Answers) -> Result<(), FrameError> {
    loop {
        let request = match receive::<Request>(&mut Timed::new(stream, MESSAGE_MAX)) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => return refuse(stream, error),
        };
        match send(&mut Timed::new(stream, MESSAGE_MAX), &answers.answer(request)) {
            Err(FrameError::Length { .. }) => send(&mut Timed::new(stream, MESSAGE_MAX), &too_long())?,
            sent => sent?,
        }
    }
}

/// Says why, if what came was bytes at all.
fn refuse(stream: &UnixStream, error: FrameError) -> Result<(), FrameError> {
    if matches!(error, FrameError::Length { .. } | FrameError::Meaning(_)) {
        let refusal = Refusal::new(RefusalCode::Malformed, error.to_string());
        send(&mut Timed::new(stream, MESSAGE_MAX), &Reply::Refused(refusal))?;
    }
    Err(error)
}

fn too_long() -> Reply {
    Reply::Refused(Refusal::new(RefusalCode::Failed, "the answer is too long for one message: ask for less"))
}
