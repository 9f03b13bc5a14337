//! A bundle's bytes on their way: frames of at most [`DATA_BYTES_MAX`], the empty one last.
//!
//! Promises: the reader holds no bytes of its own; a frame that does not begin, or does not end, within
//! [`DATA_SILENCE_MAX`] is an error. Must never take the end of the connection for the end of the bundle.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use crate::update::{DATA_BYTES_MAX, DATA_SILENCE_MAX};
use crate::{FrameError, Timed};

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// The bytes that come in frames, as one stream. A frame that is none is [`ErrorKind::InvalidData`].
#[derive(Debug)]
pub struct DataReader<'stream> {
    stream: &'stream UnixStream,
    frame: Timed<'stream>,
    /// Bytes of the frame that are still to come.
    left: usize,
    is_ended: bool,
}

impl<'stream> DataReader<'stream> {
    /// Reads what comes on `stream` from here on.
    #[must_use]
    pub fn new(stream: &'stream UnixStream) -> Self {
        Self { stream, frame: Timed::new(stream, DATA_SILENCE_MAX), left: 0, is_ended: false }
    }

    /// Whether the empty frame has come: then the connection is free for the next request.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Reads the next frame's length.
    fn begin_frame(&mut self) -> io::Result<()> {
        self.frame = Timed::new(self.stream, DATA_SILENCE_MAX);
        let mut length = [0; LENGTH_BYTES];
        self.frame.read_exact(&mut length)?;
        self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if self.left > DATA_BYTES_MAX {
            let bytes = std::mem::take(&mut self.left);
            return Err(io::Error::new(ErrorKind::InvalidData, FrameError::Data { bytes }));
        }
        self.is_ended = self.left == 0;
        Ok(())
    }
}

impl Read for DataReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.is_ended {
            return Ok(0);
        }
        if self.left == 0 {
            self.begin_frame()?;
        }
        let wanted = self.left.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.frame.read(&mut buffer[..wanted])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read;
                Ok(read)
            }
        }
    }
}

/// Sends one frame; the empty one ends the bundle. The other end may take as long as its disk does.
pub(crate) fn send_frame(stream: &UnixStream, bytes: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= DATA_BYTES_MAX);
    let length = length.ok_or(FrameError::Data { bytes: bytes.len() })?;
    let mut timed = Timed::new(stream, DATA_SILENCE_MAX);
    timed.write_all(&length.to_be_bytes())?;
    timed.write_all(bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests;
