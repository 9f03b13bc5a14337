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
    DataReader, FrameError, MESSAGE_MAX, Refusal, RefusalCode, Reply, Request, Server, SsdReport, SsdState, Timed,
    receive, send,
};
use sd_notify::NotifyState;

use crate::Config;
use crate::answer::Answers;
use crate::keeper::{BEGIN_MAX, Keeper, orders};
use crate::machine::{Machine, Systemd};
use crate::socket::{self, SocketError};
use crate::update::{Updates, Wish};

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
    /// The watch over a trial ended before the trial, which it never should.
    #[error("the thread that watches over the release on trial has ended; the unit starts the agent again")]
    Trial,
}

/// Runs the agent. Ends only by an error: when the box stops, the process is simply ended, and what it was doing is
/// finished after the next start.
///
/// # Errors
/// See [`AgentError`].
pub fn run(config: Config) -> AgentError {
    serve(config, Arc::new(Systemd)).map_or_else(|error| error, |never| match never {})
}

/// Never comes into being.
pub(crate) enum Never {}

/// Runs the agent on `machine`.
pub(crate) fn serve(config: Config, machine: Arc<dyn Machine>) -> Result<Never, AgentError> {
    let config = Arc::new(config);
    let server = Server::new(socket::listener(&config)?, CONNECTIONS_MAX).map_err(AgentError::Poll)?;
    // Who asks is heard from here on, and answered once what a former boot left is put right; the supervisor, which
    // starts after this, has no need to wait for that.
    tell(&[NotifyState::Ready]);
    let (orders, ordered) = orders(BEGIN_MAX);
    let keeper = Keeper::new(config.clone());
    let updates = Updates::of_this_machine(&config, machine.clone());
    let answers = Arc::new(Answers { config, board: keeper.board(), orders, machine, updates });
    let keeping = thread::Builder::new().name("lucid-keeper".to_owned()).spawn(move || keeper.run(&ordered));
    let keeping = keeping.map_err(AgentError::Thread)?;
    answers.updates.start();
    let kept = answers.clone();
    let trial = thread::Builder::new().name("lucid-trial".to_owned()).spawn(move || kept.updates.keep_trial());
    let trial = trial.map_err(AgentError::Thread)?;
    listen(&server, &answers, &keeping, &trial)
}

/// Turns until the keeper ends, or whoever watches over a trial.
fn listen(
    server: &Server,
    answers: &Arc<Answers>,
    keeping: &JoinHandle<()>,
    trial: &JoinHandle<()>,
) -> Result<Never, AgentError> {
    let mut shown = None;
    loop {
        if keeping.is_finished() {
            return Err(AgentError::Keeper);
        }
        if trial.is_finished() && answers.updates.is_on_trial() {
            return Err(AgentError::Trial);
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
        let request = match request {
            Request::Bundle { offset, bundle, automatic } => {
                match take_bundle(stream, &answers.updates, &Wish { offset, bundle, automatic })? {
                    Next::Question => continue,
                    Next::End => return Ok(()),
                }
            }
            other => other,
        };
        match send(&mut Timed::new(stream, MESSAGE_MAX), &answers.answer(request)) {
            Err(FrameError::Length { .. }) => send(&mut Timed::new(stream, MESSAGE_MAX), &too_long())?,
            sent => sent?,
        }
    }
}

/// What follows on a connection.
pub(crate) enum Next {
    Question,
    /// The other end may still be sending what nobody reads.
    End,
}

/// Takes a bundle's bytes, and says how it went.
pub(crate) fn take_bundle(stream: &UnixStream, updates: &Updates, wish: &Wish) -> Result<Next, FrameError> {
    let reply = |reply: &Reply| send(&mut Timed::new(stream, MESSAGE_MAX), reply);
    let transfer = match updates.begin(wish) {
        Ok(transfer) => transfer,
        Err(refusal) => return reply(&Reply::Refused(refusal)).map(|()| Next::Question),
    };
    reply(&Reply::Send { offset: transfer.offset() })?;
    let mut data = DataReader::new(stream);
    match transfer.run(&mut data) {
        Ok(()) => reply(&Reply::Done)?,
        Err(refusal) => {
            tracing::warn!(code = ?refusal.code, message = refusal.message, "a bundle was not taken");
            reply(&Reply::Refused(refusal))?;
        }
    }
    Ok(if data.is_ended() { Next::Question } else { Next::End })
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
