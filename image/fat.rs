//! FAT32 file systems, by dosfstools and mtools: made in one go, and read where they lie in an image.

use std::fs::File;
use std::path::Path;

use crate::boot_files::FatFile;
use crate::error::Error;
use crate::tool::{MCOPY, MDIR, MKFS_VFAT, MMD, MSHOWFAT, MTYPE, Run};

/// What tells one FAT file system from another.
pub(crate) struct Volume {
    pub(crate) label: &'static str,
    /// Eight hexadecimal digits.
    pub(crate) id: &'static str,
    /// Few enough that there are more than 65 524 clusters: with less, readers take it for FAT16.
    pub(crate) cluster_sectors: u32,
}

/// Makes `image`, of `bytes` bytes, with `files` one behind the other in this order.
pub(crate) fn make(image: &Path, bytes: u64, volume: &Volume, files: &[FatFile], epoch_s: u64) -> Result<(), Error> {
    let file = File::create(image).map_err(Error::file("create", image))?;
    file.set_len(bytes).map_err(Error::file("extend", image))?;
    MKFS_VFAT
        .args(["-F", "32", "-S", "512", "-R", "32", "-f", "2", "--invariant"])
        .arg("-s")
        .arg(volume.cluster_sectors.to_string())
        .arg("-i")
        .arg(volume.id)
        .arg("-n")
        .arg(volume.label)
        .arg(image)
        .bytes()?;
    let mut made = None;
    for file in files {
        let folder = file.name.split_once('/').map(|(folder, _)| folder);
        if folder.is_some() && folder != made {
            in_image(MMD.args(["-i"]), image, 0)
                .arg(format!("::{}", folder.unwrap_or_default()))
                .at(epoch_s)
                .bytes()?;
            made = folder;
        }
        let copy = in_image(MCOPY.args(["-i"]), image, 0).arg(&file.source).arg(format!("::{}", file.name));
        copy.at(epoch_s).bytes()?;
    }
    Ok(())
}

/// `tool`, whose last argument is `-i`, on the file system that begins at `start_bytes` of `disk`.
fn in_image(tool: Run, disk: &Path, start_bytes: u64) -> Run {
    let mut place = disk.as_os_str().to_owned();
    place.push(format!("@@{start_bytes}"));
    tool.arg(place)
}

/// Reads the file `name` of the file system that begins at `start_bytes` of `disk`.
pub(crate) fn read(disk: &Path, start_bytes: u64, name: &str) -> Result<Vec<u8>, Error> {
    in_image(MTYPE.args(["-i"]), disk, start_bytes).arg(format!("::{name}")).bytes()
}

/// Whether the file `name` lies at the top of the file system that begins at `start_bytes` of `disk`.
pub(crate) fn has(disk: &Path, start_bytes: u64, name: &str) -> Result<bool, Error> {
    let said = in_image(MDIR.args(["-b", "-i"]), disk, start_bytes).arg("::").text()?;
    Ok(said.lines().any(|line| line.strip_prefix("::/") == Some(name)))
}

/// First and last cluster of a file that lies in one piece; None if it does not.
pub(crate) fn clusters(disk: &Path, start_bytes: u64, name: &str) -> Result<Option<(u64, u64)>, Error> {
    let said = in_image(MSHOWFAT.args(["-i"]), disk, start_bytes).arg(format!("::{name}")).text()?;
    Ok(one_piece(&said))
}

/// Reads mshowfat's `::/name <3-66>`; a file in pieces has several such ranges.
fn one_piece(said: &str) -> Option<(u64, u64)> {
    let (_, ranges) = said.trim_end().split_once('<')?;
    let range = ranges.strip_suffix('>')?;
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

#[cfg(test)]
mod tests;
