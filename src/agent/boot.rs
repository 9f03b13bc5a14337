//! Two files of the boot: the report of the stage before systemd, and the count of boots that did not become ready.

use std::fs;
use std::io;
use std::path::Path;

use lucid_device::Reading;
use lucid_layout::boot::{Attempts, BOOT_FILE_BYTES_MAX, BootReport};

use crate::MODE_SECRET;

/// The kernel's id of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why the count stays as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("the count of boots can't be read ({0}); it begins anew with the next boot of another slot")]
    Read(io::Error),
    #[error("the count of boots makes no sense ({0}); the next boot begins it anew")]
    Meaning(serde_json::Error),
    #[error("the count of boots can't be written ({0}); look at the state partition's problems")]
    Write(io::Error),
}

/// The report.
pub(crate) fn report(path: &Path) -> Reading<BootReport> {
    match lucid_file::read(path, BOOT_FILE_BYTES_MAX) {
        Ok(Some(bytes)) => match serde_json::from_slice(&bytes) {
            Ok(report) => Reading::Present(report),
            Err(error) => Reading::failed(format!("`{}` makes no sense: {error}", path.display())),
        },
        Ok(None) => {
            Reading::absent(format!("`{}` is not there: this machine was not booted by lucid-init", path.display()))
        }
        Err(error) => Reading::failed(format!("reading `{}`: {error}", path.display())),
    }
}

/// The kernel's id of this boot; empty if the kernel does not tell, which no id is.
pub(crate) fn id() -> String {
    let id = fs::read_to_string(BOOT_ID).unwrap_or_else(|error| {
        tracing::error!(%error, "the kernel gives this boot no id");
        String::new()
    });
    id.trim().to_owned()
}

/// Takes this boot off the count. Where nothing is counted there is nothing to do.
pub(crate) fn ready(path: &Path) -> Result<(), BootError> {
    let Some(bytes) = lucid_file::read(path, BOOT_FILE_BYTES_MAX).map_err(BootError::Read)? else { return Ok(()) };
    let attempts: Attempts = serde_json::from_slice(&bytes).map_err(BootError::Meaning)?;
    if attempts.boots_without_ready == 0 {
        return Ok(());
    }
    let ready = serde_json::to_vec(&attempts.ready()).map_err(BootError::Meaning)?;
    lucid_file::replace(path, &ready, MODE_SECRET, |_| Ok(())).map_err(BootError::Write)
}

#[cfg(test)]
mod tests;
