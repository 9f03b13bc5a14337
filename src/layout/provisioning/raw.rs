//! From TOML to values.

use serde::Deserialize;

use super::network::RawNetwork;
use super::value::{BadValue, DiskSerial};
use super::{Consent, Provisioning, ProvisioningError, Secret, Ssd, Tls, VERSION};

/// Fewest letters and digits of a code: 60 bits if it is random, the auth-service's own limit.
const CODE_CHARS_MIN: usize = 12;
/// Most characters of a code; the auth-service looks at no more than 256.
const CODE_CHARS_MAX: usize = 128;

/// Longest certificate or key in bytes; those of P-256 have below 1000, of RSA 4096 below 4000.
const PEM_BYTES_MAX: usize = 8 * 1024;

/// The file as it stands there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct Raw {
    version: i64,
    hostname: Option<String>,
    timezone: Option<String>,
    network: Option<RawNetwork>,
    claim: Option<RawClaim>,
    ssd: Option<RawSsd>,
    tls: Option<RawTls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawClaim {
    code: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawSsd {
    consent: Option<String>,
    serial: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawTls {
    ca_certificate: Option<String>,
    ca_key: Option<Secret>,
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Result<Provisioning, ProvisioningError> {
    let raw: Raw = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    if raw.version != VERSION {
        return Err(ProvisioningError::Version { version: raw.version });
    }
    Ok(Provisioning {
        hostname: raw.hostname.map(|text| value("hostname", text.parse())).transpose()?,
        timezone: raw.timezone.map(|text| value("timezone", text.parse())).transpose()?,
        network: raw.network.map(TryInto::try_into).transpose()?,
        claim_code: raw.claim.map(|claim| value("claim.code", code(claim.code))).transpose()?,
        ssd: raw.ssd.map(ssd).transpose()?.unwrap_or_default(),
        tls: raw.tls.map(tls).transpose()?,
    })
}

/// The parser's message without its picture of the line, which may hold a secret.
fn syntax(text: &str, error: &toml::de::Error) -> ProvisioningError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    // Of a wrong type serde would show the value, too.
    let message =
        match error.message().strip_prefix("invalid type: ").and_then(|found| found.rsplit_once(", expected ")) {
            Some((_, expected)) => format!("a value of the wrong type, expected {expected}"),
            None => error.message().replace('\n', ", "),
        };
    ProvisioningError::Syntax { line, message }
}

fn value<T>(key: &'static str, parsed: Result<T, BadValue>) -> Result<T, ProvisioningError> {
    parsed.map_err(|bad| ProvisioningError::Value { key, bad })
}

/// The rule of the auth-service, so that a code it would refuse is refused while the owner is still looking.
fn code(code: Secret) -> Result<Secret, BadValue> {
    let text = code.expose();
    let counting = text.bytes().filter(u8::is_ascii_alphanumeric).count();
    let is_known = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte));
    if is_known && counting >= CODE_CHARS_MIN && text.len() <= CODE_CHARS_MAX {
        return Ok(code);
    }
    Err(BadValue::secret("a code has at least 12 letters and digits, at random, with blanks or hyphens between them"))
}

fn ssd(raw: RawSsd) -> Result<Ssd, ProvisioningError> {
    let consent = match raw.consent.as_deref() {
        None | Some("none") => Consent::None,
        Some("labelled") => Consent::Labelled,
        Some("empty") => Consent::Empty,
        Some(text) => {
            let rule = "consent is `none`, `labelled` or `empty`";
            return Err(ProvisioningError::Value { key: "ssd.consent", bad: BadValue::new(text, rule) });
        }
    };
    let serial = raw.serial.map(|text| value("ssd.serial", text.parse::<DiskSerial>())).transpose()?;
    Ok(Ssd { consent, serial })
}

fn tls(raw: RawTls) -> Result<Tls, ProvisioningError> {
    let missing = |key| ProvisioningError::Missing { key, rule: "certificate and key come together" };
    let ca_certificate = raw.ca_certificate.ok_or_else(|| missing("tls.ca_certificate"))?;
    let ca_key = raw.ca_key.ok_or_else(|| missing("tls.ca_key"))?;
    if !is_pem(&ca_certificate, "CERTIFICATE") {
        let rule = "one certificate in PEM, from `-----BEGIN CERTIFICATE-----` to its end";
        let bad = BadValue::new(&ca_certificate, rule);
        return Err(ProvisioningError::Value { key: "tls.ca_certificate", bad });
    }
    if !is_pem(ca_key.expose(), "PRIVATE KEY") {
        let rule = "one key in PEM as PKCS #8, from `-----BEGIN PRIVATE KEY-----` to its end (`openssl genpkey`)";
        return Err(ProvisioningError::Value { key: "tls.ca_key", bad: BadValue::secret(rule) });
    }
    Ok(Tls { ca_certificate, ca_key })
}

/// Whether `text` is one PEM block of this kind and nothing else (RFC 7468, the strict form).
fn is_pem(text: &str, kind: &str) -> bool {
    let inner = text.trim().strip_prefix(&*format!("-----BEGIN {kind}-----"));
    let inner = inner.and_then(|rest| rest.strip_suffix(&*format!("-----END {kind}-----")));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte);
    inner.is_some_and(|inner| {
        text.len() <= PEM_BYTES_MAX
            && !inner.trim().is_empty()
            && inner.starts_with(['\r', '\n'])
            && inner.bytes().all(is_base64)
    })
}
