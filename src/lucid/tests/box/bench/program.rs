//! A program that is run to its end, with what it said.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{LONG, eventually};

/// A program under way; killed where the test ends before it.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdout: File,
    stderr: File,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts `command` with `stdin`.
    pub(crate) fn start(command: &mut Command, stdin: Stdio) -> Self {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdin(stdin).stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("can't start {name}: {error}"));
        Self { name, child, stdout, stderr }
    }

    /// Runs `command` to its end with `input` as its standard input.
    pub(crate) fn run(command: &mut Command, input: &str) -> Outcome {
        Self::start(command, text(input)).end(LONG)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self, limit: Duration) -> Outcome {
        let status = eventually(&format!("the end of {}", self.name), limit, || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(format!("still running; said: {}", self.said())),
        });
        let mut stdout = Vec::new();
        self.stdout.rewind().unwrap();
        self.stdout.read_to_end(&mut stdout).unwrap();
        Outcome { code: status.code(), stdout, stderr: self.said() }
    }

    /// What it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; usize::try_from(self.stderr.metadata().unwrap().len()).unwrap()];
        self.stderr.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Takes the write end of its standard input, where that is a pipe.
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("standard input was asked to be a pipe")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already can't be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Everything it said, for searching.
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.text(), self.stderr)
    }

    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }

    /// Asserts a failure that says `words`, without a panic.
    #[track_caller]
    pub(crate) fn expect_error(self, words: &str) -> Self {
        assert!(!matches!(self.code, Some(0) | Some(101) | None), "code {:?}: {}", self.code, self.all());
        assert!(self.all().contains(words), "`{words}` is not in: {}", self.all());
        self
    }
}

/// A text as standard input.
fn text(input: &str) -> Stdio {
    if input.is_empty() {
        return Stdio::null();
    }
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    Stdio::from(file)
}

/// Runs a helper of the machine, such as `mount`; `hint` says what to do where it fails.
#[track_caller]
pub(crate) fn require_success(program: &str, arguments: &[&str], hint: &str) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).output().unwrap_or_else(|error| panic!("`{program}`: {error}: {hint}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {}` failed: {said}: {hint}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
