//! `lucid-release.json`: which release a boot partition holds.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::update::DataFormat;

/// What a boot partition says of itself. For people and preflights; nothing is trusted because it stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The release's version, as in `lucid --version`.
    pub version: String,
    /// The same for equal inputs, another for any other: SHA-256 over the root hash and every boot file.
    pub build_id: Digest,
    /// Root hash of the verity tree that the command lines name.
    pub root_hash: Digest,
    /// Rises when older releases must not be installed any more. Automatic recovery may still boot one that is there.
    pub epoch: u64,
    /// Which data it reads and writes.
    pub data: DataFormat,
}
