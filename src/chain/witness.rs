//! The head last seen, kept beside the identity and not on the data disk.
//!
//! The file `chain-head` in the state directory is the signed checkpoint of a block. At start the chain on the data disk
//! must extend it, shown by a consistency proof; if it does not, somebody put back an old copy of the disk, emptied it, or
//! rewrote the chain, and going on would sign a second history. Then nothing is signed until the owner either mounts the
//! right disk or accepts the head that is there.
//!
//! Written, whole or not at all, after each block with transactions, after every [`WITNESS_BLOCKS`]-th block and at an
//! orderly stop: sparing the boot disk, which is often an SD card. After a crash it may so lag behind by fewer than
//! [`WITNESS_BLOCKS`] blocks, all of them empty: a disk put back within that span is not noticed.

use std::{fs, io, path::Path};

use lucid_proof::{
    checkpoint::{self, Checkpoint, CheckpointError, Fork},
    note::{NoteError, Unverified, VerifierKey},
};
use lucid_store::{MODE_SECRET, StoreError, write_file};

use crate::{
    ChainStore, ReadError,
    view::{base64, hex},
};

/// Every so many blocks the file is written even if they are empty: every five minutes at the usual interval.
pub const WITNESS_BLOCKS: u64 = 30;

/// A larger file is not ours: a checkpoint has some 200 bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why the head last seen can't be told.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The system refused.
    #[error("reading `{path}`")]
    Io {
        /// The file.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The file is too large to be a checkpoint, or is not text.
    #[error("`{path}` is not a checkpoint")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The file is not a note.
    #[error("`{path}` is damaged")]
    Note {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// The note is not a checkpoint that this appliance signed.
    #[error("`{path}` is damaged, or was not signed by this appliance")]
    Checkpoint {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: CheckpointError,
    },
}

/// Why the chain on the disk must not be continued.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no chain, but there was one.
    #[error(
        "the data disk holds no chain, but `{chain}` had {size} blocks (root {root}) when last seen: mount the disk that \
         holds it or restore a backup; to begin a new chain, set `accept_rollback = \"new\"`"
    )]
    Gone {
        /// The chain last seen.
        chain: String,
        /// Its size in blocks.
        size: u64,
        /// The root over them, base64.
        root: String,
    },
    /// The disk holds another or an older state of the chain.
    #[error(
        "the chain on the data disk has {size} blocks and the head {head}, and does not extend the {seen} blocks (root \
         {root}) last seen: mount the disk with the newer chain or restore a backup; to go on from the head that is \
         there, set `accept_rollback = \"{head}\"`"
    )]
    NotExtended {
        /// Blocks on the disk.
        size: u64,
        /// Hash of the newest one, lower-case hexadecimal.
        head: String,
        /// Blocks last seen.
        seen: u64,
        /// The root over them, base64.
        root: String,
        /// What does not fit.
        #[source]
        source: Fork,
    },
    /// What was last seen can't be told.
    #[error("the head last seen can't be told; to go on from the head on the disk, set `accept_rollback = \"{head}\"`")]
    Unknown {
        /// Hash of the newest block on the disk, lower-case hexadecimal; `new` if there is none.
        head: String,
        /// Why.
        #[source]
        source: WitnessError,
    },
}

impl Refusal {
    /// What the owner writes into `accept_rollback` to go on all the same. It names the head, so that the acceptance is
    /// void for any other one and need not be taken back.
    #[must_use]
    pub fn acceptance(&self) -> &str {
        match self {
            Self::Gone { .. } => "new",
            Self::NotExtended { head, .. } | Self::Unknown { head, .. } => head,
        }
    }
}

/// The checkpoint last kept at `path`, if any. `own` is this appliance's public key. Blocking.
///
/// # Errors
/// [`WitnessError`]; a damaged file is never taken for none.
pub fn load(path: &Path, own: &[u8; 32]) -> Result<Option<Checkpoint>, WitnessError> {
    let name = || path.display().to_string();
    let io = |source| WitnessError::Io { path: name(), source };
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Err(WitnessError::Foreign { path: name() }),
        Ok(_) => fs::read(path).map_err(io)?,
    };
    let note = String::from_utf8(bytes).map_err(|_| WitnessError::Foreign { path: name() })?;
    open(&note, own).map(Some).map_err(|error| match error {
        CheckpointError::Note(source) => WitnessError::Note { path: name(), source },
        source => WitnessError::Checkpoint { path: name(), source },
    })
}

/// The log names its own key, so the origin is read first and believed only once the signature holds.
fn open(note: &str, own: &[u8; 32]) -> Result<Checkpoint, CheckpointError> {
    let origin = Checkpoint::parse(Unverified::parse(note).map_err(CheckpointError::Note)?.text)?.origin;
    let key = VerifierKey::from_bytes(&origin, own).map_err(CheckpointError::Note)?;
    Ok(Checkpoint::open(note, &[key])?.0)
}

/// Keeps a signed checkpoint at `path`. Blocking.
///
/// # Errors
/// The store's for files; the former file is then untouched.
pub fn save(path: &Path, checkpoint: &str) -> Result<(), StoreError> {
    write_file(path, checkpoint.as_bytes(), MODE_SECRET)
}

/// Whether `chain` extends what was `seen`. Blocking.
///
/// # Errors
/// [`ReadError`] if the chain can't be read.
pub fn check(chain: &ChainStore, seen: &Checkpoint) -> Result<Result<(), Refusal>, ReadError> {
    let (now, head) = chain.log_head()?;
    let path = if seen.size <= now.size { chain.consistency(seen.size, now.size)? } else { Vec::new() };
    Ok(checkpoint::compare(seen, &now, &path).map_err(|source| Refusal::NotExtended {
        size: now.size,
        head: hex(&head),
        seen: seen.size,
        root: base64(&seen.root),
        source,
    }))
}

/// The refusal for a disk without a chain.
#[must_use]
pub fn gone(seen: &Checkpoint) -> Refusal {
    Refusal::Gone { chain: seen.origin.clone(), size: seen.size, root: base64(&seen.root) }
}

impl ChainStore {
    /// The unsigned head of the log of headers, and the hash of the newest block.
    pub(crate) fn log_head(&self) -> Result<(Checkpoint, lucid_proof::hash::Hash), ReadError> {
        self.store().read(|tx| {
            let head = crate::chain_store::head_row(tx)?;
            let origin = self.genesis().chain().to_owned();
            let (size, root) = (head.log.size(), head.log.root());
            Ok((Checkpoint { origin, size, root, extensions: Vec::new() }, head.hash))
        })
    }
}

#[cfg(test)]
mod tests;
