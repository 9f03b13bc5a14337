//! The certificate of the LAN ports: opened at the start, and kept valid for as long as the box runs.
//!
//! Reconciles: what the certificate should say is looked at again and again, and a new one is issued when the addresses
//! of the machine change, when the clock turns out to have been wrong, and before it expires. Nothing restarts for it.

use std::{
    collections::BTreeSet,
    error::Error,
    io,
    net::{IpAddr, Ipv6Addr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lucid_device::{Clock, ClockTrust, SystemClock};
use lucid_http::certificate::{CertificateError, CertificateNames, DeviceCertificate};

use crate::{
    config::{Settings, keys},
    failure::Failure,
};

/// Addresses and the clock's trust are looked at this often: a new lease or a time server is noticed within moments.
const LOOK_PERIOD: Duration = Duration::from_secs(20);
/// The certificate itself is looked at this often though nothing else has changed: it expires all the same.
const RENEW_PERIOD_MS: u64 = 6 * 3600 * 1000;

/// Under which names and addresses the box is to be reached.
#[derive(Clone)]
pub(crate) struct Listening {
    host: IpAddr,
    hostname: String,
    interfaces: fn() -> io::Result<BTreeSet<IpAddr>>,
}

impl Listening {
    pub(crate) fn new(settings: &Settings, hostname: String) -> Self {
        Self { host: settings.address(&keys::LISTEN_HOST), hostname, interfaces: lucid_device::interfaces }
    }

    /// On all addresses of this machine, without settings.
    pub(crate) fn everywhere(hostname: String) -> Self {
        Self { host: Ipv6Addr::UNSPECIFIED.into(), hostname, interfaces: lucid_device::interfaces }
    }

    /// What the certificate should be valid for. A listener on one address is reached under that one; one on all
    /// addresses under those that the interfaces have.
    fn names(&self) -> io::Result<CertificateNames> {
        let addresses = match self.host.is_unspecified() {
            true => (self.interfaces)()?,
            false => BTreeSet::from([self.host]),
        };
        // `0.0.0.0` takes no IPv6 connections; `::` takes both.
        let reached = addresses.into_iter().filter(|address| self.host.is_ipv6() || address.is_ipv4());
        Ok(CertificateNames::new(&self.hostname, reached))
    }

    /// Opens the certificate in `dir`, or makes it. Without an answer about the interfaces it starts with none of their
    /// addresses, and [`Renewal`] adds them.
    pub(crate) fn certificate(&self, dir: &Path, clock: &SystemClock) -> Result<DeviceCertificate, Failure> {
        let names = self.names().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of the network interfaces can't be read: not in the certificate yet");
            CertificateNames::new(&self.hostname, [])
        });
        DeviceCertificate::open(dir, &names, time(clock.now().unix_ms), time(clock.earliest_ms()))
            .map_err(|source| Failure::other("open the appliance's certificate", source))
    }
}

fn time(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(unix_ms)
}

/// What a certificate that was found good was good for.
#[derive(PartialEq)]
struct Circumstances {
    names: CertificateNames,
    trust: ClockTrust,
}

/// Keeps the certificate valid.
pub(crate) struct Renewal {
    certificate: DeviceCertificate,
    clock: Arc<SystemClock>,
    listening: Listening,
    /// The last circumstances that were seen to, and when it is due all the same, in milliseconds of the monotonic
    /// clock.
    seen: Option<(Circumstances, u64)>,
    /// The last look failed and was logged; the next failure is not.
    failing: bool,
}

/// Why the certificate could not be seen to.
#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error("reading the addresses of the network interfaces")]
    Interfaces(#[source] io::Error),
    #[error("renewing the certificate")]
    Certificate(#[source] CertificateError),
}

impl Renewal {
    pub(crate) fn new(certificate: DeviceCertificate, clock: Arc<SystemClock>, listening: Listening) -> Self {
        Self { certificate, clock, listening, seen: None, failing: false }
    }

    /// Keeps it until the runtime ends.
    pub(crate) async fn keep(mut self) {
        let mut ticks = tokio::time::interval(LOOK_PERIOD);
        loop {
            ticks.tick().await;
            let look = move || {
                self.look_logged();
                self
            };
            match tokio::task::spawn_blocking(look).await {
                Ok(renewal) => self = renewal,
                Err(error) => {
                    tracing::error!(%error, "the certificate is no longer renewed: restart the appliance");
                    return;
                }
            }
        }
    }

    /// A failure is tried again at the next look; of several in a row the first is logged.
    fn look_logged(&mut self) {
        let looked = self.look();
        if let (Err(error), false) = (&looked, self.failing) {
            tracing::warn!(error = error as &dyn Error, "the certificate may be out of date; will go on trying");
        }
        self.failing = looked.is_err();
    }

    fn look(&mut self) -> Result<(), RenewalError> {
        let names = self.listening.names().map_err(RenewalError::Interfaces)?;
        let (now, now_ms) = (self.clock.now(), self.clock.monotonic_ms());
        let circumstances = Circumstances { names, trust: now.trust };
        if self.seen.as_ref().is_some_and(|(seen, due_ms)| *seen == circumstances && now_ms < *due_ms) {
            return Ok(());
        }
        let (now, earliest) = (time(now.unix_ms), time(self.clock.earliest_ms()));
        let renewed = self.certificate.reconcile(&circumstances.names, now, earliest);
        if let Some(reason) = renewed.map_err(RenewalError::Certificate)? {
            tracing::info!(?reason, "the certificate was renewed");
        }
        self.seen = Some((circumstances, now_ms + RENEW_PERIOD_MS));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
