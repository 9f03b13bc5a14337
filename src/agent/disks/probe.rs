//! What is on a disk or a partition: the signatures that `blkid` knows, and whether there is anything at all.
//!
//! Promises: only what was read and found to be zeros counts as empty. `blkid` alone can't tell: it ends with the same
//! status for no signature and for a device that does not answer. Must never write to a device.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use lucid_agent_protocol::Content;

use crate::tool::{self, ToolError};

/// A disk that needs longer for a few reads is not fit for use.
const BLKID_MAX: Duration = Duration::from_secs(20);
/// Read from the beginning and from the end: partition tables, volume managers and RAIDs stand there, and the first
/// superblocks and inode tables of filesystems.
const SAMPLE_BYTES: u64 = 1024 * 1024;
/// Read at once. More would have the kernel hand out and take back a megabyte of pages for each sample.
const READ_BYTES: usize = 64 * 1024;
/// Longest label or kind that is kept, in characters; the longest label there is has 255.
const VALUE_CHARS_MAX: usize = 64;

/// `blkid`: something was found.
const FOUND: i32 = 0;
/// `blkid`: nothing was found, or the device can't be read.
const NOT_FOUND: i32 = 2;
/// `blkid`: signatures that exclude each other.
const AMBIVALENT: i32 = 8;

/// What is on `device`.
pub(crate) fn content(device: &Path) -> Content {
    let is_empty = || match is_zero(device) {
        Ok(true) => Content::Empty,
        Ok(false) => Content::Unknown,
        Err(error) => Content::Unreadable { reason: format!("reading `{}`: {error}", device.display()) },
    };
    match ask(device) {
        Ok(found) => found.unwrap_or_else(is_empty),
        Err(error) => Content::Unreadable { reason: error.to_string() },
    }
}

/// The name of a partition, as the table on the disk has it. The kernel knows none of a partition that it was told of
/// after it had read the table.
pub(crate) fn name_in_table(partition: &Path) -> Option<String> {
    let device = partition.to_string_lossy();
    let said = tool::run("blkid", &["-p", "-s", "PART_ENTRY_NAME", "-o", "value", &device], BLKID_MAX);
    match said {
        Ok(said) => Some(plain(said.text.trim())).filter(|name| said.status == FOUND && !name.is_empty()),
        Err(error) => {
            tracing::warn!(%device, %error, "the partition's name can't be read");
            None
        }
    }
}

/// Whether beginning and end hold nothing but zeros.
fn is_zero(device: &Path) -> io::Result<bool> {
    let mut device = File::open(device)?;
    let size = device.seek(SeekFrom::End(0))?;
    if size == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has no size"));
    }
    let end = size.saturating_sub(SAMPLE_BYTES);
    // Both, also where the first already decides: a device that can be read in part is not readable.
    let (first, last) = (sample_is_zero(&mut device, 0)?, sample_is_zero(&mut device, end)?);
    Ok(first && last)
}

/// Reads the whole sample, also where its first bytes already decide.
fn sample_is_zero(device: &mut File, from: u64) -> io::Result<bool> {
    device.seek(SeekFrom::Start(from))?;
    let mut sample = device.take(SAMPLE_BYTES);
    let mut buffer = [0; READ_BYTES];
    let mut is_zero = true;
    loop {
        match sample.read(&mut buffer) {
            Ok(0) => return Ok(is_zero),
            Ok(read) => is_zero &= buffer[..read].iter().all(|byte| *byte == 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What `blkid` finds by reading the device itself (`-p`), without its cache.
fn ask(device: &Path) -> Result<Option<Content>, ToolError> {
    let device = device.to_string_lossy();
    let said = tool::run("blkid", &["-p", "-o", "export", &device], BLKID_MAX)?;
    Ok(match said.status {
        FOUND => found(&said.text),
        NOT_FOUND => None,
        AMBIVALENT => Some(Content::Ambiguous),
        status => {
            let reason = format!("`blkid` ended with status {status} for `{device}`: {}", said.shown());
            Some(Content::Unreadable { reason })
        }
    })
}

/// What lines of `NAME=value` tell. A partition has some of the table around it in any case.
fn found(text: &str) -> Option<Content> {
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.split_once('='));
        values.find(|(key, _)| *key == name).map(|(_, value)| plain(value))
    };
    match (value("TYPE"), value("PTTYPE")) {
        (Some(kind), None) => Some(Content::Signature { kind, label: value("LABEL"), uuid: value("UUID") }),
        (None, Some(kind)) => Some(Content::PartitionTable { kind, uuid: value("PTUUID") }),
        (Some(_), Some(_)) => Some(Content::Ambiguous),
        (None, None) => None,
    }
}

/// Without the backslashes that make a value fit for a shell, and bounded.
fn plain(value: &str) -> String {
    let mut letters = value.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain.chars().filter(|letter| !letter.is_control()).take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
