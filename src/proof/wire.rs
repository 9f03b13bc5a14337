//! Strict reading of the fixed binary layouts: big-endian numbers, no slack.
//!
//! A reader never allocates by a length it was told before it has seen that many bytes.

/// Why bytes are not the encoding of the thing they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the layout does.
    #[error("{what} ends early: {needed_bytes} more bytes expected at offset {offset}, {left_bytes} left")]
    Truncated {
        /// What was read.
        what: &'static str,
        /// Where the missing field begins.
        offset: usize,
        /// The size of the missing field.
        needed_bytes: usize,
        /// How many bytes were left.
        left_bytes: usize,
    },
    /// Bytes follow after the end of the layout.
    #[error("{what} is followed by {extra_bytes} bytes that do not belong to it")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many bytes follow.
        extra_bytes: usize,
    },
    /// The version byte names a layout that this release does not know.
    #[error("{what} has version {found}, this release reads version {known} (a newer release may read it)")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The version known.
        known: u8,
    },
    /// A count or size is above its limit.
    #[error("{what} counts {found}, the limit is {max}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The value found.
        found: u64,
        /// The highest value allowed.
        max: u64,
    },
    /// A field has a value that the format does not allow.
    #[error("{what} {problem}")]
    Value {
        /// Which field.
        what: &'static str,
        /// What is wrong with its value, as the end of a sentence.
        problem: &'static str,
    },
}

/// Reads one thing from bytes, front to back.
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Begins to read `what` from the bytes.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, offset: 0 }
    }

    /// The next `length` bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let left = &self.bytes[self.offset..];
        let Some(slice) = left.get(..length) else {
            return Err(DecodeError::Truncated {
                what: self.what,
                offset: self.offset,
                needed_bytes: length,
                left_bytes: left.len(),
            });
        };
        self.offset += length;
        Ok(slice)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A version byte, which must be the known one.
    pub(crate) fn version(&mut self, known: u8) -> Result<(), DecodeError> {
        match self.u8()? {
            found if found == known => Ok(()),
            found => Err(DecodeError::Version { what: self.what, found, known }),
        }
    }

    /// A count of two bytes, which must not be above `max`.
    pub(crate) fn count(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let found = usize::from(self.u16()?);
        if found > max {
            return Err(DecodeError::Limit { what, found: found as u64, max: max as u64 });
        }
        Ok(found)
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            extra_bytes => Err(DecodeError::Trailing { what: self.what, extra_bytes }),
        }
    }
}
