//! The tree of hashes behind the root file system, by veritysetup.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use lucid_layout::Digest;
use lucid_layout::cmdline::{BLOCK_BYTES, Verity};
use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::tool::VERITYSETUP;

/// A UUID that veritysetup wants and, without a superblock, writes nowhere.
const UUID: &str = "6c756369-6400-4000-8000-0000000000e1";

/// Fills `image` up to whole blocks and appends its tree. The salt is the image's own digest: equal roots give equal
/// bytes, and no other root can use tables made for this one.
pub(crate) fn append(image: &Path) -> Result<Verity, Error> {
    let data_blocks = fill_up(image)?;
    let salt = Digest(sha256(image)?);
    let said = VERITYSETUP
        .args(["format", "--no-superblock", "--hash=sha256", "--format=1"])
        .arg(format!("--salt={salt}"))
        .arg(format!("--uuid={UUID}"))
        .arg(format!("--data-block-size={BLOCK_BYTES}"))
        .arg(format!("--hash-block-size={BLOCK_BYTES}"))
        .arg(format!("--data-blocks={data_blocks}"))
        .arg(format!("--hash-offset={}", data_blocks * BLOCK_BYTES))
        .arg(image)
        .arg(image)
        .text()?;
    let hash = said.lines().find_map(|line| line.strip_prefix("Root hash:")).and_then(|hash| hash.trim().parse().ok());
    let no_hash = || Error::ToolOutput { tool: VERITYSETUP.name(), wanted: "the root hash", output: said.clone() };
    Ok(Verity { data_blocks, root_hash: hash.ok_or_else(no_hash)?, salt })
}

/// Checks every block of `root`, a partition's bytes, against the root hash.
pub(crate) fn check(root: &Path, verity: &Verity) -> Result<(), Error> {
    VERITYSETUP
        .args(["verify", "--no-superblock", "--hash=sha256", "--format=1"])
        .arg(format!("--salt={}", verity.salt))
        .arg(format!("--data-block-size={BLOCK_BYTES}"))
        .arg(format!("--hash-block-size={BLOCK_BYTES}"))
        .arg(format!("--data-blocks={}", verity.data_blocks))
        .arg(format!("--hash-offset={}", verity.data_blocks.saturating_mul(BLOCK_BYTES)))
        .arg(root)
        .arg(root)
        .arg(verity.root_hash.to_string())
        .bytes()
        .map(drop)
}

fn fill_up(image: &Path) -> Result<u64, Error> {
    let file = OpenOptions::new().write(true).open(image).map_err(Error::file("open", image))?;
    let bytes = file.metadata().map_err(Error::file("look at", image))?.len();
    let blocks = bytes.div_ceil(BLOCK_BYTES);
    file.set_len(blocks * BLOCK_BYTES).map_err(Error::file("extend", image))?;
    Ok(blocks)
}

fn sha256(path: &Path) -> Result<[u8; 32], Error> {
    let mut file = std::fs::File::open(path).map_err(Error::file("open", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(Error::file("read", path))?;
    Ok(hasher.finalize().into())
}
