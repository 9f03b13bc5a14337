//! Strict reading and writing of the binary framing: little-endian lengths, no slack.
//!
//! A reader never allocates by a length that it was told before it has seen that many bytes.

/// Why bytes are not the layout that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Another file.
    #[error("this is no {what}: its first bytes are others; choose the file that was published as such")]
    Magic {
        /// What it should be.
        what: &'static str,
    },
    /// The bytes end before the layout does.
    #[error("{what} ends early; get the file again, from its beginning")]
    Ended {
        /// What was read.
        what: &'static str,
    },
    /// Bytes follow that don't belong to it.
    #[error("{what} is followed by {bytes} bytes that do not belong to it; get the file again")]
    Trailing {
        /// What was read.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A length or count is out of bounds.
    #[error("{what} counts {found}, where {min} to {max} are allowed; get the file again, or have it built anew")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The value found.
        found: usize,
        /// The lowest allowed.
        min: usize,
        /// The highest allowed.
        max: usize,
    },
    /// A document carries two signatures of one key.
    #[error("a document carries two signatures of one key; have it signed anew, by distinct keys")]
    SignedTwice,
}

/// Reads one thing from bytes, front to back.
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins to read `what`.
    pub(crate) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// The next `length` bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], LayoutError> {
        let (slice, rest) = self.rest.split_at_checked(length).ok_or(LayoutError::Ended { what: self.what })?;
        self.rest = rest;
        Ok(slice)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N)?);
        Ok(array)
    }

    /// A count of one byte.
    pub(crate) fn count(&mut self, what: &'static str, min: usize, max: usize) -> Result<usize, LayoutError> {
        let [found] = self.array()?;
        bounded(what, usize::from(found), min, max)
    }

    /// A length of four bytes.
    pub(crate) fn length(&mut self, what: &'static str, min: usize, max: usize) -> Result<usize, LayoutError> {
        // A length that does not fit is above every limit, too.
        let found = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        bounded(what, found, min, max)
    }

    /// Ends the reading: nothing may be left.
    pub(crate) const fn finish(self) -> Result<(), LayoutError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(LayoutError::Trailing { what: self.what, bytes }),
        }
    }
}

/// `found`, if it is within its bounds.
pub(crate) fn bounded(what: &'static str, found: usize, min: usize, max: usize) -> Result<usize, LayoutError> {
    if (min..=max).contains(&found) { Ok(found) } else { Err(LayoutError::Limit { what, found, min, max }) }
}

/// Appends a count of one byte.
pub(crate) fn put_count(
    out: &mut Vec<u8>,
    what: &'static str,
    count: usize,
    min: usize,
    max: usize,
) -> Result<(), LayoutError> {
    bounded(what, count, min, max.min(usize::from(u8::MAX)))?;
    out.push(u8::try_from(count).expect("it is within a byte"));
    Ok(())
}

/// Appends `bytes` with their length of four bytes in front.
pub(crate) fn put_bytes(out: &mut Vec<u8>, what: &'static str, bytes: &[u8], max: usize) -> Result<(), LayoutError> {
    let length = bounded(what, bytes.len(), 1, max.min(HEADER_MAX))?;
    out.extend_from_slice(&u32::try_from(length).expect("it is below the longest header").to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// What every length is below, so that it fits into four bytes.
const HEADER_MAX: usize = crate::limits::HEADER_BYTES_MAX as usize;
