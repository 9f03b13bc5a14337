//! The certificate that the page shows: the box's own, else one that is made for this start.
//!
//! Works on a copy in a folder for temporary files, which the unit keeps in memory and to itself: so a leaf that has
//! expired, or is for former addresses, is issued anew by the box's own authority, and nothing on `/state` changes.
//! Must never let a certificate of this start pass for the box's own.

use std::{fs, io, path::Path, sync::Arc};

use lucid_device::SystemClock;
use lucid_http::certificate::DeviceCertificate;
use lucid_layout::paths;
use tempfile::TempDir;

use crate::{
    certificate::{Listening, Renewal},
    failure::Failure,
};

/// Files of the folder at most, and bytes of each: it has four of under 2 KiB.
const FILES_MAX: usize = 16;
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What the page shows.
pub(super) struct Shown {
    pub(super) certificate: DeviceCertificate,
    /// Keeps it valid.
    pub(super) renewal: Renewal,
    /// Why it is not the box's own, if it is not.
    pub(super) problem: Option<String>,
    /// Where it lies; goes with this.
    _folder: TempDir,
}

impl Shown {
    /// The certificate in `tls` of the state directory, else a new one.
    pub(super) fn open(state_dir: &Path, host_name: String) -> Result<Self, Failure> {
        let (clock, listening) = (Arc::new(SystemClock::new(state_dir)), Listening::everywhere(host_name));
        let folder = folder()?;
        let own = copy(&state_dir.join("tls"), folder.path()).map_err(|error| error.to_string());
        let opened = own.and_then(|()| listening.certificate(folder.path(), &clock).map_err(|error| error.render()));
        let (folder, certificate, problem) = match opened {
            Ok(certificate) => (folder, certificate, None),
            Err(error) => {
                let problem = told(&error);
                tracing::error!(problem, "the appliance's own certificate can't be used");
                let folder = self::folder()?;
                let made = listening.certificate(folder.path(), &clock)?;
                (folder, made, Some(problem))
            }
        };
        let renewal = Renewal::new(certificate.clone(), clock, listening);
        Ok(Self { certificate, renewal, problem, _folder: folder })
    }
}

/// On one line, for page and console.
fn told(error: &str) -> String {
    let error = error.lines().map(str::trim).collect::<Vec<_>>().join(", ");
    format!("the appliance's own certificate can't be used ({error}), so this one was made for this start")
}

fn folder() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new().prefix("lucid-rescue-").tempdir();
    made.map_err(|source| Failure::Io { attempted: "make a folder for temporary files".to_owned(), source })
}

/// Copies the files of `from`, modes included. An authority must be among them: without one, another would be made.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let authority = Path::new(paths::CA_CERTIFICATE).file_name().expect("the path of a file");
    let authority = from.join(authority);
    let there = fs::metadata(&authority);
    there.map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", authority.display())))?;
    for entry in fs::read_dir(from)?.take(FILES_MAX) {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
