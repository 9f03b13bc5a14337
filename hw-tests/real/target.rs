//! The file that says which board may be tested, and how it is known: nothing else is ever touched.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use zeroize::Zeroizing;

/// The longest file in bytes: a dozen short lines.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The port of the dashboard.
pub const DASHBOARD: u16 = 443;

/// Bytes of a SHA-256.
const FINGERPRINT_BYTES: usize = 32;

/// Why the file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It cannot be read.
    #[error("cannot read `{}`; docs/boot.md shows what the file of a board holds", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the password in it.
    #[error("others can read the password in `{}`; run: chmod 600 {}", .0.display(), .0.display())]
    Open(PathBuf),
    /// It is no such file.
    #[error("`{}`: {problem}; docs/boot.md shows what the file of a board holds", .path.display())]
    Content {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A word that allows nothing.
    #[error("`{0}` is no word that allows something; there are: claim, restart")]
    Word(String),
}

/// What goes beyond looking, and recording something that is deleted again: done only if its word was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Become the first administrator of a board that has none. Nothing but flashing it again undoes that.
    Claim,
    /// Restart it, which pauses whatever it records.
    Restart,
}

impl FromStr for Word {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "claim" => Ok(Self::Claim),
            "restart" => Ok(Self::Restart),
            _ => Err(TargetError::Word(text.to_owned())),
        }
    }
}

/// The words of a list with commas; an empty one allows nothing.
///
/// # Errors
/// If one of them is no such word.
pub fn words(text: &str) -> Result<BTreeSet<Word>, TargetError> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse).collect()
}

/// A board that may be tested.
pub struct Target {
    /// The file that says so.
    pub path: PathBuf,
    /// Its serial number.
    pub board: u64,
    /// Its address, or a name that this machine can look up.
    pub address: String,
    /// The name that its certificate is for.
    pub host_name: String,
    /// SHA-256 of its certificate authority, in hexadecimal with colons, as flash.sh prints it.
    pub fingerprint: String,
    /// The serial line that its console is on, if one is connected.
    pub serial_line: Option<PathBuf>,
    /// The first-administrator code, while nobody has claimed it.
    pub code: Option<Zeroizing<String>>,
    /// The administrator that the tests are.
    pub account: String,
    /// The password.
    pub password: Zeroizing<String>,
    forwarded: Vec<(u16, u16)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    board: String,
    address: String,
    host_name: String,
    fingerprint: String,
    serial_line: Option<PathBuf>,
    code: Option<String>,
    account: String,
    password: String,
    #[serde(default)]
    forwarded: Vec<(u16, u16)>,
}

impl Target {
    /// Reads the file, which nobody else may be able to read.
    ///
    /// # Errors
    /// If that fails, or it does not name one board by everything that it is known by.
    pub fn read(path: &Path) -> Result<Self, TargetError> {
        let failed = |source| TargetError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(TargetError::Open(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let wrong = |problem: String| TargetError::Content { path: path.to_owned(), problem };
        let content: Content = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        content.check(path.to_owned()).map_err(wrong)
    }

    /// Where a port of the board is reached.
    #[must_use]
    pub fn port(&self, port: u16) -> u16 {
        self.forwarded.iter().find(|(board, _)| *board == port).map_or(port, |(_, here)| *here)
    }

    /// Whether something stands between that answers in its place, so that its own ports can't be looked at.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        !self.forwarded.is_empty()
    }
}

impl Content {
    fn check(self, path: PathBuf) -> Result<Target, String> {
        let board = u64::from_str_radix(self.board.trim_start_matches("0x"), 16).ok().filter(|board| *board != 0);
        let board = board.ok_or("`board` is the serial number in hexadecimal, up to 16 digits")?;
        if self.address.is_empty() || self.address.contains([':', '/']) {
            return Err("`address` is a name or an IPv4 address, without port".to_owned());
        }
        let fingerprint = fingerprint(&self.fingerprint)
            .ok_or("`fingerprint` is what flash.sh printed: 32 bytes in hexadecimal, with colons")?;
        for (name, text) in [("host_name", &self.host_name), ("account", &self.account), ("password", &self.password)] {
            if text.is_empty() {
                return Err(format!("`{name}` is empty"));
            }
        }
        Ok(Target {
            path,
            board,
            address: self.address,
            host_name: self.host_name,
            fingerprint,
            serial_line: self.serial_line,
            code: self.code.map(Zeroizing::new),
            account: self.account,
            password: Zeroizing::new(self.password),
            forwarded: self.forwarded,
        })
    }
}

/// The fingerprint in the one form that is compared.
fn fingerprint(text: &str) -> Option<String> {
    let bytes: Option<Vec<_>> = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let bytes = bytes.filter(|bytes| bytes.len() == FINGERPRINT_BYTES)?;
    Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests;
