//! What the service keeps over restarts: the newest news that the agent trusted, and what was ordered for later.
//!
//! One small file, replaced whole. One that can't be read is said once and begun anew: the agent keeps everything on
//! which safety rests.

use std::io;
use std::path::{Path, PathBuf};

use lucid_agent_protocol::update::ChannelReport;
use lucid_layout::Digest;
use serde::{Deserialize, Serialize};

use super::restart::When;

/// Its name, in the service's folder of the state directory.
const FILE: &str = "update.json";
/// A channel's report fits into a message of 16 KiB, and the rest takes some hundred bytes.
const BYTES_MAX: u64 = 64 * 1024;
/// Nobody else reads it.
const MODE: u32 = 0o600;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    /// When the channel was last asked, in milliseconds of Unix time.
    pub(crate) checked_ms: Option<u64>,
    /// The newest news that the agent trusted.
    pub(crate) news: Option<ChannelReport>,
    /// What is to be installed later.
    pub(crate) order: Option<Order>,
}

/// To install a release once the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Its bundle: an order is for this one and no other.
    pub(crate) bundle: Digest,
    /// When.
    pub(crate) when: When,
}

/// Where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// The service's folder in `state_dir`, which is made if it is not there. Blocking.
    ///
    /// # Errors
    /// What the filesystem says.
    pub(crate) fn make(state_dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = state_dir.join(super::NAME);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(Self(folder.join(FILE)))
    }

    /// What is kept; nothing where there is no file, or none that makes sense. Blocking.
    pub(crate) fn read(&self) -> Kept {
        self.try_read().unwrap_or_else(|error| {
            tracing::error!(%error, "what was kept of updates can't be read: orders for later are lost, give them again");
            Kept::default()
        })
    }

    fn try_read(&self) -> io::Result<Kept> {
        let Some(bytes) = lucid_file::read(&self.0, BYTES_MAX)? else { return Ok(Kept::default()) };
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Keeps it. Blocking; on disk when it returns.
    ///
    /// # Errors
    /// What the filesystem says; what was kept before is then still there.
    pub(crate) fn write(&self, kept: &Kept) -> io::Result<()> {
        lucid_file::replace(&self.0, &serde_json::to_vec(kept)?, MODE, |_| Ok(()))
    }
}

#[cfg(test)]
mod tests;
