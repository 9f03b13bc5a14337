//! The two copies of the system, of which one runs and the other can be written.

use serde::{Deserialize, Serialize};

use crate::disk::Partition;

/// One of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Partitions 2 and 4; committed on a fresh image.
    A,
    /// Partitions 3 and 5.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// `a` or `b`, as in `lucid.slot=`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    /// The slot that `letter` names, as it stands after `lucid.slot=`.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        match letter {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }

    /// The one that may be written while this one runs.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Where its kernel lies.
    #[must_use]
    pub const fn boot(self) -> Partition {
        match self {
            Self::A => Partition::BootA,
            Self::B => Partition::BootB,
        }
    }

    /// Where its root file system lies.
    #[must_use]
    pub const fn root(self) -> Partition {
        match self {
            Self::A => Partition::RootA,
            Self::B => Partition::RootB,
        }
    }

    /// The kernel command line that names its root; a file of both boot partitions.
    #[must_use]
    pub const fn cmdline_file(self) -> &'static str {
        match self {
            Self::A => "cmdline-a.txt",
            Self::B => "cmdline-b.txt",
        }
    }
}
