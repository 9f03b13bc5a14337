//! The recording itself: `leaves` and the chunks, walked side by side in constant memory.
//!
//! Each chunk is hashed and compared with its line. Two roots grow along: one over the lines, one over the chunks. Where
//! line and chunk differ, the side whose root fits what was anchored is right and the other one is blamed.

use std::io::{self, BufRead, BufReader, Read};

use super::report::Findings;
use super::{Expected, Files, Place, Progress, contains};
use crate::export::{self, CHECKPOINT, LEAVES, MANIFEST, PROOF};
use crate::hash::{Blake3, Hash, LeafHasher};
use crate::manifest::CHUNKS_MAX;
use crate::merkle::Frontier;

/// The bytes of a line of `leaves`, with its newline.
const LINE_BYTES: usize = 45;
/// How much of a chunk is read at once: large enough for the hash to work on many blocks in parallel.
const BUFFER_BYTES: usize = 128 * 1024;
/// The most differing chunks remembered until it is known which side is wrong; beyond that they are counted by the
/// findings' own limit anyway.
const DIFFERING_MAX: usize = super::FINDINGS_MAX;

/// The recording's files and what they must amount to.
pub(super) struct Content<'a> {
    pub(super) files: &'a dyn Files,
    /// All names, sorted.
    pub(super) names: &'a [String],
    /// What was anchored, if that can be told.
    pub(super) expected: Option<Expected>,
}

/// What the walk has seen so far.
struct Walk {
    lines: Frontier<Blake3>,
    chunks: Frontier<Blake3>,
    /// Indexes at which both sides can be read and differ, and how many more there are.
    differing: Vec<u64>,
    more_differing: u64,
    /// Whether there is an index at which neither side can be read, so that no root can fit.
    holes: bool,
    bytes: u64,
    buffer: Vec<u8>,
}

/// One step of `leaves`.
enum Line {
    Hash(Hash),
    Garbled,
    End,
}

impl Content<'_> {
    /// Checks leaves and chunks and names what does not belong.
    pub(super) fn check(&self, findings: &mut Findings, progress: &mut dyn FnMut(Progress)) {
        let walk = self.walk(findings, progress);
        self.check_names(walk.chunks.size(), findings);
        walk.blame(self.expected.map(|expected| expected.root), findings);
    }

    fn walk(&self, findings: &mut Findings, progress: &mut dyn FnMut(Progress)) -> Walk {
        let mut walk = Walk::new();
        let mut leaves = self.open_leaves(findings);
        let total = self.expected.map(|expected| expected.chunks.min(CHUNKS_MAX));
        for index in 0..total.unwrap_or(CHUNKS_MAX) {
            let line = next_line(&mut leaves, index, findings);
            // Without a count from manifest or anchor, the recording ends where `leaves` does.
            if total.is_none() && matches!(line, Line::End) {
                break;
            }
            if matches!(line, Line::End) && leaves.take().is_some() {
                findings.wrong(Place::Leaves, format!("ends after {index} lines"));
            }
            let chunk = self.hash_chunk(index, &mut walk, findings);
            walk.step(index, &line, chunk);
            progress(Progress { chunks_done: index + 1, chunks_total: total, bytes_done: walk.bytes });
        }
        if leaves.is_some() && !matches!(next_line(&mut leaves, walk.lines.size(), findings), Line::End) {
            findings.wrong(Place::Leaves, "has more lines than the recording has chunks".to_owned());
        }
        walk
    }

    fn open_leaves(&self, findings: &mut Findings) -> Option<BufReader<Box<dyn Read>>> {
        if !contains(self.names, LEAVES) {
            findings.wrong(Place::Leaves, "is missing".to_owned());
            return None;
        }
        match self.files.open(LEAVES) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) => {
                findings.unreadable(Place::Leaves, format!("can't be read: {error}"));
                None
            }
        }
    }

    fn hash_chunk(&self, index: u64, walk: &mut Walk, findings: &mut Findings) -> Option<Hash> {
        let name = export::chunk_name(index);
        if !contains(self.names, &name) {
            findings.wrong(Place::Chunk(index), "is missing".to_owned());
            return None;
        }
        match self.files.open(&name).and_then(|file| walk.hash(file)) {
            Ok(hash) => Some(hash),
            Err(error) => {
                findings.unreadable(Place::Chunk(index), format!("can't be read: {error}"));
                None
            }
        }
    }

    /// Names every file that the proof does not cover.
    fn check_names(&self, chunks: u64, findings: &mut Findings) {
        for name in self.names {
            // How many chunks belong to the recording is known from manifest or anchor only.
            if self.expected.is_none() && export::chunk_index(name).is_some() {
                continue;
            }
            let known = [MANIFEST, LEAVES, PROOF, CHECKPOINT].contains(&name.as_str())
                || export::chunk_index(name).is_some_and(|index| index < chunks);
            if !known {
                let problem = "does not belong to the export and is not covered by the proof: remove it";
                findings.wrong(Place::File(name.clone()), problem.to_owned());
            }
        }
    }
}

