//! Why there is no image.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use lucid_layout::ProvisioningError;

use crate::update::UpdateError;

/// Why a command of this crate failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be used.
    #[error("can't {action} `{}`; check that it is there and that you may use it", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A tool is not installed.
    #[error("the tool `{tool}` is missing; install the Debian package `{package}` or put it on the PATH")]
    ToolMissing {
        /// Its name.
        tool: &'static str,
        /// The package it comes with.
        package: &'static str,
    },
    /// A tool failed.
    #[error("`{tool}` failed ({status}); mend what it says and try again:\n{output}")]
    ToolFailed {
        /// Its name.
        tool: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
    /// A tool wrote what is not understood.
    #[error("`{tool}` did not say {wanted}; its version is not known to work:\n{output}")]
    ToolOutput {
        /// Its name.
        tool: &'static str,
        /// What was expected.
        wanted: &'static str,
        /// What it wrote.
        output: String,
    },
    /// An input must not be shipped.
    #[error("{what} can't be used; mend these and try again:\n{}", list(problems))]
    Refused {
        /// Which input.
        what: &'static str,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// Something does not fit.
    #[error("{what} takes {bytes} bytes, its place has {bytes_max}; leave something out of it")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The size of its place.
        bytes_max: u64,
    },
    /// A disk is not what this crate makes.
    #[error("`{}` is no sound image of Lucid: {what}; build or flash it anew", path.display())]
    NoImage {
        /// The image or device.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The partition table can't be read or written.
    #[error("the partition table of `{}` can't be used; build or flash the image anew", path.display())]
    Table {
        /// The image or device.
        path: PathBuf,
        /// What the library said.
        source: gpt::GptError,
    },
    /// The provisioning file is not valid.
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    /// The certificate authority in the provisioning file is not valid.
    #[error("lucid.toml, `tls`: {what}; correct it there")]
    Authority {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The appliance has consumed its provisioning.
    #[error("`{}` has been booted and takes no provisioning any more; flash it anew", path.display())]
    Consumed {
        /// The image or device.
        path: PathBuf,
    },
    /// A key, a signed document or a bundle can't be used.
    #[error("`{}` can't be used; the reason says what to do", path.display())]
    Update {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UpdateError,
    },
    /// A file that would be overwritten.
    #[error("`{}` is there already and stays as it is; choose another name, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file is longer than its kind can be.
    #[error("`{}` has more than {bytes_max} bytes; check that it is the right file", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// What it may have.
        bytes_max: usize,
    },
    /// A secret that others can read.
    #[error("the key `{}` may be read by others; `chmod 600` it, and make a new key if anyone has", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system has no randomness for a key; try again once it has started up")]
    Random {
        /// What it said.
        source: getrandom::Error,
    },
    /// The list of crates can't be made.
    #[error("cargo can't list the crates of `{}`; check that Cargo.lock is up to date", path.display())]
    Crates {
        /// The manifest.
        path: PathBuf,
        /// What the library said.
        source: cargo_metadata::Error,
    },
}

impl Error {
    /// For `map_err`: `action` on `path` failed.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn no_image(path: &Path, what: impl Into<String>) -> Self {
        Self::NoImage { path: path.to_owned(), what: what.into() }
    }
}

/// Most problems that are listed: a tree that is wrong altogether has thousands.
const LISTED_MAX: usize = 40;

fn list(problems: &[String]) -> String {
    let mut lines: Vec<_> = problems.iter().take(LISTED_MAX).map(|problem| format!("  {problem}")).collect();
    if problems.len() > LISTED_MAX {
        lines.push(format!("  and {} more", problems.len() - LISTED_MAX));
    }
    lines.join("\n")
}

/// An error if there are problems.
pub(crate) fn refuse(what: &'static str, problems: Vec<String>) -> Result<(), Error> {
    if problems.is_empty() { Ok(()) } else { Err(Error::Refused { what, problems }) }
}
