//! The two partitions of a release: taken out of an image or given as files, and checked against each other.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lucid_bundle::{Kind, Manifest};
use lucid_layout::cmdline::{BLOCK_BYTES, Verity};
use lucid_layout::{EepromRelease, Release, Slot};
use tempfile::TempDir;

use super::error::need;
use crate::error::Error;
use crate::inspect::{SlotContent, slot_content};
use crate::{disk, verity};

/// Hashes in a block of the tree: SHA-256.
const HASHES_PER_BLOCK: u64 = BLOCK_BYTES / 32;

/// Where the partitions of a release come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An image that was built: its slot A.
    Image(PathBuf),
    /// The content of each partition as a file.
    Partitions {
        /// FAT32.
        boot: PathBuf,
        /// erofs with its tree; what follows is left out.
        root: PathBuf,
    },
}

/// Both partitions as files, found to belong together.
pub(super) struct Partitions {
    pub(super) boot: PathBuf,
    pub(super) root: PathBuf,
    pub(super) release: Release,
    pub(super) verity: Verity,
    pub(super) eeprom: Option<EepromRelease>,
    /// Holds the files, if they are copies.
    _folder: Option<TempDir>,
}

impl Partitions {
    /// Takes out, and checks.
    pub(super) fn open(source: &Source) -> Result<Self, Error> {
        match source {
            Source::Image(image) => {
                let table = disk::read_table(image)?;
                let folder = tempfile::tempdir().map_err(Error::file("make a folder beside", image))?;
                let (boot, root) = (folder.path().join("boot"), folder.path().join("root"));
                disk::extract(image, table[&Slot::A.boot()], &boot)?;
                disk::extract(image, table[&Slot::A.root()], &root)?;
                Self::check(boot, root, Some(folder))
            }
            Source::Partitions { boot, root } => Self::check(boot.clone(), root.clone(), None),
        }
    }

    /// Whether the boot partition can start the root, from either slot, and every block of the root is right.
    pub(super) fn check(boot: PathBuf, root: PathBuf, folder: Option<TempDir>) -> Result<Self, Error> {
        let SlotContent { release, verity, eeprom } = slot_content(&boot, Slot::A, 0)?;
        let other = slot_content(&boot, Slot::B, 0)?;
        need(other.verity == verity, &boot, || "its two command lines name different roots; build it anew".to_owned())?;
        need(release.root_hash == verity.root_hash, &boot, || {
            "its release and its command lines name different roots; build it anew".to_owned()
        })?;
        verity::check(&root, &verity)?;
        let broken = eeprom.as_ref().map_or_else(|| Ok(vec![]), |facts| crate::eeprom::problems(&boot, 0, facts))?;
        need(broken.is_empty(), &boot, || format!("the EEPROM that it carries: {}; build it anew", broken.join("; ")))?;
        Ok(Self { boot, root, release, verity, eeprom, _folder: folder })
    }

    /// The root's bytes, without what follows the tree.
    pub(super) fn open_root(&self) -> Result<impl Read, Error> {
        let root = File::open(&self.root).map_err(Error::file("open", &self.root))?;
        Ok(root.take(root_bytes(&self.verity)))
    }

    /// The boot partition's bytes up to the last block that is not all zero: behind it lie free clusters only.
    pub(super) fn open_boot(&self) -> Result<impl Read, Error> {
        let used = used_bytes(&self.boot)?;
        Ok(File::open(&self.boot).map_err(Error::file("open", &self.boot))?.take(used))
    }

    /// Refuses a manifest that says anything else than the release.
    pub(super) fn compare(&self, manifest: &Manifest, path: &Path) -> Result<(), Error> {
        let Release { version, build_id, epoch, data, root_hash: _ } = &self.release;
        let says = |what: &str| format!("its manifest names another {what} than the release in it; have it built anew");
        need(manifest.version == *version, path, || says("version"))?;
        need(manifest.build_id == *build_id, path, || says("build"))?;
        need(manifest.epoch == *epoch, path, || says("epoch"))?;
        need(manifest.data == *data, path, || says("data format"))?;
        let root = manifest.payload(Kind::Root).bytes;
        need(root == root_bytes(&self.verity), path, || says("length of the root"))
    }
}

/// Length of a root with its tree (kernel documentation, dm-verity: one hash of each block, and again of those, until
/// one block is left).
fn root_bytes(verity: &Verity) -> u64 {
    let (mut blocks, mut total) = (verity.data_blocks, verity.data_blocks);
    while blocks > 1 {
        blocks = blocks.div_ceil(HASHES_PER_BLOCK);
        total = total.saturating_add(blocks);
    }
    total.saturating_mul(BLOCK_BYTES)
}

/// Length of a file up to its last block with a byte other than zero.
fn used_bytes(path: &Path) -> Result<u64, Error> {
    let mut file = File::open(path).map_err(Error::file("open", path))?;
    let mut block = vec![0; BLOCK_BYTES as usize];
    let (mut at, mut used) = (0, 0);
    loop {
        let length = disk::read_chunk(&mut file, &mut block).map_err(Error::file("read", path))?;
        at += length as u64;
        if block[..length].iter().any(|byte| *byte != 0) {
            used = at;
        }
        if length < block.len() {
            return Ok(used);
        }
    }
}

#[cfg(test)]
mod tests;
