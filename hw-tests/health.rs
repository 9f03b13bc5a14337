//! Asks a box from outside whether it is ready.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest that one question may take: the box may be slow, and another question follows.
const QUESTION_MAX: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes: the first line tells.
const ANSWER_BYTES_MAX: u64 = 4096;

/// The status of `GET /health`, which every port answers in plain HTTP, too.
///
/// # Errors
/// If nobody answers, or something else than HTTP.
pub fn status(address: impl ToSocketAddrs) -> io::Result<u16> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, QUESTION_MAX)?;
    stream.set_read_timeout(Some(QUESTION_MAX))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

/// Whether the box says that it is healthy. Until it is ready nobody may listen, which is no error.
pub fn is_ready(address: impl ToSocketAddrs) -> bool {
    matches!(status(address), Ok(200))
}

#[cfg(test)]
mod tests;
