//! Export directories: all that is needed to check one recording offline.
//!
//! Owns the names of the files, the lines of `leaves`, `proof.json` ([`Proof`]) and the reading of a directory. Must
//! never follow a symbolic link: what is checked must be what lies in the directory.

mod directory;
mod proof;

pub use directory::{Directory, ENTRIES_MAX};
pub(crate) use proof::PROOF_BYTES_MAX;
pub use proof::{Also, AssembleError, Proof, ProofError};

use std::io::{self, Read};

use data_encoding::BASE64;

use crate::hash::Hash;

/// The signed manifest.
pub const MANIFEST: &str = "manifest";
/// The chunks' leaf hashes, one line each.
pub const LEAVES: &str = "leaves";
/// The way from the manifest to the checkpoint.
pub const PROOF: &str = "proof.json";
/// The signed checkpoint of the log of headers.
pub const CHECKPOINT: &str = "checkpoint";
/// The directory of the chunks.
pub const CHUNKS: &str = "chunks";

/// The files of an export, wherever they lie.
pub trait Files {
    /// The names of all files, relative and with `/` between their parts, in any order. What is neither a file nor the
    /// directory of chunks is named too, so that it can be reported.
    ///
    /// # Errors
    /// If the names can't be had.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading from its start.
    ///
    /// # Errors
    /// If it can't be opened or is not a plain file.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read>>;
}

/// The name of a chunk's file: `chunks/` and at least eight decimal digits.
#[must_use]
pub fn chunk_name(index: u64) -> String {
    format!("{CHUNKS}/{index:08}.chunk")
}

/// The index of the chunk whose file has this name, if it is such a name.
#[must_use]
pub fn chunk_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(CHUNKS)?.strip_prefix('/')?.strip_suffix(".chunk")?;
    let index = digits.parse().ok()?;
    (chunk_name(index) == name).then_some(index)
}

/// A chunk's line in `leaves`, with its newline.
#[must_use]
pub fn leaf_line(leaf: &Hash) -> String {
    BASE64.encode(leaf) + "\n"
}

/// Reads a line of `leaves`, with its newline.
#[must_use]
pub fn parse_leaf_line(line: &[u8]) -> Option<Hash> {
    BASE64.decode(line.strip_suffix(b"\n")?).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
