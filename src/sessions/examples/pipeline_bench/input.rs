//! What is recorded: a text that compresses, and noise that does not.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::{MIB, Outcome};

/// As the appliance has it by default.
pub(crate) const CHUNK_BYTES: usize = 8 * MIB;
/// Different chunks of each kind of input, so that no stage sees the same one twice in a row.
pub(crate) const CHUNKS: usize = 4;
/// What one read of a socket gives at most.
const PIECE_BYTES: usize = 64 * 1024;

/// What is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Noise,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Text, Self::Noise];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Noise => "noise",
        }
    }

    pub(crate) fn parse(name: &str) -> Outcome<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| format!("`{name}` is neither `text` nor `noise`").into())
    }

    /// So many chunks that repeat.
    pub(crate) fn input(self) -> Bytes {
        match self {
            Self::Text => text(),
            Self::Noise => noise(),
        }
    }
}

/// Words in a random order: compresses about as a screen of text does.
fn text() -> Bytes {
    const WORDS: [&str; 16] = [
        "session ",
        "window ",
        "the ",
        "of ",
        "draws ",
        "a line ",
        "scrolls ",
        "\n",
        "0x",
        "and ",
        "cursor ",
        "blinks ",
        "keyboard ",
        "pointer ",
        "moves ",
        "to ",
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    let mut bytes = Vec::with_capacity(CHUNKS * CHUNK_BYTES + 16);
    while bytes.len() < CHUNKS * CHUNK_BYTES {
        match rng.u8(..4) {
            0 => bytes.extend(format!("{} ", rng.u32(..100_000)).into_bytes()),
            _ => bytes.extend(WORDS[rng.usize(..WORDS.len())].bytes()),
        }
    }
    bytes.truncate(CHUNKS * CHUNK_BYTES);
    bytes.into()
}

/// What no compressor makes smaller, as video is.
fn noise() -> Bytes {
    let mut bytes = vec![0; CHUNKS * CHUNK_BYTES];
    fastrand::Rng::with_seed(2).fill(&mut bytes);
    bytes.into()
}

/// A body of so many bytes, which takes no memory of its own.
pub(crate) fn body(input: &Bytes, bytes: usize) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + use<> {
    let input = input.clone();
    stream::iter((0..bytes).step_by(PIECE_BYTES).map(move |offset| {
        let begin = offset % input.len();
        Ok(input.slice(begin..begin + PIECE_BYTES.min(bytes - offset)))
    }))
}
