//! The one place that writes to the terminal and reads from it.

use std::io::{self, BufRead, IsTerminal, Write};

use lucid_client::{Console, Secret};

/// Longest line read from a person or a pipe: a password or a key.
const LINE_BYTES_MAX: u64 = 4096;

/// Words for people go to standard error, so that standard output stays free for data.
pub(crate) struct Terminal;

impl Console for Terminal {
    fn line(&self, text: &str) {
        // With nowhere to say it, there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    fn confirm(&self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() {
            return None;
        }
        write!(io::stderr().lock(), "{question} [y/N] ").ok()?;
        let answer = read_line().ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Writes a command's result to standard output.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// One line of standard input, without its end.
pub(crate) fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::Read::take(io::stdin().lock(), LINE_BYTES_MAX).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

/// Whether a person can answer a question.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// A secret: asked for without echo where a person sits, else the first line of standard input.
pub(crate) fn read_secret(prompt: &str) -> io::Result<Secret> {
    if !io::stdin().is_terminal() {
        return read_line().map(Secret::from);
    }
    write!(io::stderr().lock(), "{prompt}: ")?;
    let secret = without_echo(read_line);
    writeln!(io::stderr().lock())?;
    secret.map(Secret::from)
}

/// Runs `read` with the terminal's echo off, and puts it back whatever happens.
fn without_echo<T>(read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    let former = tcgetattr(&stdin)?;
    let mut silent = former.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &silent)?;
    let result = read();
    tcsetattr(&stdin, OptionalActions::Now, &former)?;
    result
}
