//! What the verifier found, and the verdict that follows from it.

use std::error::Error;
use std::fmt;

use crate::block::Header;
use crate::export;
use crate::manifest::Manifest;

/// The most findings listed one by one; the others are counted.
pub const FINDINGS_MAX: usize = 1000;

/// What an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Complete, unchanged, and vouched for by what the caller trusts.
    Proven,
    /// Something in it is not what was put on record.
    Wrong,
    /// Something could not be read, so nothing is said about the recording.
    Unreadable,
    /// All parts fit each other, but nothing that the caller trusts vouches for them: anybody could have made this.
    ConsistentUntrusted,
}

impl Verdict {
    /// The exit code of programs that report this verdict.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Proven => 0,
            Self::Wrong => 1,
            Self::Unreadable => 2,
            Self::ConsistentUntrusted => 3,
        }
    }
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The export as a whole.
    Export,
    /// The signed manifest.
    Manifest,
    /// The file of leaf hashes.
    Leaves,
    /// The line of the chunk with this index; the first line is that of chunk 0.
    Leaf(u64),
    /// A member of `proof.json`.
    Proof(&'static str),
    /// The signed checkpoint.
    Checkpoint,
    /// The chunk with this index.
    Chunk(u64),
    /// A file by its name.
    File(String),
    /// What the caller trusts.
    Trust,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Export => f.write_str("the directory"),
            Self::Manifest => f.write_str(export::MANIFEST),
            Self::Leaves => f.write_str(export::LEAVES),
            Self::Leaf(index) => write!(f, "{}, line {}", export::LEAVES, index + 1),
            Self::Proof(part) => write!(f, "{}, {part}", export::PROOF),
            Self::Checkpoint => f.write_str(export::CHECKPOINT),
            Self::Chunk(index) => f.write_str(&export::chunk_name(*index)),
            // The name comes from a directory that anybody may have filled: no control characters onto a terminal.
            Self::File(name) => write!(f, "{}", name.escape_debug()),
            Self::Trust => f.write_str("the trusted checkpoint"),
        }
    }
}

/// Whether something is wrong or could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is not what was put on record.
    Wrong,
    /// It could not be read, so nothing is known about it.
    Unreadable,
}

/// One thing that keeps the export from being proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// Of what kind.
    pub kind: Kind,
    /// What is wrong, as the end of a sentence that begins with the place.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// What the verifier has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What was found, in the order of the check; at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub omitted: u64,
    /// What the export says it is, if its manifest could be read; to be believed only if [`Verdict::Proven`].
    pub manifest: Option<Manifest>,
    /// The header of the block that anchors it, under the same condition.
    pub header: Option<Header>,
    /// Why nothing vouches for the export, for [`Verdict::ConsistentUntrusted`].
    pub doubt: Option<Doubt>,
}

/// Why nothing that the caller trusts vouches for an export that is right in itself. What can be done differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing was given to trust.
    NothingTrusted,
    /// The trusted checkpoint does not reach the block.
    TooOld {
        /// Headers in the trusted checkpoint's log.
        trusted: u64,
        /// Height of the block, which is also its index in the log.
        height: u64,
    },
    /// The trusted checkpoint reaches the block, but nothing shows that its log and the export's are one.
    NotConnected {
        /// Headers in the trusted checkpoint's log.
        trusted: u64,
        /// Headers in the log of the export's own checkpoint.
        exported: u64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingTrusted => f.write_str("nothing was given to trust"),
            Self::TooOld { trusted, height } => {
                write!(f, "the trusted checkpoint has {trusted} headers and is older than the block at height {height}")
            }
            Self::NotConnected { trusted, exported } => write!(
                f,
                "no consistency path leads from the export's checkpoint of {exported} headers to the trusted one of \
                 {trusted}"
            ),
        }
    }
}

/// Collects findings.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    wrong: u64,
    unreadable: u64,
}

impl Findings {
    pub(super) fn wrong(&mut self, place: Place, problem: String) {
        self.wrong += 1;
        self.push(Finding { place, kind: Kind::Wrong, problem });
    }

    pub(super) fn unreadable(&mut self, place: Place, problem: String) {
        self.unreadable += 1;
        self.push(Finding { place, kind: Kind::Unreadable, problem });
    }

    /// An error with everything that led to it.
    pub(super) fn error(&mut self, place: Place, error: &dyn Error) {
        self.wrong(place, lucid_error::chain(error));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push(&mut self, finding: Finding) {
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        }
    }

    /// Ends the collection. Without findings it matters whether something trusted vouches; the doubt says why not.
    pub(super) fn into_report(
        self,
        manifest: Option<Manifest>,
        header: Option<Header>,
        trusted: bool,
        doubt: Option<Doubt>,
    ) -> Report {
        let verdict = match (self.wrong, self.unreadable, trusted) {
            (1.., _, _) => Verdict::Wrong,
            (0, 1.., _) => Verdict::Unreadable,
            (0, 0, false) => Verdict::ConsistentUntrusted,
            (0, 0, true) => Verdict::Proven,
        };
        let omitted = self.wrong + self.unreadable - self.list.len() as u64;
        Report { verdict, findings: self.list, omitted, manifest, header, doubt }
    }
}
