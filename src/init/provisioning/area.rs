//! The provisioning file as bytes of its partition: read, and overwritten in place.
//!
//! Works on whole clusters, so that nothing stays behind the file's end. Must never write outside of them: the FAT and
//! the directory stay byte by byte what they were.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lucid_fat::{Extent, Place};
use lucid_layout::provisioning::{FILE_BYTES_MAX, consumed, is_consumed};
use zeroize::Zeroizing;

use super::Use;
use crate::error::Error;

/// Bytes overwritten or compared at a time.
const CHUNK_BYTES: u64 = 64 * 1024;

/// The file on its partition.
pub(super) struct Area {
    device: PathBuf,
    place: Place,
    /// Its first clusters, as far as anybody reads the file.
    head: Zeroizing<Vec<u8>>,
    is_erased: bool,
}

/// A part of the file that lies in one piece.
struct Chunk {
    /// From the partition's beginning, in bytes.
    offset: u64,
    /// What the bytes become.
    content: Vec<u8>,
}

impl Area {
    /// Finds and reads the file `name`.
    pub(super) fn open(device: &Path, name: &str) -> Result<Self, Error> {
        let file = File::open(device).map_err(Error::io("open", device))?;
        let place = lucid_fat::find(&file, name)?;
        let head = read_head(&file, &place.extents).map_err(Error::io("read", device))?;
        let is_erased = is_overwritten(&file, &place.extents).map_err(Error::io("read", device))?;
        Ok(Self { device: device.to_owned(), place, head, is_erased })
    }

    /// The file's size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.place.size
    }

    /// The file's bytes, without those that nobody reads.
    pub(super) fn content(&self) -> &[u8] {
        let size = usize::try_from(self.place.size).unwrap_or(usize::MAX);
        &self.head[..size.min(self.head.len())]
    }

    /// How far the file is used up. The stamp counts from the first cluster, also of a file that is shorter.
    pub(super) fn usage(&self) -> Use {
        match (is_consumed(&self.head), self.is_erased) {
            (_, true) => Use::Erased,
            (true, false) => Use::Stamped,
            (false, false) => Use::Written,
        }
    }

    /// Overwrites the file, its stamp first, so that a cut leaves it recognisable. It is on the disk afterwards.
    pub(super) fn erase(&self) -> Result<(), Error> {
        let erase = || {
            let file = OpenOptions::new().read(true).write(true).open(&self.device)?;
            for chunk in chunks(&self.place.extents) {
                file.write_all_at(&chunk.content, chunk.offset)?;
            }
            file.sync_all()
        };
        erase().map_err(Error::io("overwrite the provisioning on", &self.device))
    }
}

fn read_head(file: &File, extents: &[Extent]) -> io::Result<Zeroizing<Vec<u8>>> {
    // Once, so that growing leaves no copies of secrets behind.
    let mut head = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
    for extent in extents {
        let (begin, room) = (head.len(), FILE_BYTES_MAX - head.len());
        let length = usize::try_from(extent.length).unwrap_or(usize::MAX).min(room);
        head.resize(begin + length, 0);
        file.read_exact_at(&mut head[begin..], extent.offset)?;
    }
    Ok(head)
}

fn is_overwritten(file: &File, extents: &[Extent]) -> io::Result<bool> {
    for chunk in chunks(extents) {
        let mut there = Zeroizing::new(vec![0; chunk.content.len()]);
        file.read_exact_at(&mut there, chunk.offset)?;
        if *there != chunk.content {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a used-up file holds, chunk by chunk. The first one holds the whole stamp: a cluster is at least one sector.
fn chunks(extents: &[Extent]) -> impl Iterator<Item = Chunk> {
    let pieces = extents.iter().flat_map(|extent| {
        let end = extent.offset + extent.length;
        (extent.offset..end).step_by(CHUNK_BYTES as usize).map(move |offset| (offset, (end - offset).min(CHUNK_BYTES)))
    });
    pieces.enumerate().map(|(index, (offset, length))| {
        // At most `CHUNK_BYTES`, which fits.
        let length = length as usize;
        Chunk { offset, content: if index == 0 { consumed(length) } else { vec![b'\n'; length] } }
    })
}
