//! The certificate that the ports show: read where it still does, else issued anew.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::authority::Authority;
use super::names::{CertificateNames, LOCAL_NAME};
use super::{CertificateError, files};

/// Life of a leaf: browsers refuse more than 398 days.
const LIFE: Duration = Duration::from_secs(397 * 24 * 3600);
/// A leaf is replaced this long before its end: time for a box that is switched on once a month.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How far before the clock a leaf may begin. The floor of a box that lay on a shelf may be years old, and a leaf that
/// began there would be at its end already.
const BEGIN_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
/// File names in the `tls` folder.
pub(super) const CERTIFICATE: &str = "leaf.pem";
pub(super) const KEY: &str = "leaf.key";

/// Why a leaf is issued anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReissueReason {
    /// There is none yet.
    Missing,
    /// Its files are damaged or don't belong together, or another authority issued it.
    Damaged,
    /// Names or addresses have changed.
    NamesChanged,
    /// It ends within 30 days, or has ended.
    Expiring,
    /// It begins later than now: the clock was ahead when it was made.
    NotYetValid,
}

/// The leaf to serve, and why it was issued anew if it was.
pub(super) fn open_or_issue(
    dir: &Path,
    authority: &Authority,
    names: &CertificateNames,
    now: SystemTime,
    clock_floor: SystemTime,
) -> Result<(Arc<CertifiedKey>, Option<ReissueReason>), CertificateError> {
    // Never beyond the authority's end: a clock that is wrong by decades must not leave the box without a port.
    let now = now.max(clock_floor).min(authority.not_after() - RENEW_BEFORE);
    match open(dir, authority, names, now)? {
        Ok(served) => Ok((Arc::new(served), None)),
        Err(reason) => {
            tracing::info!(?reason, "issuing a new certificate");
            let served = issue(dir, authority, names, now, clock_floor)?;
            Ok((Arc::new(served), Some(reason)))
        }
    }
}

/// The leaf on disk, or why it does not do.
fn open(
    dir: &Path,
    authority: &Authority,
    names: &CertificateNames,
    now: SystemTime,
) -> Result<Result<CertifiedKey, ReissueReason>, CertificateError> {
    let (pem, key) = (files::read(&dir.join(CERTIFICATE))?, files::read_key(&dir.join(KEY))?);
    let (Some(pem), Some(key)) = (pem, key) else { return Ok(Err(ReissueReason::Missing)) };
    Ok(judge(&pem, &key, authority, names, now))
}

/// Whether a leaf does: for these names, at this time, from this authority.
fn judge(
    pem: &str,
    key: &str,
    authority: &Authority,
    names: &CertificateNames,
    now: SystemTime,
) -> Result<CertifiedKey, ReissueReason> {
    let served = assemble(pem, key, authority).map_err(|_| ReissueReason::Damaged)?;
    let (_, leaf) = X509Certificate::from_der(&served.cert[0]).map_err(|_| ReissueReason::Damaged)?;
    let not_before = SystemTime::from(leaf.validity().not_before.to_datetime());
    let not_after = SystemTime::from(leaf.validity().not_after.to_datetime());
    if now < not_before {
        return Err(ReissueReason::NotYetValid);
    }
    // Where the authority itself ends soon a new leaf would not live longer.
    if now + RENEW_BEFORE > not_after && not_after < authority.not_after() {
        return Err(ReissueReason::Expiring);
    }
    verify(&served, authority, now).map_err(|_| ReissueReason::Damaged)?;
    if subject_names(&leaf) != Some((names.dns_names(), names.ip_addresses())) {
        return Err(ReissueReason::NamesChanged);
    }
    Ok(served)
}

/// Certificate and key as the handshake needs them, the authority's certificate with them: the command line pins it
/// on first use.
fn assemble(pem: &str, key: &str, authority: &Authority) -> Result<CertifiedKey, rustls::Error> {
    let damaged = |_| rustls::Error::General("not a certificate and key in PEM".to_owned());
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(damaged)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(damaged)?;
    CertifiedKey::from_der(vec![leaf, authority.der().clone()], key, &default_provider())
}

/// Checks the leaf as a client would that trusts the authority alone.
fn verify(served: &CertifiedKey, authority: &Authority, now: SystemTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone())?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider())).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let name = ServerName::try_from(LOCAL_NAME).expect("a constant host name");
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    verifier.verify_server_cert(&served.cert[0], &[], &name, &[], now).map(|_| ())
}

/// Names and addresses of a leaf; none where it has others than these kinds.
fn subject_names(leaf: &X509Certificate<'_>) -> Option<(BTreeSet<String>, BTreeSet<IpAddr>)> {
    let names = leaf.subject_alternative_name().ok()??;
    let (mut dns, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName(name) => dns.insert((*name).to_owned()),
            GeneralName::IPAddress(bytes) => addresses.insert(ip_address(bytes)?),
            _ => return None,
        };
    }
    Some((dns, addresses))
}

/// An address from its 4 or 16 bytes.
fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Makes a leaf with a new key and writes both. It is checked before it replaces one that works.
fn issue(
    dir: &Path,
    authority: &Authority,
    names: &CertificateNames,
    now: SystemTime,
    clock_floor: SystemTime,
) -> Result<CertifiedKey, CertificateError> {
    let failed = |source| CertificateError::Issue { source };
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::default();
    let begin = clock_floor.max(now - BEGIN_BEFORE);
    params.not_before = begin.into();
    params.not_after = (begin + LIFE).min(authority.not_after()).into();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = names.alternative_names().map_err(failed)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Lucid appliance");
    let pem = params.signed_by(&key, authority.issuer()).map_err(failed)?.pem();
    let key_pem = Zeroizing::new(key.serialize_pem());
    let rejected = |source| CertificateError::Rejected { source };
    let served = assemble(&pem, &key_pem, authority).map_err(rejected)?;
    verify(&served, authority, now).map_err(rejected)?;
    // A power cut between the two leaves a pair that does not match: the next start issues again.
    files::write(&dir.join(KEY), &key_pem, files::SECRET)?;
    files::write(&dir.join(CERTIFICATE), &pem, files::PUBLIC)?;
    Ok(served)
}