impl Walk {
    fn new() -> Self {
        Self {
            lines: Frontier::new(),
            chunks: Frontier::new(),
            differing: Vec::new(),
            more_differing: 0,
            holes: false,
            bytes: 0,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    fn hash(&mut self, mut chunk: Box<dyn Read>) -> io::Result<Hash> {
        let mut hasher = LeafHasher::new();
        loop {
            match chunk.read(&mut self.buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) => {
                    hasher.update(&self.buffer[..length]);
                    self.bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes one line and one chunk. Where a side has nothing readable, which was reported, the other one stands in for
    /// it, so that its root can still tell whether the rest is right.
    fn step(&mut self, index: u64, line: &Line, chunk: Option<Hash>) {
        let line = match line {
            Line::Hash(hash) => Some(*hash),
            Line::Garbled | Line::End => None,
        };
        if line.is_some() && chunk.is_some() && line != chunk {
            if self.differing.len() < DIFFERING_MAX {
                self.differing.push(index);
            } else {
                self.more_differing += 1;
            }
        }
        // With neither side, any hash will do: no root fits then, and both sides were named.
        self.holes |= line.is_none() && chunk.is_none();
        self.lines.push(line.or(chunk).unwrap_or_default());
        self.chunks.push(chunk.or(line).unwrap_or_default());
    }

    /// Names the side that is wrong.
    fn blame(&self, expected: Option<Hash>, findings: &mut Findings) {
        let lines_fit = expected == Some(self.lines.root());
        let chunks_fit = expected == Some(self.chunks.root());
        for index in &self.differing {
            let line = index + 1;
            if lines_fit {
                findings.wrong(Place::Chunk(*index), format!("is not what was recorded: line {line} of leaves holds"));
            } else if chunks_fit {
                findings.wrong(Place::Leaf(*index), "is not the hash of its chunk, and the chunk is right".to_owned());
            } else {
                let problem = format!("differs from line {line} of leaves, and neither can be shown to be right");
                findings.wrong(Place::Chunk(*index), problem);
            }
        }
        if self.more_differing > 0 {
            findings.wrong(Place::Leaves, format!("differs from {} more chunks", self.more_differing));
        }
        if self.differing.is_empty() && !self.holes && expected.is_some() && !lines_fit {
            let problem = "and the chunks are together not what was anchored: the root differs";
            findings.wrong(Place::Leaves, problem.to_owned());
        }
    }
}

fn next_line(leaves: &mut Option<BufReader<Box<dyn Read>>>, index: u64, findings: &mut Findings) -> Line {
    let Some(reader) = leaves else { return Line::End };
    let mut line = Vec::with_capacity(LINE_BYTES + 1);
    match reader.take(LINE_BYTES as u64 + 1).read_until(b'\n', &mut line) {
        Err(error) => {
            findings.unreadable(Place::Leaf(index), format!("can't be read: {error}"));
            *leaves = None;
            Line::End
        }
        Ok(0) => Line::End,
        Ok(_) => match export::parse_leaf_line(&line) {
            Some(hash) => Line::Hash(hash),
            None => {
                findings.wrong(Place::Leaf(index), "is not 32 bytes of canonical base64 and a newline".to_owned());
                Line::Garbled
            }
        },
    }
}
