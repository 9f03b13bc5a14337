//! Whether the box's own dashboard answers on its addresses, as a browser in the LAN would find it.
//!
//! A connection to one's own address does not leave the machine: this shows listener, certificate and service, not
//! cable and firewall.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lucid_device::Clock;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::tls;

/// A page that takes longer on the machine itself is not usable.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A name that every certificate of ours is made out to.
const NAME: &str = "lucid.local";
/// What is asked. It says how the dashboard's service is, to everybody.
const QUESTION: &[u8] = b"GET /health HTTP/1.1\r\nHost: lucid.local\r\nConnection: close\r\n\r\n";
/// The first line of a good answer.
const GOOD: &[u8] = b"HTTP/1.1 200 ";

/// Where the dashboard should answer: nothing where it is not offered to the LAN, or why that is not known.
pub type Addresses = Arc<dyn Fn() -> Result<Vec<SocketAddr>, String> + Send + Sync>;

/// Asks the own dashboard.
#[derive(Clone)]
pub(crate) struct OwnPage {
    addresses: Addresses,
    connector: TlsConnector,
}

/// The certificate of the box's own authority can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate of the box's own authority can't be used: restart the appliance")]
pub(crate) struct NoAuthority(#[source] Box<dyn std::error::Error + Send + Sync>);

impl OwnPage {
    /// Trusts the authority in `ca_pem` and nobody else.
    pub(crate) fn new(addresses: Addresses, ca_pem: &str, clock: Arc<dyn Clock>) -> Result<Self, NoAuthority> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|error| NoAuthority(error.into()))?;
        roots.add(authority).map_err(|error| NoAuthority(error.into()))?;
        let config = tls::client(roots, clock).map_err(|error| NoAuthority(error.into()))?;
        Ok(Self { addresses, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// What is wrong, one line for each address that does not answer as it should.
    pub(crate) async fn faults(&self) -> Vec<String> {
        match (self.addresses)() {
            Ok(addresses) => {
                join_all(addresses.into_iter().map(|at| self.fault(at))).await.into_iter().flatten().collect()
            }
            Err(reason) => vec![reason],
        }
    }

    async fn fault(&self, at: SocketAddr) -> Option<String> {
        let why = match tokio::time::timeout(ANSWER_MAX, self.ask(at)).await {
            Ok(Ok(answer)) if answer.starts_with(GOOD) => return None,
            Ok(Ok(answer)) => format!("it answers `{}`", first_line(&answer)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {} s", ANSWER_MAX.as_secs()),
        };
        Some(format!("the dashboard does not answer at https://{at}: {why}"))
    }

    /// The beginning of the answer, over a connection whose certificate was checked.
    async fn ask(&self, at: SocketAddr) -> std::io::Result<Vec<u8>> {
        let name = ServerName::try_from(NAME).expect("the name is one");
        let mut stream = self.connector.connect(name, TcpStream::connect(at).await?).await?;
        stream.write_all(QUESTION).await?;
        let mut answer = vec![0; GOOD.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

fn first_line(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer)
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|char| !char.is_control())
        .collect()
}

#[cfg(test)]
mod tests;
