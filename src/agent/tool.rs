//! Programs of the system that the agent runs: `blkid`, `e2fsck`, `mke2fs`, `sfdisk`, `systemctl`.
//!
//! Promises: each ends within its time or is killed, with an environment of our own and bounded output. Must never run
//! a shell, nor anything whose name is not a literal in this crate.

use std::io::{self, PipeReader, Read, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// How much of what a program says is kept, from its beginning: enough for every `NAME=value` of `blkid`.
const SAID_BYTES_MAX: u64 = 8 * 1024;
/// How much of it is shown to people, from its end: what went wrong stands last.
const SHOWN_CHARS_MAX: usize = 400;
/// What a killed program gets to vanish. One that waits for a dead disk does not, until the kernel gives the disk up.
const KILL_MAX: Duration = Duration::from_secs(5);

/// What a program said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit status.
    pub(crate) status: i32,
    /// The beginning of its output and its errors.
    pub(crate) text: String,
}

/// Why a program told nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("`{program}` is not there; install an image that has it")]
    Missing { program: &'static str },
    #[error("`{program}` could not be started: {source}; try again")]
    Start { program: &'static str, source: io::Error },
    #[error("`{program}` did not end within {limit:?}: the disk does not answer; connect it anew, or replace it")]
    TimedOut { program: &'static str, limit: Duration },
    #[error("`{program}` was ended by signal {signal}; try again")]
    Killed { program: &'static str, signal: i32 },
}

impl Said {
    /// Its last words, for people.
    pub(crate) fn shown(&self) -> String {
        let lines: Vec<_> = self.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let text = lines.join("; ");
        let from = text.char_indices().rev().nth(SHOWN_CHARS_MAX - 1).map_or(0, |(at, _)| at);
        text[from..].chars().filter(|letter| !letter.is_control()).collect()
    }
}

/// Runs `program` and waits, at most for `limit`.
pub(crate) fn run(program: &'static str, arguments: &[&str], limit: Duration) -> Result<Said, ToolError> {
    run_with_input(program, arguments, "", limit)
}

/// The same, with `input` on its standard input, which must fit into a pipe (64 KiB).
pub(crate) fn run_with_input(
    program: &'static str,
    arguments: &[&str],
    input: &str,
    limit: Duration,
) -> Result<Said, ToolError> {
    let started = start(program, arguments, input);
    let (child, output) = started.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ToolError::Missing { program },
        _ => ToolError::Start { program, source },
    })?;
    finish(child, &output, program, limit)
}

/// Both outputs go into one pipe. The copy that this process holds is closed here with the `Command`, so that the pipe
/// ends with the program.
fn start(program: &str, arguments: &[&str], input: &str) -> io::Result<(Child, Receiver<String>)> {
    let (output, writer) = pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want it says by its exit status what it thinks.
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok((child, listen(output)?))
}

/// Reads all there is, so that the program never waits for us, and keeps the beginning.
fn listen(mut output: PipeReader) -> io::Result<Receiver<String>> {
    let (tell, said) = sync_channel(1);
    thread::Builder::new().name("lucid-tool".to_owned()).spawn(move || {
        let mut kept = Vec::new();
        let read = (&mut output).take(SAID_BYTES_MAX).read_to_end(&mut kept);
        let drained = read.and_then(|_| io::copy(&mut output, &mut io::sink()));
        if let Err(error) = drained {
            tracing::warn!(%error, "what a program said was lost");
        }
        // Nobody listens any more to a program that was too slow.
        let _ = tell.send(String::from_utf8_lossy(&kept).into_owned());
    })?;
    Ok(said)
}

fn finish(
    mut child: Child,
    output: &Receiver<String>,
    program: &'static str,
    limit: Duration,
) -> Result<Said, ToolError> {
    let Ok(text) = output.recv_timeout(limit) else {
        end(child, output);
        return Err(ToolError::TimedOut { program, limit });
    };
    let status = child.wait().map_err(|source| ToolError::Start { program, source })?;
    match (status.code(), status.signal()) {
        (Some(status), _) => Ok(Said { status, text }),
        (None, signal) => Err(ToolError::Killed { program, signal: signal.unwrap_or_default() }),
    }
}

/// Kills, and leaves one that does not die to a thread that waits for it.
fn end(mut child: Child, output: &Receiver<String>) {
    if let Err(error) = child.kill() {
        tracing::warn!(%error, "a program that was too slow could not be killed");
    }
    if output.recv_timeout(KILL_MAX).is_err() {
        let waited = thread::Builder::new().name("lucid-tool".to_owned()).spawn(move || child.wait());
        if let Err(error) = waited {
            tracing::warn!(%error, "nobody waits for a program that does not end");
        }
    } else if let Err(error) = child.wait() {
        tracing::warn!(%error, "a program that was killed could not be waited for");
    }
}

#[cfg(test)]
mod tests;
