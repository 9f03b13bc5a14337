//! `keys/wrapping-a` and `keys/wrapping-b`: the slots of the session-wrapping key.
//!
//! Owns their layout: 8 bytes magic, the generation (u64, big-endian), the key sealed under the master key, zeroes up
//! to 4096 bytes. A slot of zeroes is empty. Promises: a slot is only ever overwritten in place, so that destroying it
//! leaves no copy in freed blocks; one whole block of 4096 bytes, because ext4 may keep smaller files inside the inode,
//! whose blocks are journaled and so copied. Must never be renamed, copied or truncated after they were made.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::VaultError;
use crate::secret::{SEALED_KEY_BYTES, Secret};

/// Size of a slot in bytes.
pub(crate) const SLOT_BYTES: usize = 4096;

/// The generation made at the first start.
pub(crate) const FIRST_GENERATION: u64 = 1;

const MAGIC: &[u8; 8] = b"LUCIDWK1";
pub(crate) const HEADER_BYTES: usize = 16;
const NAMES: [&str; 2] = ["wrapping-a", "wrapping-b"];
const CONTEXT: &str = "lucid vault v1: master key seals wrapping keys";

/// A session-wrapping key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WrappingKey {
    pub(crate) generation: u64,
    pub(crate) key: Secret,
}

impl WrappingKey {
    pub(crate) fn random(generation: u64) -> Result<Self, VaultError> {
        Ok(Self { generation, key: Secret::random()? })
    }
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slot {
    /// Zeroes.
    Empty,
    /// A key.
    Key(WrappingKey),
    /// Neither: an overwrite was cut short, or the disk fails.
    Torn,
}

impl Slot {
    pub(crate) fn key(&self) -> Option<&WrappingKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::Empty | Self::Torn => None,
        }
    }
}

/// Makes both slots in a new directory: the first generation, and an empty one.
pub(crate) fn make(keys: &Path, master: &Secret) -> Result<(), VaultError> {
    let first = WrappingKey::random(FIRST_GENERATION)?;
    disk::create(&path(keys, 0), &encode(master, &first)?)?;
    disk::create(&path(keys, 1), &[0; SLOT_BYTES])
}

/// Reads both slots. At least one must hold a key.
pub(crate) fn load(keys: &Path, master: &Secret) -> Result<[Slot; 2], VaultError> {
    let slots = [load_one(&path(keys, 0), master)?, load_one(&path(keys, 1), master)?];
    let generations = slots.each_ref().map(|slot| slot.key().map(|key| key.generation));
    match generations {
        [None, None] => Err(disk::corrupt(&path(keys, 0), "neither it nor the other slot holds a wrapping key")),
        [a, b] if a == b => Err(disk::corrupt(&path(keys, 0), "it and the other slot hold the same generation")),
        _ => Ok(slots),
    }
}

/// Writes a key over slot `index`.
pub(crate) fn store(keys: &Path, index: usize, master: &Secret, key: &WrappingKey) -> Result<(), VaultError> {
    disk::overwrite(&path(keys, index), &encode(master, key)?)
}

/// Destroys slot `index`.
pub(crate) fn wipe(keys: &Path, index: usize) -> Result<(), VaultError> {
    disk::overwrite(&path(keys, index), &[0; SLOT_BYTES])
}

fn path(keys: &Path, index: usize) -> PathBuf {
    keys.join(NAMES[index])
}

fn encode(master: &Secret, key: &WrappingKey) -> Result<Vec<u8>, VaultError> {
    let mut bytes = header(key.generation);
    let sealed = master.derive(CONTEXT).seal(&key.key, &bytes)?;
    bytes.extend_from_slice(&sealed);
    bytes.resize(SLOT_BYTES, 0);
    Ok(bytes)
}

fn header(generation: u64) -> Vec<u8> {
    [MAGIC.as_slice(), &generation.to_be_bytes()].concat()
}

fn load_one(path: &Path, master: &Secret) -> Result<Slot, VaultError> {
    let bytes = disk::read(path)?.ok_or_else(|| disk::corrupt(path, "it is missing"))?;
    if bytes.len() != SLOT_BYTES {
        return Err(disk::corrupt(path, format!("it has {} bytes and not {SLOT_BYTES}", bytes.len())));
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(Slot::Empty);
    }
    Ok(decode(&bytes, master).map_or(Slot::Torn, Slot::Key))
}

fn decode(bytes: &[u8], master: &Secret) -> Option<WrappingKey> {
    let (head, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let generation = u64::from_be_bytes(head.strip_prefix(MAGIC)?.try_into().ok()?);
    let (sealed, padding) = rest.split_at_checked(SEALED_KEY_BYTES)?;
    let whole = padding.iter().all(|&byte| byte == 0);
    let key = master.derive(CONTEXT).open(sealed, &header(generation)).filter(|_| whole)?;
    Some(WrappingKey { generation, key })
}

#[cfg(test)]
mod tests;
