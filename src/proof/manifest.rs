//! Session manifests: what a recording consists of, as a signed note.
//!
//! The text is one `key value` per line in a fixed order behind the line `lucid.session/v1`. It is read strictly: only
//! the text that [`Manifest::text`] writes is accepted.

use data_encoding::BASE64;

use crate::checkpoint::parse_decimal;
use crate::hash::{Blake3, Hash, TreeHash};
use crate::note::{self, NoteError, Opened, Signer, VerifierKey};
use crate::time::{TimeError, TimeTrust, parse_rfc3339, rfc3339};

/// The first line.
const FORMAT: &str = "lucid.session/v1";
/// How chunks are compressed.
const COMPRESSION: &str = "zstd";
/// How chunks are encrypted.
const CIPHER: &str = "xchacha20poly1305";
/// The most chunks of a session; at one chunk every 5 s these last 57 days.
pub const CHUNKS_MAX: u64 = 1_000_000;
/// The most recorded bytes in one chunk, before compression: 64 MiB is the largest chunk size that can be set, and what
/// a reader must be ready to hold at once.
pub const CHUNK_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a recording consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The session's UUID.
    pub id: [u8; 16],
    /// When the recording began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, in milliseconds since 1970; not before it began.
    pub ended_ms: u64,
    /// The lesser trust of the two times.
    pub time_trust: TimeTrust,
    /// How many bytes were recorded, before compression and encryption; without the key this can't be checked.
    pub bytes: u64,
    /// How many chunks; at most [`CHUNKS_MAX`].
    pub chunks: u64,
    /// The root over the chunks: a BLAKE3 tree whose leaves are the chunk files.
    pub root: Hash,
}

/// Why a manifest can't be made, read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The note around it is not in order.
    #[error("the manifest is not a valid signed note")]
    Note(#[source] NoteError),
    /// The first line names another format.
    #[error("the manifest's first line is not `{FORMAT}` (a newer release may read it)")]
    Format,
    /// A line is missing, garbled or out of place.
    #[error("the manifest's line `{key}` {problem}")]
    Line {
        /// The line's key.
        key: &'static str,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// A time can't be read or written.
    #[error("the manifest's line `{key}` has no valid time")]
    Time {
        /// The line's key.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        source: TimeError,
    },
}

impl Manifest {
    /// The text that is signed.
    ///
    /// # Errors
    /// [`ManifestError`] if a value is out of bounds or contradicts another.
    pub fn text(&self) -> Result<String, ManifestError> {
        self.check()?;
        let time = |key, unix_ms| rfc3339(unix_ms).map_err(|source| ManifestError::Time { key, source });
        let lines = [
            FORMAT.to_owned(),
            format!("id {}", uuid::Uuid::from_bytes(self.id).hyphenated()),
            format!("started {}", time("started", self.started_ms)?),
            format!("ended {}", time("ended", self.ended_ms)?),
            format!("time-trust {}", self.time_trust.as_str()),
            format!("bytes {}", self.bytes),
            format!("chunks {}", self.chunks),
            format!("root {}", BASE64.encode(&self.root)),
            format!("tree {}", Blake3::NAME),
            format!("compression {COMPRESSION}"),
            format!("cipher {CIPHER}"),
        ];
        Ok(lines.join("\n") + "\n")
    }

    /// Reads the signed text, strictly.
    ///
    /// # Errors
    /// [`ManifestError`] names the line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = Lines(text);
        if lines.next() != Some(FORMAT) {
            return Err(ManifestError::Format);
        }
        let manifest = Self {
            id: lines.value("id", "is not a UUID", parse_uuid)?,
            started_ms: lines.time("started")?,
            ended_ms: lines.time("ended")?,
            time_trust: lines.value("time-trust", "is none of the known words", TimeTrust::parse)?,
            bytes: lines.value("bytes", "is not a plain decimal number", parse_decimal)?,
            chunks: lines.value("chunks", "is not a plain decimal number", parse_decimal)?,
            root: lines.value("root", "is not 32 bytes of canonical base64", parse_root)?,
        };
        for (key, known) in [("tree", Blake3::NAME), ("compression", COMPRESSION), ("cipher", CIPHER)] {
            lines
                .value(key, "names a method that this release does not know", |found| (found == known).then_some(()))?;
        }
        if !lines.0.is_empty() {
            return Err(ManifestError::Line { key: "cipher", problem: "is followed by more lines" });
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as a signed note; these exact bytes are what an anchor's `manifest` is the SHA-256 of.
    ///
    /// # Errors
    /// [`ManifestError`] if a value is out of bounds.
    pub fn sign(&self, signer: &Signer) -> Result<String, ManifestError> {
        note::sign(&self.text()?, &[signer]).map_err(ManifestError::Note)
    }

    /// Opens a signed manifest.
    ///
    /// # Errors
    /// Says what is wrong with note or text.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<(Self, Opened), ManifestError> {
        let opened = note::open(note, keys).map_err(ManifestError::Note)?;
        Ok((Self::parse(&opened.text)?, opened))
    }

    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |key, problem| Err(ManifestError::Line { key, problem });
        if self.ended_ms < self.started_ms {
            return wrong("ended", "is before the beginning");
        }
        if self.chunks > CHUNKS_MAX {
            return wrong("chunks", "is above the limit of 1000000");
        }
        // Can't overflow: 10^6 chunks of 64 MiB.
        if self.bytes > self.chunks * CHUNK_BYTES_MAX {
            return wrong("bytes", "is more than the chunks can hold");
        }
        Ok(())
    }
}

/// The lines not read yet; each must end with a newline.
struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (line, rest) = self.0.split_once('\n')?;
        self.0 = rest;
        Some(line)
    }

    fn text(&mut self, key: &'static str) -> Result<&'a str, ManifestError> {
        let missing = ManifestError::Line { key, problem: "is missing or not in its place" };
        self.next().and_then(|line| line.strip_prefix(key)?.strip_prefix(' ')).ok_or(missing)
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        problem: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ManifestError> {
        parse(self.text(key)?).ok_or(ManifestError::Line { key, problem })
    }

    fn time(&mut self, key: &'static str) -> Result<u64, ManifestError> {
        parse_rfc3339(self.text(key)?).map_err(|source| ManifestError::Time { key, source })
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let id = uuid::Uuid::try_parse(text).ok()?;
    (id.hyphenated().to_string() == text).then_some(id.into_bytes())
}

fn parse_root(text: &str) -> Option<Hash> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
