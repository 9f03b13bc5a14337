//! Writing a file past the page cache (`O_DIRECT`): memory, offset and length must be whole blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// The unit of the disk, in bytes: the page, which the logical block of no disk that Linux mounts exceeds.
pub(super) const BLOCK_BYTES: usize = 4096;

/// The last, partly filled block of a file.
#[repr(align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// Whether `bytes` begin where they must.
pub(super) fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().align_offset(BLOCK_BYTES) == 0
}

/// Writes `bytes`, which are aligned, to the file `temp` and syncs it.
///
/// # Errors
/// `InvalidInput` where the filesystem can't write like this; the file may then be there, with any content.
pub(super) fn write_new(temp: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::DIRECT.bits().cast_signed();
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).custom_flags(flags).open(temp)?;
    let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK_BYTES);
    let mut last = Block([0; BLOCK_BYTES]);
    last.0[..rest.len()].copy_from_slice(rest);
    let last_bytes = if rest.is_empty() { 0 } else { BLOCK_BYTES };
    write_all(&file, &mut [IoSlice::new(whole), IoSlice::new(&last.0[..last_bytes])])?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

/// As the unstable `Write::write_all_vectored`.
fn write_all(mut file: &File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Drops leading slices that are empty.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
