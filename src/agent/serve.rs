//! The agent's life: listens, answers on a thread for each connection, and tells systemd that it lives.
//!
//! Promises: at most [`CONNECTIONS_MAX`] connections; one that is silent for [`MESSAGE_MAX`] is ended; a request that
//! makes no sense is answered and ends its connection. The watchdog is fed while this loop turns and the keeper lives,
//! however long a disk takes. Must never carry a request out itself.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lucid_agent_protocol::{
    FrameError, MESSAGE_MAX, Refusal, RefusalCode, Reply, Request, SsdReport, SsdState, receive, send,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sd_notify::NotifyState;

use crate::Config;
use crate::answer::Answers;
use crate::keeper::{Keeper, orders};
use crate::machine::{Machine, Systemd};
use crate::socket::{self, SocketError};

/// The supervisor asks from a few services at once; a ninth waits for it to be its turn by asking again.
const CONNECTIONS_MAX: usize = 8;
/// How often the loop turns without a connection. systemd's watchdog of the unit is several times this.
const TURN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// Pause after a connection could not be accepted, as when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    let listener = socket::listener(&config)?;
    let (orders, ordered) = orders();
    let keeper = Keeper::new(config.clone());
    let answers = Arc::new(Answers { config, board: keeper.board(), orders, machine });
    let keeping = thread::Builder::new().name("lucid-keeper".to_owned()).spawn(move || keeper.run(&ordered));
    let keeping = keeping.map_err(AgentError::Thread)?;
    tell(&[NotifyState::Ready]);
    listen(&listener, &answers, &keeping)
}

/// Turns until the keeper ends.
fn listen(listener: &UnixListener, answers: &Arc<Answers>, keeping: &JoinHandle<()>) -> Result<Never, AgentError> {
    let (places, mut shown) = (Arc::new(()), None);
    loop {
        if keeping.is_finished() {
            return Err(AgentError::Keeper);
        }
        tell(&[NotifyState::Watchdog]);
        show(&answers.board.report(), &mut shown);
        match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&TURN)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => accept(listener, answers, &places),
            Err(error) => return Err(AgentError::Poll(error.into())),
        }
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

/// Accepts the next connection. The clones of `places` count those that are open.
fn accept(listener: &UnixListener, answers: &Arc<Answers>, places: &Arc<()>) {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(error) => {
            tracing::error!(%error, "a connection could not be accepted");
            return thread::park_timeout(ACCEPT_PAUSE);
        }
    };
    match socket::is_allowed(&stream, answers.config.user) {
        Ok(true) if Arc::strong_count(places) <= CONNECTIONS_MAX => begin(stream, answers.clone(), places.clone()),
        Ok(true) => tracing::warn!("too many connections: one more was ended"),
        Ok(false) => tracing::warn!("a user who may not ask was turned away"),
        Err(error) => tracing::error!(%error, "who asks is not known: turned away"),
    }
}

fn begin(stream: UnixStream, answers: Arc<Answers>, place: Arc<()>) {
    let begun = thread::Builder::new().name("lucid-asked".to_owned()).spawn(move || {
        // A request must not end the agent, whatever is wrong with our own code.
        let talked = catch_unwind(AssertUnwindSafe(|| talk(&stream, &answers)));
        match talked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "a connection was ended"),
            Err(_) => tracing::error!("answering a request panicked"),
        }
        drop(place);
    });
    if let Err(error) = begun {
        tracing::error!(%error, "no thread for a connection");
    }
}

/// Answers until the other end hangs up or does not keep to the protocol.
fn talk(stream: &UnixStream, answers: &Answers) -> Result<(), FrameError> {
    stream.set_nonblocking(false)?;
    loop {
        let request = match receive::<Request>(&mut Timed::new(stream)) {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) => return refuse(stream, error),
        };
        match send(&mut Timed::new(stream), &answers.answer(request)) {
            Err(FrameError::Length { .. }) => send(&mut Timed::new(stream), &too_long())?,
            sent => sent?,
        }
    }
}

/// Says why, if what came was bytes at all.
fn refuse(stream: &UnixStream, error: FrameError) -> Result<(), FrameError> {
    if matches!(error, FrameError::Length { .. } | FrameError::Meaning(_)) {
        let refusal = Refusal::new(RefusalCode::Malformed, error.to_string());
        send(&mut Timed::new(stream), &Reply::Refused(refusal))?;
    }
    Err(error)
}

fn too_long() -> Reply {
    Reply::Refused(Refusal::new(RefusalCode::Failed, "the answer is too long for one message: ask for less"))
}

/// A stream on which one message has [`MESSAGE_MAX`] as a whole, in however many pieces it comes.
struct Timed<'stream> {
    stream: &'stream UnixStream,
    until: Instant,
}

impl<'stream> Timed<'stream> {
    fn new(stream: &'stream UnixStream) -> Self {
        Self { stream, until: Instant::now() + MESSAGE_MAX }
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
