//! Trust on first use: the appliance's certificate is known by its SHA-256.
//!
//! The appliance has a certificate authority of its own and a leaf that it renews now and then, so that what is pinned
//! is the authority where the server shows one that really signed its leaf, else the leaf. Names are not compared: the
//! same appliance answers under many, and no other can hold the pinned key. The key's possession is always proven.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXUPPER_PERMISSIVE;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// The text is not a fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("not a certificate fingerprint: expected 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        formatter.write_str(&pairs.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits: String = text.trim().chars().filter(|character| *character != ':').collect();
        let bytes = HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| FingerprintError)?;
        bytes.try_into().map(Self).map_err(|_| FingerprintError)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Accepts the pinned certificate only; without a pin, accepts any and tells which it was.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    pinned: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
    /// What the server showed last, where that was not the pinned one.
    seen: Mutex<Option<Fingerprint>>,
}

impl PinVerifier {
    pub(crate) fn new(pinned: Option<Fingerprint>) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Arc::new(Self { pinned, provider, seen: Mutex::new(None) })
    }

    /// The fingerprint that would have to be pinned, after a handshake without a pin or with the wrong one. Asked
    /// once: a later failure for another reason must not be taken for a changed certificate.
    pub(crate) fn take_seen(&self) -> Option<Fingerprint> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A TLS configuration that trusts by this verifier alone.
    pub(crate) fn config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        Ok(ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth())
    }

    fn signed_by(
        &self,
        leaf: &CertificateDer<'_>,
        authority: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &roots, others, now, algorithms)
    }

    fn remember(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) {
        let authority = others.last().filter(|authority| self.signed_by(leaf, authority, others, now).is_ok());
        let fingerprint = Fingerprint::of(authority.unwrap_or(leaf));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(pinned) = self.pinned else {
            self.remember(leaf, others, now);
            return Ok(ServerCertVerified::assertion());
        };
        if Fingerprint::of(leaf) == pinned {
            return Ok(ServerCertVerified::assertion());
        }
        match others.iter().find(|authority| Fingerprint::of(authority) == pinned) {
            Some(authority) => self.signed_by(leaf, authority, others, now).map(|()| ServerCertVerified::assertion()),
            None => {
                self.remember(leaf, others, now);
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
