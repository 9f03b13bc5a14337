//! The certificate authority: made once, read ever after.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CertificateError, files, names};

/// Life of the authority: as long as a box may last, because a new one means that every client has to trust it anew.
const LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// File names in the `tls` folder.
const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";

/// The authority, with its key: keep it no longer than needed.
pub(super) struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    not_after: SystemTime,
}

impl Authority {
    /// Reads the authority, or makes it where the folder holds nothing of one.
    pub(super) fn open_or_create(dir: &Path, clock_floor: SystemTime) -> Result<Self, CertificateError> {
        files::make_dir(dir)?;
        if is_first_start(dir)? {
            create(dir, clock_floor)?;
        }
        Self::open(dir, clock_floor)
    }

    /// Reads the authority and checks that its parts belong together. Its end is compared with the floor, not with the
    /// clock, which may be wrong by decades.
    pub(super) fn open(dir: &Path, clock_floor: SystemTime) -> Result<Self, CertificateError> {
        let (certificate_path, key_path) = (dir.join(CERTIFICATE), dir.join(KEY));
        let pem = files::read(&certificate_path)?.ok_or_else(|| missing(&certificate_path))?;
        let key = files::read_key(&key_path)?.ok_or_else(|| missing(&key_path))?;
        let key = KeyPair::from_pem(&key).map_err(|_| damaged(&key_path, "it holds no private key"))?;
        let bad = |what| damaged(&certificate_path, what);
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| bad("it holds no certificate"))?;
        let not_after = check(&der, &key).map_err(bad)?;
        if not_after <= clock_floor {
            return Err(CertificateError::Expired { path: certificate_path });
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|_| bad("it can't be read"))?;
        Ok(Self { pem: pem.to_string(), der, issuer, not_after })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// Its end: no leaf may outlive it.
    pub(super) fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

/// Whether nothing of an authority is there. The certificate is written last: a key alone is what a power cut left of
/// the first start, unless a leaf shows that the authority was in use.
fn is_first_start(dir: &Path) -> Result<bool, CertificateError> {
    for name in [CERTIFICATE, super::leaf::CERTIFICATE, super::leaf::KEY] {
        if files::read(&dir.join(name))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes key and certificate.
fn create(dir: &Path, clock_floor: SystemTime) -> Result<(), CertificateError> {
    let issue = |source| CertificateError::Issue { source };
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(issue)?;
    let mut params = CertificateParams::default();
    params.not_before = clock_floor.into();
    params.not_after = (clock_floor + LIFE).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(names::constraints());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Lucid");
    // Two boxes trusted by one client need two names: verifiers look an issuer up by its name.
    let mark = Sha256::digest(key.public_key_raw());
    params.distinguished_name.push(
        DnType::CommonName,
        format!("Lucid appliance {:02x}{:02x}{:02x}{:02x}", mark[0], mark[1], mark[2], mark[3]),
    );
    let certificate = params.self_signed(&key).map_err(issue)?;
    let key_pem = zeroize::Zeroizing::new(key.serialize_pem());
    files::write(&dir.join(KEY), &key_pem, files::SECRET)?;
    files::write(&dir.join(CERTIFICATE), &certificate.pem(), files::PUBLIC)?;
    tracing::info!("made the device's certificate authority");
    Ok(())
}

/// Checks that the certificate is an authority's and belongs to `key`. Returns its end.
fn check(der: &CertificateDer<'_>, key: &KeyPair) -> Result<SystemTime, &'static str> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| "it can't be read")?;
    if !rest.is_empty() {
        return Err("bytes follow the certificate");
    }
    if !certificate.is_ca() {
        return Err("it is not the certificate of an authority");
    }
    if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err("it does not belong to the key in `ca.key`");
    }
    certificate.verify_signature(None).map_err(|_| "its signature is wrong")?;
    Ok(certificate.validity().not_after.to_datetime().into())
}

fn missing(path: &Path) -> CertificateError {
    CertificateError::Missing { path: path.to_owned() }
}

fn damaged(path: &Path, what: &'static str) -> CertificateError {
    CertificateError::Damaged { path: PathBuf::from(path), what }
}
