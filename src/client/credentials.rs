//! Tokens and pinned certificates, one file per server, readable by the user alone.
//!
//! A file is replaced whole and durably or not at all. A lock beside it makes sure that of several running programs
//! only one renews the tokens: a refresh token is good for one use.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::pin::Fingerprint;
use crate::secret::Secret;
use crate::server::Server;

/// Largest credential file read, in bytes: two tokens and a few names.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What is kept of one login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// The server, in its one spelling.
    pub server: String,
    /// The account.
    pub name: String,
    /// Its role, as told at login.
    pub role: String,
    /// The pinned certificate; absent for plain HTTP to this machine.
    pub pinned: Option<Fingerprint>,
    /// Bearer token.
    pub access_token: Secret,
    /// Renews the bearer token, once.
    pub refresh_token: Secret,
}

/// The folder of credential files.
#[derive(Clone, Debug)]
pub struct CredentialStore {
    folder: PathBuf,
}

/// Where credentials belong by the XDG base directory specification: `$XDG_CONFIG_HOME/lucid`, else `~/.config/lucid`.
/// Relative values are ignored, as it demands. `None`: neither variable is usable.
pub fn credential_folder(xdg_config_home: Option<&OsStr>, home: Option<&OsStr>) -> Option<PathBuf> {
    let absolute = |value: &OsStr| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let config = xdg_config_home.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".config")))?;
    Some(config.join("lucid"))
}

/// Held while tokens are renewed; released when dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl CredentialStore {
    /// The store in `folder`, which is made when first written to.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The credentials for `server`, if there are any.
    ///
    /// # Errors
    /// The file can't be read, is not one of ours, or others may read it.
    pub fn load(&self, server: &Server) -> Result<Option<Credentials>, ClientError> {
        let path = self.path(server);
        match read(&path) {
            Ok((bytes, mode)) if mode & 0o077 == 0 => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| ClientError::CredentialsGarbled { path, source }),
            Ok(_) => Err(ClientError::CredentialsExposed { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ClientError::Credentials { action: "read", path, source }),
        }
    }

    /// Keeps `credentials` for `server`, durably.
    ///
    /// # Errors
    /// The file can't be written; the old one is then unchanged.
    pub fn save(&self, server: &Server, credentials: &Credentials) -> Result<(), ClientError> {
        let path = self.path(server);
        let text = serde_json::to_vec_pretty(credentials)
            .map_err(|source| ClientError::CredentialsGarbled { path: path.clone(), source })?;
        self.write(&path, &text).map_err(|source| ClientError::Credentials { action: "write", path, source })
    }

    /// Forgets `server`: tokens and pinned certificate.
    ///
    /// # Errors
    /// The file can't be removed. That there is none is no error.
    pub fn forget(&self, server: &Server) -> Result<(), ClientError> {
        let path = self.path(server);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ClientError::Credentials { action: "remove", path, source: error })
            }
            _ => Ok(()),
        }
    }

    /// The servers with credentials, sorted. Files that are none of ours are passed over.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn servers(&self) -> Result<Vec<Server>, ClientError> {
        let failed = |source| ClientError::Credentials { action: "read", path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut servers = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            servers.extend(name.to_str().and_then(|name| decode(name.strip_suffix(".json")?)));
        }
        servers.sort_by_key(Server::to_string);
        Ok(servers)
    }

    /// Waits for the lock of `server`. Blocks the thread.
    pub(crate) fn lock(&self, server: &Server) -> Result<Lock, ClientError> {
        let path = self.path(server).with_extension("lock");
        let open = || {
            self.make_folder()?;
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(Lock(file))
        };
        open().map_err(|source| ClientError::Credentials { action: "lock", path: path.clone(), source })
    }

    fn path(&self, server: &Server) -> PathBuf {
        self.folder.join(format!("{}.json", encode(&server.to_string())))
    }

    fn make_folder(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        // Made with mode 0600 by tempfile, in the same folder so that it can be renamed.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(&self.folder)?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any credential file"));
    }
    Ok((bytes, mode))
}

/// A file name for an address, without a slash, and reversible so that two addresses never share a file.
fn encode(address: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02x}"),
    };
    address.bytes().map(byte).collect()
}

fn decode(name: &str) -> Option<Server> {
    let mut parts = name.split('%');
    let mut address = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        address.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        address.push_str(rest);
    }
    address.parse().ok()
}

#[cfg(test)]
mod tests;
