//! Starts a program as systemd does: with sockets that listen already, under names (sd_listen_fds(3)).
//!
//! A few lines of Python stand between, because they have to become the program: `LISTEN_PID` is its process id.

use std::{path::PathBuf, process::Command};

/// Opens what `argv[1]` lists as `name kind where` lines, puts it where systemd would, and becomes `argv[2:]`. With a
/// line `- users 65533` it does so as that user of a namespace in which only that user and root exist, as
/// `PrivateUsers=` does.
const SCRIPT: &str = r#"
import ctypes, os, socket, sys
given, names, user = [], [], None
for line in sys.argv[1].splitlines():
    name, kind, where = line.split(" ", 2)
    if kind == "tcp":
        opened = socket.create_server(("127.0.0.1", int(where))).detach()
    elif kind == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(where)
        os.chmod(where, 0o777)
        listener.listen(8)
        opened = listener.detach()
    elif kind == "file":
        opened = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    elif kind == "read":
        opened = os.open(where, os.O_RDONLY)
    elif kind == "users":
        user = int(where)
        continue
    given.append(opened)
    names.append(name)
parked = [os.dup2(opened, 100 + index) for index, opened in enumerate(given)]
for index, descriptor in enumerate(parked):
    os.dup2(descriptor, 3 + index, inheritable=True)
if user is not None:
    told, tell = os.pipe()
    done = os.fork()
    if done == 0:
        os.read(told, 1)
        for kind in ("uid_map", "gid_map"):
            with open(f"/proc/{os.getppid()}/{kind}", "w") as file:
                file.write(f"0 0 1\n{user} {user} 1\n")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(tell, b"x")
    if os.waitpid(done, 0)[1] != 0:
        raise OSError("the namespace has no users")
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
os.environ.update(LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=":".join(names), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// What is handed over.
pub(crate) enum Given {
    /// A port of this machine.
    Port(&'static str, u16),
    /// A socket that everybody may connect to.
    Socket(&'static str, PathBuf),
    /// A file to be written.
    File(&'static str, PathBuf),
    /// A file to be read.
    Readable(&'static str, PathBuf),
    /// Not a socket: the program runs as this user, who is alone with root in a namespace of users.
    AloneAs(u32),
}

impl Given {
    fn line(&self) -> String {
        match self {
            Self::Port(name, port) => format!("{name} tcp {port}"),
            Self::Socket(name, path) => format!("{name} unix {}", path.display()),
            Self::File(name, path) => format!("{name} file {}", path.display()),
            Self::Readable(name, path) => format!("{name} read {}", path.display()),
            Self::AloneAs(user) => format!("- users {user}"),
        }
    }
}

/// `command`, started with what is given.
pub(crate) fn handing_over(command: &Command, given: &[Given]) -> Command {
    let lines: Vec<String> = given.iter().map(Given::line).collect();
    let mut wrapped = Command::new("python3");
    wrapped.args(["-c", SCRIPT, &lines.join("\n")]).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}
