//! The probe's side: does what it is asked, in the guest.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use rustix::process::{Pid, Signal, kill_process};

use super::protocol::{Answer, READ_BYTES_MAX, Ran, Request, Stat, receive, send};
use super::speak;

/// Finds the serial port named `name`, by sysfs: udev may not have made its link yet.
///
/// # Errors
/// If there is none.
pub fn port(name: &str) -> io::Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        if fs::read_to_string(entry.path().join("name"))?.trim() == name {
            return Ok(Path::new("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no serial port is named {name}")))
}

/// Answers requests from `port` until its other end is closed.
///
/// # Errors
/// If the port cannot be read or written, or carries something else than requests.
pub fn serve(port: &Path) -> io::Result<()> {
    let mut to = File::options().read(true).write(true).open(port)?;
    let mut from = BufReader::new(to.try_clone()?);
    while let Some(request) = receive(&mut from)? {
        let panic = request == Request::Panic;
        let answer = answer(request).unwrap_or_else(|error| Answer::Failed(error.to_string()));
        send(&mut to, &answer)?;
        if panic {
            overwrite(Path::new("/proc/sysrq-trigger"), "c")?;
        }
    }
    Ok(())
}

/// Connects to the unix socket at `path`; how the probe asks on behalf of another user.
///
/// # Errors
/// If it may not, or nobody listens.
pub fn connect(path: &str) -> io::Result<()> {
    UnixStream::connect(path).map(drop)
}

pub(super) fn answer(request: Request) -> io::Result<Answer> {
    Ok(match request {
        Request::Hello | Request::Panic => Answer::Done,
        Request::Run { program, arguments, user, limit_s } => {
            Answer::Ran(run(Command::new(program).args(arguments), user, Duration::from_secs(limit_s))?)
        }
        Request::Connect { path, user } => {
            let mut command = Command::new("/proc/self/exe");
            Answer::Ran(run(command.args(["connect", &path]), Some(user), Duration::from_secs(30))?)
        }
        Request::Speak(speech) => Answer::Heard(speak::as_user(Command::new("/proc/self/exe").arg("speak"), &speech)?),
        Request::Read { path } => {
            let mut bytes = Vec::new();
            File::open(path)?.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
            Answer::Bytes(BASE64.encode(&bytes))
        }
        Request::Write { path, text } => done(overwrite(Path::new(&path), &text))?,
        Request::Save { path, text } => done(save(Path::new(&path), &text))?,
        Request::Stat { path } => {
            let meta = fs::symlink_metadata(path)?;
            Answer::Stat(Stat { mode: meta.mode(), uid: meta.uid(), gid: meta.gid(), size: meta.size() })
        }
        Request::List { path } => Answer::Names(list(Path::new(&path))?),
        Request::Link { path } => Answer::Target(fs::read_link(path)?.to_string_lossy().into_owned()),
        Request::Signal { pid, signal } => done(kill(pid, signal))?,
        Request::Freeze { cgroup } => {
            done(overwrite(&Path::new("/sys/fs/cgroup").join(cgroup).join("cgroup.freeze"), "1"))?
        }
    })
}

fn done(result: io::Result<()>) -> io::Result<Answer> {
    result.map(|()| Answer::Done)
}

fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).truncate(true).open(path)?.write_all(text.as_bytes())
}

fn save(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

fn list(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn kill(pid: i32, signal: i32) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0).ok_or_else(invalid)?;
    let signal = Signal::from_named_raw(signal).ok_or_else(invalid)?;
    Ok(kill_process(pid, signal)?)
}

fn run(command: &mut Command, user: Option<u32>, limit: Duration) -> io::Result<Ran> {
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_child(&child);
    let (sender, receiver) = channel();
    let waiter = thread::spawn(move || {
        // The receiver is there until this thread has been joined.
        let _ = sender.send(child.wait_with_output());
    });
    let in_time = receiver.recv_timeout(limit);
    if matches!(in_time, Err(RecvTimeoutError::Timeout)) {
        kill_process(pid, Signal::KILL)?;
        receiver.recv().map_err(io::Error::other)??;
        return Err(io::Error::new(io::ErrorKind::TimedOut, format!("it took longer than {} s", limit.as_secs())));
    }
    let output = in_time.map_err(io::Error::other)??;
    waiter.join().map_err(|_| io::Error::other("the waiting thread panicked"))?;
    Ok(ran(&output))
}

fn ran(output: &Output) -> Ran {
    let most = usize::try_from(READ_BYTES_MAX / 4).unwrap_or(usize::MAX);
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
