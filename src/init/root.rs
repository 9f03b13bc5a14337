//! Where the system's tree hangs, and who owns what in it: `/` on the appliance, another directory in a test.

use std::path::{Path, PathBuf};

use lucid_layout::users;

/// The tree that the stage works on.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    prefix: PathBuf,
    /// Owner of everything else.
    pub(crate) root_uid: u32,
    /// Owner of what the supervisor keeps on `/state`.
    pub(crate) supervisor_uid: u32,
    /// Owner of what the payments plane keeps there.
    pub(crate) payments_uid: u32,
}

impl Root {
    /// The running system's tree.
    pub(crate) fn system() -> Self {
        Self { prefix: PathBuf::from("/"), root_uid: 0, supervisor_uid: users::LUCID, payments_uid: users::PAYMENTS }
    }

    /// A tree in which everything belongs to whoever runs the test.
    #[cfg(test)]
    pub(crate) fn of_test(prefix: &Path) -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self { prefix: prefix.to_owned(), root_uid: uid, supervisor_uid: uid, payments_uid: uid }
    }

    /// A tree somewhere else, with the appliance's owners.
    #[cfg(test)]
    pub(crate) fn elsewhere(prefix: &Path) -> Self {
        Self { prefix: prefix.to_owned(), ..Self::system() }
    }

    /// The place of an absolute path in this tree.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.prefix.join(path.strip_prefix("/").unwrap_or(path))
    }
}
