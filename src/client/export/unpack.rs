//! Unpacks the archive of an export, trusting nothing in it.
//!
//! Accepts regular files with exactly the names of an export (docs/formats.md), each once and of bounded size. Names
//! are compared with a list, never joined to a path as they came, so that no name can lead elsewhere. Extension
//! headers (long names, links, pax) are refused like any other unexpected entry: the names of an export are short.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Archive, Entry, EntryType};

/// The files besides the chunks, with the most bytes each may have. Leaves are 45 bytes for each of up to a million
/// chunks; signed notes are limited to 1 MB by their format; a proof grows with the logarithm of the chain.
const FILES: [(&str, u64); 4] =
    [("manifest", 1_000_000), ("leaves", 64 << 20), ("proof.json", 16 << 20), ("checkpoint", 1_000_000)];
/// Most bytes of a chunk file: the largest chunk (64 MiB) that does not compress, with room for what is added.
const CHUNK_BYTES_MAX: u64 = 65 << 20;
/// Most chunks of a session.
const CHUNKS_MAX: u64 = 1_000_000;
/// Copied at once, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// What was unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpacked {
    /// Number of chunk files, without a gap from 0.
    pub(super) chunks: u64,
    /// Sum of the lengths of all files.
    pub(super) bytes: u64,
}

/// Why unpacking ended.
#[derive(Debug)]
pub(super) enum UnpackError {
    /// The archive can't be read further.
    Stream(io::Error),
    /// The files can't be written.
    Write(io::Error),
    /// The archive holds what it must not, or lacks what it must hold.
    Refused(String),
}

/// Unpacks `archive` into the existing, empty `folder`, and makes it durable. `step` hears of every piece and can end
/// it.
pub(super) fn unpack(
    archive: impl Read,
    folder: &Path,
    mut step: impl FnMut(usize) -> io::Result<()>,
) -> Result<Unpacked, UnpackError> {
    fs::create_dir(folder.join("chunks")).map_err(UnpackError::Write)?;
    let mut archive = Archive::new(archive);
    let (mut seen, mut bytes) = (BTreeSet::new(), 0);
    for entry in archive.entries().map_err(UnpackError::Stream)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::Stream)?;
        let Some(name) = accept(&entry)? else { continue };
        if !seen.insert(name.clone()) {
            return Err(UnpackError::Refused(format!("`{name}` comes twice")));
        }
        write(&mut entry, &folder.join(&name), &mut step)?;
        bytes += entry.size();
    }
    let sync = fs::File::open(folder.join("chunks")).and_then(|chunks| chunks.sync_all());
    sync.map_err(UnpackError::Write)?;
    Ok(Unpacked { chunks: complete(&seen)?, bytes })
}

/// The name to write to; `None` for the directory of the chunks, which is there already.
fn accept(entry: &Entry<'_, impl Read>) -> Result<Option<String>, UnpackError> {
    let shown = crate::api::escaped(&String::from_utf8_lossy(&entry.path_bytes()));
    let bytes = entry.path_bytes();
    let name = std::str::from_utf8(&bytes).unwrap_or_default();
    let kind = entry.header().entry_type();
    if kind == EntryType::Directory && matches!(name, "chunks" | "chunks/") {
        return Ok(None);
    }
    let Some(bytes_max) = bytes_max(name).filter(|_| kind == EntryType::Regular) else {
        return Err(UnpackError::Refused(format!("`{shown}` ({kind:?}) does not belong to an export")));
    };
    if entry.size() > bytes_max {
        return Err(UnpackError::Refused(format!("`{shown}` has {} bytes, more than {bytes_max}", entry.size())));
    }
    Ok(Some(name.to_owned()))
}

fn bytes_max(name: &str) -> Option<u64> {
    let listed = FILES.iter().find(|(file, _)| *file == name).map(|(_, bytes_max)| *bytes_max);
    listed.or_else(|| chunk_index(name).map(|_| CHUNK_BYTES_MAX))
}

/// The index in `chunks/00000000.chunk`; at least eight digits, and only one spelling for each index.
fn chunk_index(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("chunks/")?.strip_suffix(".chunk")?;
    let index = digits.parse().ok().filter(|index| *index < CHUNKS_MAX)?;
    (chunk_name(index) == name).then_some(index)
}

fn chunk_name(index: u64) -> String {
    format!("chunks/{index:08}.chunk")
}

fn write(
    entry: &mut Entry<'_, impl Read>,
    path: &Path,
    step: &mut impl FnMut(usize) -> io::Result<()>,
) -> Result<(), UnpackError> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(UnpackError::Write)?;
    let mut buffer = vec![0; PIECE_BYTES];
    let mut left = entry.size();
    while left > 0 {
        let length = entry.read(&mut buffer).map_err(UnpackError::Stream)?;
        if length == 0 {
            return Err(UnpackError::Stream(io::ErrorKind::UnexpectedEof.into()));
        }
        file.write_all(&buffer[..length]).map_err(UnpackError::Write)?;
        step(length).map_err(UnpackError::Stream)?;
        left = left.saturating_sub(length as u64);
    }
    file.sync_all().map_err(UnpackError::Write)
}

/// The number of chunks, if nothing is missing.
fn complete(seen: &BTreeSet<String>) -> Result<u64, UnpackError> {
    let missing = |name: &str| UnpackError::Refused(format!("`{name}` is missing"));
    for (name, _) in FILES {
        if !seen.contains(name) {
            return Err(missing(name));
        }
    }
    let chunks = (seen.len() - FILES.len()) as u64;
    match (0..chunks).map(chunk_name).find(|name| !seen.contains(name)) {
        Some(name) => Err(missing(&name)),
        None => Ok(chunks),
    }
}

#[cfg(test)]
pub(crate) mod tests;
