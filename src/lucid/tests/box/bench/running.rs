//! A box that runs.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{SHORT, eventually};

/// Groups of the one-time code.
const CODE_GROUPS: usize = 4;

/// The server process; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    pub(crate) fn start(mut command: Command, stdout: PathBuf, stderr: PathBuf) -> Self {
        let file = |path| Stdio::from(File::create(path).unwrap());
        command.stdin(Stdio::null()).stdout(file(&stdout)).stderr(file(&stderr));
        let child = command.spawn().unwrap();
        Self { child, stdout, stderr }
    }

    /// The fingerprint of its certificate, once the dashboard is up.
    #[track_caller]
    pub(crate) fn fingerprint(&self) -> String {
        eventually("the dashboard's address", SHORT, || {
            let said = self.said();
            let line = said.lines().find_map(|line| line.trim().strip_prefix("Certificate (SHA-256): "));
            line.map(str::to_owned).ok_or(said)
        })
    }

    /// The one-time code.
    #[track_caller]
    pub(crate) fn claim_code(&self) -> String {
        eventually("the one-time code", SHORT, || {
            let shown = std::fs::read_to_string(&self.stdout).unwrap();
            let is_code = |word: &&str| word.len() == 19 && word.split('-').count() == CODE_GROUPS;
            shown.split_whitespace().find(is_code).map(str::to_owned).ok_or(self.said())
        })
    }

    /// What it has logged to its terminal.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits for its end.
    #[track_caller]
    pub(crate) fn terminate(mut self, limit: Duration) -> ExitStatus {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, Signal::TERM).unwrap();
        eventually("the end of the box", limit, || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(self.said()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can't be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the box said:\n{}", self.said());
        }
    }
}
