//! The device's own certificate authority and the certificate its ports show.
//!
//! The authority is made on the first start and never again: people install it, and the command line pins it. It may
//! only vouch for names and addresses of a home or office network (a critical name constraint), so that a stolen key
//! is of no use against the rest of the internet. The leaf lives 397 days, the longest that browsers take; it is
//! issued anew 30 days before it expires and whenever names or addresses change, without a restart.
//!
//! Files in the state folder's `tls/`: `ca.pem`, `ca.key`, `leaf.pem`, `leaf.key`, keys with mode 0600. A file of the
//! authority that is missing or damaged is an error and never a reason to make a new one; a damaged leaf is replaced,
//! which no client notices that trusts the authority.
//!
//! Certificates follow RFC 5280, keys are P-256. Keys must never be logged, and the authority's is in memory only
//! while it signs. File access blocks: call from a thread that may.

mod authority;
mod files;
mod leaf;
mod names;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use authority::Authority;
pub use leaf::ReissueReason;
pub use names::CertificateNames;

/// The device's certificate, ready to serve. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct DeviceCertificate {
    dir: PathBuf,
    ca_pem: Arc<str>,
    ca_fingerprint_sha256: Arc<str>,
    resolver: Arc<Resolver>,
    config: Arc<ServerConfig>,
}

/// Why there is no certificate. Damage is never mended by a new authority: restore the file from a backup, or delete
/// the whole `tls` folder, after which every client has to trust the appliance anew.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read or written.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the authority is not there while others are.
    #[error("{} is missing; restore it from a backup, or delete the folder `tls` to start with a new certificate authority", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file of the authority does not hold what it should.
    #[error("{} is damaged: {what}; restore it from a backup, or delete the folder `tls` to start with a new certificate authority", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The authority has expired.
    #[error("the certificate authority in {} has expired; delete the folder `tls` to start with a new one", path.display())]
    Expired {
        /// Its certificate.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("can't issue a certificate")]
    Issue {
        /// What the library said.
        source: rcgen::Error,
    },
    /// TLS does not accept what was made.
    #[error("the certificate just made is not accepted")]
    Rejected {
        /// What the library said.
        source: rustls::Error,
    },
}

impl DeviceCertificate {
    /// Opens the certificate in `dir`, making authority and leaf where there is none yet and replacing a leaf that
    /// does not do. `now` is the clock, `clock_floor` the earliest moment it can be: the later of both counts, and no
    /// certificate starts after the floor, so that one made by a clock that is ahead is not refused afterwards.
    pub fn open(
        dir: &Path,
        names: &CertificateNames,
        now: SystemTime,
        clock_floor: SystemTime,
    ) -> Result<Self, CertificateError> {
        let authority = Authority::open_or_create(dir, clock_floor)?;
        let (served, _) = leaf::open_or_issue(dir, &authority, names, now, clock_floor)?;
        let resolver = Arc::new(Resolver(RwLock::new(served)));
        Ok(Self {
            dir: dir.to_owned(),
            ca_pem: authority.pem().into(),
            ca_fingerprint_sha256: fingerprint(authority.der()).into(),
            config: server_config(Arc::clone(&resolver))?,
            resolver,
        })
    }

    /// Issues a new leaf where `names` or the time ask for one, and serves it from the next connection on. Returns
    /// why, or None where the present one does. Call it daily and when an address changes.
    pub fn reconcile(
        &self,
        names: &CertificateNames,
        now: SystemTime,
        clock_floor: SystemTime,
    ) -> Result<Option<ReissueReason>, CertificateError> {
        let authority = Authority::open(&self.dir, clock_floor)?;
        let (served, reissued) = leaf::open_or_issue(&self.dir, &authority, names, now, clock_floor)?;
        self.resolver.replace(served);
        Ok(reissued)
    }

    /// The authority's certificate in PEM, for download.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// SHA-256 of the authority's certificate: 32 bytes in hexadecimal, separated by colons, as browsers show it.
    pub fn ca_fingerprint_sha256(&self) -> &str {
        &self.ca_fingerprint_sha256
    }

    /// SHA-256 of the certificate being served, in the same form.
    pub fn leaf_fingerprint_sha256(&self) -> String {
        self.resolver.current().cert.first().map(fingerprint).unwrap_or_default()
    }

    /// What a listener needs. Serves the newest leaf for as long as it is in use.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for DeviceCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DeviceCertificate").field("ca", &self.ca_fingerprint_sha256).finish_non_exhaustive()
    }
}

/// Hands the leaf to each handshake, whatever name is asked for: by address no name is sent at all.
#[derive(Debug)]
struct Resolver(RwLock<Arc<CertifiedKey>>);

impl Resolver {
    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, served: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = served;
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// TLS 1.2 and 1.3 by ring, HTTP/1.1 only, no client certificates.
fn server_config(resolver: Arc<Resolver>) -> Result<Arc<ServerConfig>, CertificateError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|source| CertificateError::Rejected { source })?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// SHA-256 in hexadecimal with colons.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = Sha256::digest(certificate);
    digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
pub(crate) mod tests;
