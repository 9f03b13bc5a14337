//! The provisioning file: what the owner wants of the first boot, as `lucid.toml` on the first partition.
//!
//! It is read once, copied to the state partition, and its bytes are overwritten with [`consumed`]. All of it applies
//! or nothing does: an unknown key or a bad value is an error that names the key, the value and the rule. Values of
//! secrets are in no error, are wiped when dropped and can't be printed.
//!
//! [`Network`] and [`Ssd`] are also what is kept of it, each as a TOML file on the state partition.

mod error;
mod network;
mod raw;
mod secret;
mod template;
mod value;

use serde::{Deserialize, Serialize};

pub use error::ProvisioningError;
pub use network::{Address, Network};
pub use secret::Secret;
pub use template::{AREA_BYTES, STAMP, consumed, is_consumed, padded, template};
pub use value::{BadValue, DiskSerial, Hostname, Timezone};

/// Longest file in bytes that is read. An editor on a PC may have made another one of any length in place of ours.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// The version of the file that is understood.
pub const VERSION: i64 = 1;

/// What the owner wants. Everything is optional: an untouched file asks for nothing.
#[derive(Default)]
pub struct Provisioning {
    /// Name in the network.
    pub hostname: Option<Hostname>,
    /// Time zone.
    pub timezone: Option<Timezone>,
    /// A fixed address; without it DHCP with a link-local fallback.
    pub network: Option<Network>,
    /// The code by which the first administrator claims the appliance.
    pub claim_code: Option<Secret>,
    /// What may be done with an SSD.
    pub ssd: Ssd,
    /// The device's certificate authority; made by the appliance if it is absent.
    pub tls: Option<Tls>,
}

/// What the agent may do with an SSD without being asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ssd {
    /// How far it may go.
    #[serde(default)]
    pub consent: Consent,
    /// Only the disk with this serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<DiskSerial>,
}

/// How far the agent may go with a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consent {
    /// Nothing.
    #[default]
    None,
    /// Use a file system labelled [`crate::disk::DATA_LABEL`].
    Labelled,
    /// Also format a disk on which no signature of any kind is found.
    Empty,
}

/// A certificate authority with its key. Their form is checked here; whether one belongs to the other is for whoever
/// knows X.509.
pub struct Tls {
    /// One certificate as PEM (RFC 7468).
    pub ca_certificate: String,
    /// Its private key as PKCS #8 in PEM.
    pub ca_key: Secret,
}

impl Provisioning {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If anything in it is not understood in full, or it was consumed before.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProvisioningError> {
        if bytes.len() > FILE_BYTES_MAX {
            return Err(ProvisioningError::TooLarge { bytes: bytes.len(), bytes_max: FILE_BYTES_MAX });
        }
        if is_consumed(bytes) {
            return Err(ProvisioningError::Consumed);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ProvisioningError::NotText)?;
        // Windows editors put a byte order mark in front.
        raw::parse(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Whether it asks for nothing, as an untouched template does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { hostname, timezone, network, claim_code, ssd, tls } = self;
        let nothing = hostname.is_none() && timezone.is_none() && network.is_none() && claim_code.is_none();
        nothing && tls.is_none() && *ssd == Ssd::default()
    }
}

#[cfg(test)]
mod tests;
