//! The one-time code that the provisioning handed in: one file, read at each start until the appliance is claimed, then
//! destroyed.
//!
//! Must never be in a log, nor stay in memory: what is kept of a code is its keyed hash. Flash may hold former contents
//! of a file that was overwritten; the code is of no use to whoever finds it there, because the appliance is claimed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Its name in the state directory.
pub(crate) const FILE: &str = "claim.code";

/// Longest file read, in bytes: a code has some twenty characters.
const BYTES_MAX: u64 = 1024;

/// The code in the file, without the white space around it; nothing where there is no file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX as usize + 1));
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))?;
    Ok(Some(Zeroizing::new(text.trim().to_owned())))
}

/// Overwrites the file, removes it, and makes that durable. That there is none is no error. Blocking.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.metadata()?.len().min(BYTES_MAX)).unwrap_or(BYTES_MAX as usize);
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The same; a failure goes to the log, because the code opens nothing any more.
pub(crate) fn destroy_logged(path: &Path) {
    if let Err(error) = destroy(path) {
        let path = path.display();
        tracing::error!(%path, %error, "the used one-time code could not be deleted; tried again at the next start");
    }
}

#[cfg(test)]
mod tests;
