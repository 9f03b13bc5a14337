//! The certificate authority that an owner may provision.

use lucid_layout::Provisioning;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::Error;

/// SHA-256 of the authority's certificate in a provisioning file, as browsers show it; None if the file has none.
///
/// # Errors
/// If the file is not valid, or certificate and key are not those of one authority.
pub fn fingerprint(file: &[u8]) -> Result<Option<String>, Error> {
    authority(&Provisioning::parse(file)?)
}

/// Checks that certificate and key are those of one authority, and returns the certificate's fingerprint.
pub(crate) fn authority(provisioning: &Provisioning) -> Result<Option<String>, Error> {
    let Some(tls) = &provisioning.tls else { return Ok(None) };
    let bad = |what| Error::Authority { what };
    let der = CertificateDer::from_pem_slice(tls.ca_certificate.as_bytes())
        .map_err(|_| bad("the certificate is no valid PEM"))?;
    let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| bad("the certificate can't be read"))?;
    let key =
        KeyPair::from_pem(tls.ca_key.expose()).map_err(|_| bad("the key can't be read; use P-256 and PKCS #8"))?;
    if !rest.is_empty() || !certificate.is_ca() {
        return Err(bad("the certificate is not an authority's"));
    }
    if certificate.public_key().subject_public_key.data.as_ref() != key.der_bytes() {
        return Err(bad("the key is not the certificate's"));
    }
    let digest = Sha256::digest(&der);
    Ok(Some(digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")))
}
