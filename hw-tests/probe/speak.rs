//! Speaking to a unix socket as another user: whatever bytes, on however many connections, and what comes back.
//!
//! The probe's child does it, because a process has one user. Promises that a connection is given up once its time is
//! over, and that all of them are open at the same moment. Must never understand what is said.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;

use super::protocol::{Heard, Speech, receive, send};

/// Most connections at a time: far more than any socket of the appliance takes, and few enough threads.
pub const CONNECTIONS_MAX: usize = 64;

/// The most that is kept of what one connection hears, in bytes: four of the agent's longest answers.
pub const HEARD_BYTES_MAX: usize = 64 * 1024;

/// The longest that anybody listens, in seconds: less than what the bench waits for an answer.
pub const LISTEN_S_MAX: u64 = 90;

/// Has `command`, which is the probe's own program, speak as the user.
///
/// # Errors
/// If that user may not connect, or what is asked is beyond the limits.
pub(super) fn as_user(command: &mut Command, speech: &Speech) -> io::Result<Vec<Heard>> {
    let command = command.uid(speech.user).gid(speech.user);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Dropped after it, so that the child has all; one that ended before says why on its way out.
    let told = child.stdin.take().map_or(Ok(()), |mut to| send(&mut to, speech));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    told?;
    receive(&mut output.stdout.as_slice())?.ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

/// The child: reads what to say from its standard input, and prints what it heard.
///
/// # Errors
/// As [`speak`].
pub fn listener() -> io::Result<()> {
    let speech = receive(&mut io::stdin().lock())?.ok_or(ErrorKind::UnexpectedEof)?;
    send(&mut io::stdout().lock(), &speak(&speech)?)
}

/// Connects as often as wanted, says everything on each connection, and listens.
///
/// # Errors
/// If it can't connect, or what is asked is beyond the limits or no base64. That the other end hangs up is no error.
pub fn speak(speech: &Speech) -> io::Result<Vec<Heard>> {
    let invalid = |what: String| io::Error::new(ErrorKind::InvalidInput, what);
    if !(1..=CONNECTIONS_MAX).contains(&speech.connections) || speech.limit_s > LISTEN_S_MAX {
        let limits = format!("1 to {CONNECTIONS_MAX} connections, and {LISTEN_S_MAX} s at most");
        return Err(invalid(limits));
    }
    let bytes = BASE64.decode(speech.bytes.as_bytes()).map_err(|error| invalid(error.to_string()))?;
    let connections = (0..speech.connections).map(|_| UnixStream::connect(&speech.path));
    let connections = connections.collect::<io::Result<Vec<_>>>()?;
    let until = Instant::now() + Duration::from_secs(speech.limit_s);
    thread::scope(|scope| {
        let talks: Vec<_> =
            connections.iter().map(|stream| scope.spawn(|| talk(stream, &bytes, speech, until))).collect();
        // Joined all together, so that every connection is open until the last one is done.
        let panicked = |_| io::Error::other("a connection's thread panicked");
        talks.into_iter().map(|talk| talk.join().map_err(panicked)?).collect()
    })
}

/// One connection. It listens while it speaks: an answer may come before everything was said.
fn talk(stream: &UnixStream, bytes: &[u8], speech: &Speech, until: Instant) -> io::Result<Heard> {
    stream.set_write_timeout(Some(left(until)))?;
    thread::scope(|scope| {
        let saying = scope.spawn(|| say(stream, bytes, speech.ends));
        let heard = listen(stream, until)?;
        // What is still being said when the other end has hung up, or the time is over, is not waited for.
        stream.shutdown(Shutdown::Both).or_else(gone)?;
        saying.join().map_err(|_| io::Error::other("the speaker panicked"))??;
        Ok(heard)
    })
}

/// A limit of zero would mean none.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn say(mut stream: &UnixStream, bytes: &[u8], ends: bool) -> io::Result<()> {
    stream.write_all(bytes).or_else(gone)?;
    if ends { stream.shutdown(Shutdown::Write).or_else(gone) } else { Ok(()) }
}

/// That the other end has hung up, or takes no more, is what is to be found out, and no error.
fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected => Ok(()),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        _ => Err(error),
    }
}

fn listen(mut stream: &UnixStream, until: Instant) -> io::Result<Heard> {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    let hung_up = loop {
        if Instant::now() >= until {
            break false;
        }
        stream.set_read_timeout(Some(left(until)))?;
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(read) => {
                heard.extend_from_slice(&buffer[..read]);
                heard.truncate(HEARD_BYTES_MAX);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    Ok(Heard { bytes: BASE64.encode(&heard), hung_up })
}
