//! The bench's side of the probe.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use data_encoding::BASE64;

use super::protocol::{Answer, Heard, Ran, Request, Speech, Stat, receive, send};

/// The longest that an answer may take, beyond what a program is allowed: the guest is emulated on a busy host.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Why the probe did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The connection broke, or it did not answer in time.
    #[error("the probe does not answer ({0}); look at the console's log for its unit")]
    Silent(#[from] io::Error),
    /// The guest has stopped.
    #[error("the probe's connection is closed: the guest has stopped")]
    Closed,
    /// It could not do it.
    #[error("in the guest, {request:?} failed: {reason}")]
    Failed {
        /// What was asked.
        request: Box<Request>,
        /// Its answer.
        reason: String,
    },
    /// It answered something else.
    #[error("the probe answered {request:?} with something else; build it again (hw-tests/probe/build)")]
    Confused {
        /// What was asked.
        request: Box<Request>,
    },
}

/// A connection to the probe in a running guest.
pub struct Probe {
    to: UnixStream,
    from: BufReader<UnixStream>,
}

/// A method that asks and takes one kind of answer.
macro_rules! ask {
    ($self:ident, $request:expr, $answer:pat => $value:expr) => {{
        let request = $request;
        match $self.ask(&request)? {
            $answer => Ok($value),
            _ => Err(ProbeError::Confused { request: Box::new(request) }),
        }
    }};
}

impl Probe {
    /// Waits until the probe is there, for at most `limit`: what is sent before waits in the port.
    pub(crate) fn open(stream: UnixStream, limit: Duration) -> Result<Self, ProbeError> {
        // A limit of zero would mean none.
        stream.set_read_timeout(Some(limit.max(Duration::from_secs(1))))?;
        let from = BufReader::new(stream.try_clone()?);
        let mut probe = Self { to: stream, from };
        let hello: Result<(), ProbeError> = ask!(probe, Request::Hello, Answer::Done => ());
        hello?;
        probe.to.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(probe)
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, ProbeError> {
        send(&mut self.to, request)?;
        match receive(&mut self.from)? {
            Some(Answer::Failed(reason)) => Err(ProbeError::Failed { request: Box::new(request.clone()), reason }),
            Some(answer) => Ok(answer),
            None => Err(ProbeError::Closed),
        }
    }

    /// Runs a program as root, for at most a minute.
    ///
    /// # Errors
    /// If it cannot be started, or does not end. That it fails is no error.
    pub fn run(&mut self, program: &str, arguments: &[&str]) -> Result<Ran, ProbeError> {
        self.run_as(None, program, arguments)
    }

    /// Runs a program as `user`, for at most a minute.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_as(&mut self, user: Option<u32>, program: &str, arguments: &[&str]) -> Result<Ran, ProbeError> {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let request = Request::Run { program: program.to_owned(), arguments, user, limit_s: 60 };
        ask!(self, request, Answer::Ran(ran) => ran)
    }

    /// Tells whether `user` can connect to a unix socket.
    ///
    /// # Errors
    /// If the probe does not answer.
    pub fn connects(&mut self, user: u32, path: &str) -> Result<bool, ProbeError> {
        ask!(self, Request::Connect { path: path.to_owned(), user }, Answer::Ran(ran) => ran.code == Some(0))
    }

    /// Says something to a unix socket as a user, and listens; see [`Speech`].
    ///
    /// # Errors
    /// If the user may not connect, or not as often. That the other end hangs up is no error.
    pub fn speak(&mut self, speech: Speech) -> Result<Vec<Heard>, ProbeError> {
        ask!(self, Request::Speak(speech), Answer::Heard(heard) => heard)
    }

    /// Reads a file, at most [`super::protocol::READ_BYTES_MAX`] bytes of it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&mut self, path: &str) -> Result<Vec<u8>, ProbeError> {
        let request = Request::Read { path: path.to_owned() };
        let text = ask!(self, request.clone(), Answer::Bytes(text) => text)?;
        BASE64.decode(text.as_bytes()).map_err(|_| ProbeError::Confused { request: Box::new(request) })
    }

    /// Reads a file as text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn text(&mut self, path: &str) -> Result<String, ProbeError> {
        self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Overwrites a file that is there.
    ///
    /// # Errors
    /// If it cannot be written, or is not there.
    pub fn write(&mut self, path: &str, text: &str) -> Result<(), ProbeError> {
        ask!(self, Request::Write { path: path.to_owned(), text: text.to_owned() }, Answer::Done => ())
    }

    /// Writes a file, new or not, and waits until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&mut self, path: &str, text: &str) -> Result<(), ProbeError> {
        ask!(self, Request::Save { path: path.to_owned(), text: text.to_owned() }, Answer::Done => ())
    }

    /// Says what a path is.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn stat(&mut self, path: &str) -> Result<Stat, ProbeError> {
        ask!(self, Request::Stat { path: path.to_owned() }, Answer::Stat(stat) => stat)
    }

    /// Lists a folder, sorted.
    ///
    /// # Errors
    /// If there is none.
    pub fn list(&mut self, path: &str) -> Result<Vec<String>, ProbeError> {
        ask!(self, Request::List { path: path.to_owned() }, Answer::Names(names) => names)
    }

    /// Says where a link points.
    ///
    /// # Errors
    /// If it is none.
    pub fn link(&mut self, path: &str) -> Result<String, ProbeError> {
        ask!(self, Request::Link { path: path.to_owned() }, Answer::Target(target) => target)
    }

    /// The processes whose name (`comm`) is `name`.
    ///
    /// # Errors
    /// If `/proc` cannot be read.
    pub fn pids(&mut self, name: &str) -> Result<Vec<i32>, ProbeError> {
        let mut pids = Vec::new();
        for pid in self.list("/proc")?.iter().filter_map(|entry| entry.parse().ok()) {
            // A process may end between the list and the look.
            match self.text(&format!("/proc/{pid}/comm")) {
                Ok(comm) if comm.trim() == name => pids.push(pid),
                Ok(_) | Err(ProbeError::Failed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pids)
    }

    /// A field of `/proc/PID/status`, such as `CapEff` or `Seccomp`.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn status(&mut self, pid: i32, field: &str) -> Result<Option<String>, ProbeError> {
        let status = self.text(&format!("/proc/{pid}/status"))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.map(|value| value.trim().to_owned()))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If there is no such process or signal.
    pub fn signal(&mut self, pid: i32, signal: i32) -> Result<(), ProbeError> {
        ask!(self, Request::Signal { pid, signal }, Answer::Done => ())
    }

    /// Stops every process of a cgroup; `init.scope` is process 1.
    ///
    /// # Errors
    /// If there is no such cgroup.
    pub fn freeze(&mut self, cgroup: &str) -> Result<(), ProbeError> {
        ask!(self, Request::Freeze { cgroup: cgroup.to_owned() }, Answer::Done => ())
    }

    /// Panics the kernel.
    ///
    /// # Errors
    /// If the probe does not answer.
    pub fn panic(&mut self) -> Result<(), ProbeError> {
        ask!(self, Request::Panic, Answer::Done => ())
    }
}
