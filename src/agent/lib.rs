//! The agent: the one process of the box that is root.
//!
//! Owns the data disk: which one it is, its check, its mount, its absence. Owns the idle slot, autoboot.txt and what is
//! kept of updates. Restarts the box and switches it off, keeps the count of boots that did not become ready, and reads
//! what the kernel shows to root only. Listens on one Unix socket, to one user.
//!
//! Promises: a disk with anything on it that is not the appliance's is never written to. An empty one is formatted only
//! if the owner allowed it in the provisioning or typed the disk's id. Whatever is begun on a disk is written down
//! before, so that it is finished after a power cut. A disk that hangs delays nothing but the disk. Nothing is
//! installed that no trusted key has signed.
//!
//! Must never: listen on the network, run anything that a request names, read what is in a recording, know HTTP, the
//! store or a service.
//!
//! Threads and blocking calls rather than a runtime: `mount`, `fsync` and an ioctl can each hang for minutes on a dying
//! disk, there are at most eight connections, and nothing here waits for two things at once.

mod answer;
mod boot;
mod data_partition;
mod disks;
mod keeper;
mod machine;
mod network;
mod serve;
mod smart;
mod socket;
mod tool;
mod update;

use std::path::{Path, PathBuf};

use lucid_layout::{paths, users};

pub use serve::{AgentError, run};

/// What the agent keeps of its own is nobody else's to read.
pub(crate) const MODE_SECRET: u32 = 0o600;

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, unless systemd passes a socket.
    pub socket: PathBuf,
    /// Who may ask, besides root, and who owns the folders on the data disk.
    pub user: u32,
    /// Which disk was adopted.
    pub intent: PathBuf,
    /// What the owner allowed in the provisioning.
    pub consent: PathBuf,
    /// The network of the provisioning.
    pub network: PathBuf,
    /// Boots that did not become ready.
    pub attempts: PathBuf,
    /// How this boot went so far.
    pub boot_report: PathBuf,
    /// Where the data disk is mounted.
    pub mount_point: PathBuf,
    /// The kernel's tree of devices; `/sys` but in tests.
    pub sys: PathBuf,
    /// Where the root file system is mounted; `/` but in tests.
    pub root: PathBuf,
    /// What is kept of updates.
    pub update: PathBuf,
    /// What the two slots are worth.
    pub slot_book: PathBuf,
    /// A slot that was left after failed boots.
    pub fallback: PathBuf,
    /// The root keys that the image trusts for updates.
    pub update_root: PathBuf,
    /// Which disks may be looked at and touched.
    pub managed: Managed,
}

/// Which disks the agent may look at and touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Managed {
    /// Those that are hardware.
    Hardware,
    /// Those that have these names of the kernel, hardware or not: for a developer's machine, whose own disks are none
    /// of the agent's business.
    Only(Vec<String>),
}

impl Config {
    /// As on the appliance.
    #[must_use]
    pub fn appliance() -> Self {
        Self {
            socket: paths::AGENT_SOCKET.into(),
            user: users::LUCID,
            intent: paths::AGENT_SSD.into(),
            consent: paths::SSD.into(),
            network: paths::NETWORK.into(),
            attempts: paths::BOOT_ATTEMPTS.into(),
            boot_report: paths::BOOT_REPORT.into(),
            mount_point: paths::DATA.into(),
            sys: "/sys".into(),
            root: "/".into(),
            update: paths::AGENT_UPDATE.into(),
            slot_book: paths::SLOT_BOOK.into(),
            fallback: paths::FALLBACK.into(),
            update_root: paths::UPDATE_ROOT.into(),
            managed: Managed::Hardware,
        }
    }

    /// The same with what is kept in `state` in place of `/state`.
    #[must_use]
    pub fn with_state(self, state: &Path) -> Self {
        let moved = |path: PathBuf| match path.strip_prefix(paths::STATE) {
            Ok(inside) => state.join(inside),
            Err(_) => path,
        };
        Self {
            intent: moved(self.intent),
            consent: moved(self.consent),
            network: moved(self.network),
            attempts: moved(self.attempts),
            update: moved(self.update),
            slot_book: moved(self.slot_book),
            fallback: moved(self.fallback),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
