//! TLS as a client: against the world's certificate authorities, and against this box's own.

use std::sync::Arc;
use std::time::Duration;

use lucid_device::Clock;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

/// A client that trusts `roots`, by the box's own clock: the system's may lie before its floor.
///
/// # Errors
/// If TLS can't be set up, which depends on nothing but the program.
pub(crate) fn client(roots: RootCertStore, clock: Arc<dyn Clock>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(BoxTime(clock)));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities that browsers trust. They come with the program, because the appliance's file system has none.
pub(crate) fn world() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

struct BoxTime(Arc<dyn Clock>);

impl std::fmt::Debug for BoxTime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BoxTime")
    }
}

impl TimeProvider for BoxTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().unix_ms)))
    }
}
