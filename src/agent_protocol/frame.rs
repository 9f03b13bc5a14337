//! One message: four bytes of length, big-endian, and as many bytes of JSON.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::update::DATA_BYTES_MAX;

/// Longest message in bytes without its length. The largest reply, a list of disks, is cut to it; a request has
/// hundreds of bytes.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;

/// In this time a message has arrived or was taken as a whole, counted from when it was waited for. Longer silence ends
/// a connection.
pub const MESSAGE_MAX: Duration = Duration::from_secs(10);

/// Bytes of the length.
const LENGTH_BYTES: usize = 4;

/// Why a message could not be read or sent. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is zero or too large.
    #[error("a message of {bytes} bytes, where 1 to {FRAME_BYTES_MAX} are allowed; close the connection and ask less")]
    Length {
        /// What it is.
        bytes: usize,
    },
    /// A frame of a bundle's bytes is too long.
    #[error("a frame of {bytes} bytes, where {DATA_BYTES_MAX} are allowed; connect and send the bundle again")]
    Data {
        /// What it is.
        bytes: usize,
    },
    /// The connection ended in mid-message.
    #[error("the connection ended in mid-message; connect and ask again")]
    Truncated,
    /// The other side took too long.
    #[error("the other side was silent for too long; connect and ask again")]
    Silent,
    /// Anything else about the connection.
    #[error("the connection broke; connect and ask again")]
    Connection(#[source] io::Error),
    /// The bytes are no message.
    #[error("not a message that is understood; both sides must be of the same release")]
    Meaning(#[source] serde_json::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            // A read time-out of a socket is the one, of a write the other, depending on the system.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Connection(error),
        }
    }
}

/// The bytes of the next message; `None` if the connection ended before it.
///
/// # Errors
/// See [`FrameError`]; [`FrameError::Meaning`] does not occur.
pub fn read_frame(reader: &mut impl Read) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; LENGTH_BYTES];
    // One byte alone, so that an end before a message is told from one within it.
    if reader.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..])?;
    let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if bytes == 0 || bytes > FRAME_BYTES_MAX {
        return Err(FrameError::Length { bytes });
    }
    let mut frame = vec![0; bytes];
    reader.read_exact(&mut frame)?;
    Ok(Some(frame))
}

/// The next message; `None` if the connection ended before it.
///
/// # Errors
/// See [`FrameError`].
pub fn receive<T: DeserializeOwned>(reader: &mut impl Read) -> Result<Option<T>, FrameError> {
    let Some(frame) = read_frame(reader)? else { return Ok(None) };
    serde_json::from_slice(&frame).map(Some).map_err(FrameError::Meaning)
}

/// Sends a message.
///
/// # Errors
/// [`FrameError::Length`] if it is too long: then nothing was sent. Else what the connection says.
pub fn send(writer: &mut impl Write, message: &impl Serialize) -> Result<(), FrameError> {
    let json = serde_json::to_vec(message).map_err(FrameError::Meaning)?;
    let length = u32::try_from(json.len()).ok().filter(|_| json.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or(FrameError::Length { bytes: json.len() })?;
    // One write, so that a reader never sees half of it for long.
    let frame = [length.to_be_bytes().as_slice(), &json].concat();
    writer.write_all(&frame)?;
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests;
