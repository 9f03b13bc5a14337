//! What bench and probe say to each other: one JSON value a line.

use std::io::{self, BufRead, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest line in bytes: a piece of an update (4 MiB + 64 KiB) in base64 and room for the rest, so that it can be
/// spoken to a socket.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most that one answer carries of a file, or of what a program printed, in bytes.
pub const READ_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Something to do in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Say that the probe is there.
    Hello,
    /// Run a program and wait for it.
    Run {
        /// Its path.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// As which user and group; root without.
        user: Option<u32>,
        /// The longest that it may take, in seconds; it is killed then.
        limit_s: u64,
    },
    /// Connect to a unix socket as a user, and close it again.
    Connect {
        /// The socket.
        path: String,
        /// As which user and group.
        user: u32,
    },
    /// Connect to a unix socket as a user, say something, and listen to what comes back.
    Speak(Speech),
    /// Read a file's first [`READ_BYTES_MAX`] bytes.
    Read {
        /// The file.
        path: String,
    },
    /// Overwrite a file that is there.
    Write {
        /// The file.
        path: String,
        /// What it holds then.
        text: String,
    },
    /// Write a file, new or not, and wait until it is on the disk with its name.
    Save {
        /// The file.
        path: String,
        /// What it holds then.
        text: String,
    },
    /// Say what a path is, without following it.
    Stat {
        /// The path.
        path: String,
    },
    /// List a folder.
    List {
        /// The folder.
        path: String,
    },
    /// Read where a link points, such as `/proc/1/ns/net`.
    Link {
        /// The link.
        path: String,
    },
    /// Send a signal.
    Signal {
        /// To which process.
        pid: i32,
        /// Its number.
        signal: i32,
    },
    /// Stop a process for good, process 1 too, by the cgroup freezer: it freezes every process of that cgroup.
    Freeze {
        /// The cgroup below `/sys/fs/cgroup`, such as `init.scope`.
        cgroup: String,
    },
    /// Panic the kernel. The answer comes before.
    Panic,
}

/// Something to say to a unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speech {
    /// The socket.
    pub path: String,
    /// As which user and group.
    pub user: u32,
    /// What is said on each connection, in base64.
    pub bytes: String,
    /// How many connections, at most [`super::speak::CONNECTIONS_MAX`]; all are open at the same time.
    pub connections: usize,
    /// Whether nothing more is said after it (`shutdown(2)` of the writing side); else the connection is held.
    pub ends: bool,
    /// How long to listen for the other end to hang up, in seconds.
    pub limit_s: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is done.
    Done,
    /// It could not be done, and why.
    Failed(String),
    /// A program has ended.
    Ran(Ran),
    /// What was heard on each connection, in the order in which they were made.
    Heard(Vec<Heard>),
    /// A file's bytes in base64.
    Bytes(String),
    /// What a path is.
    Stat(Stat),
    /// The names in a folder, sorted.
    Names(Vec<String>),
    /// Where a link points.
    Target(String),
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// What it printed, as far as it is text.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

/// What was heard on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// It, in base64; at most [`super::speak::HEARD_BYTES_MAX`].
    pub bytes: String,
    /// Whether the other end hung up; else it still held the connection when the time was over.
    pub hung_up: bool,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Type and permissions (`st_mode`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
}

/// Writes a value as one line.
///
/// # Errors
/// If the line would be too long, or cannot be written.
pub fn send<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a line of {} bytes is too long", line.len())));
    }
    to.write_all(&line)?;
    to.flush()
}

/// Reads one line's value; `None` at the end.
///
/// # Errors
/// If the line is too long or no such value, or cannot be read.
pub fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let read = from.by_ref().take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if read > LINE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
    }
    if read == 0 { Ok(None) } else { Ok(Some(serde_json::from_slice(&line)?)) }
}
