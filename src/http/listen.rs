//! One listening port: accepts, decides between TLS and plain HTTP by the first byte, and bounds what clients can take.
//!
//! Promises: at most [`Limits::connections_max`] connections at a time, and room for a new one always: at the limit
//! the one that has been waiting longest is cut, those without a request in progress first. So neither ten thousand
//! idle connections nor a slow-loris attack locks others out. On stop nothing new is accepted; connections without a
//! request, or with half a request's head, are closed at once, requests in progress get [`Limits::grace_ms`], then the
//! rest is cut.
//!
//! Must never: serve a route other than `/health` over plain HTTP where [`PlainPolicy`] forbids it; end because of an
//! accept error.

mod accept;
mod connection;
mod gate;
mod registry;
mod watched;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::middleware;
use accept::Backoff;
use connection::Shared;
pub use gate::{ConnectionInfo, PlainPolicy};
use registry::Registry;

/// Connections that the kernel holds while all workers are busy. Bursts of a flood end here, not in our memory.
const BACKLOG: u32 = 1024;

/// A bound port that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Why a port could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error("can't listen on {address}: port {} is in use; stop what uses it, or change the setting `{setting}`", address.port())]
    InUse {
        /// What was to be bound.
        address: SocketAddr,
        /// The setting that names the port.
        setting: String,
    },
    /// A port below 1024, without the right to it.
    #[error("can't listen on {address}: not permitted; use a port of 1024 or above in the setting `{setting}`")]
    Denied {
        /// What was to be bound.
        address: SocketAddr,
        /// The setting that names the port.
        setting: String,
    },
    /// The address belongs to no interface of this machine.
    #[error("can't listen on {address}: this machine does not have that address; change the setting `{setting}`")]
    NoSuchAddress {
        /// What was to be bound.
        address: SocketAddr,
        /// The setting that names the address.
        setting: String,
    },
    /// Anything else.
    #[error("can't listen on {address} (setting `{setting}`)")]
    Other {
        /// What was to be bound.
        address: SocketAddr,
        /// The setting that names the port.
        setting: String,
        /// What the system said.
        source: io::Error,
    },
    /// A socket handed over by systemd can't be used.
    #[error("the listening socket that was handed over can't be used")]
    HandedOver {
        /// What the system said.
        source: io::Error,
    },
}

impl Listener {
    /// Binds `address`; port 0 takes a free one. `setting` is the name of the setting that the address comes from, for
    /// the error message. Must be called inside a runtime.
    pub fn bind(address: SocketAddr, setting: &str) -> Result<Self, BindError> {
        let socket = Self::listen(address).map_err(|source| BindError::from_io(address, setting, source))?;
        let address = socket.local_addr().map_err(|source| BindError::from_io(address, setting, source))?;
        Ok(Self { socket, address })
    }

    /// Takes over a socket that listens already (systemd socket activation). Must be called inside a runtime.
    pub fn from_std(socket: std::net::TcpListener) -> Result<Self, BindError> {
        let socket = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
        let socket = socket.map_err(|source| BindError::HandedOver { source })?;
        let address = socket.local_addr().map_err(|source| BindError::HandedOver { source })?;
        Ok(Self { socket, address })
    }

    /// The bound address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A socket for an address of either family. `SO_REUSEADDR`, so that a restart need not wait for old connections.
    fn listen(address: SocketAddr) -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }
}

impl BindError {
    fn from_io(address: SocketAddr, setting: &str, source: io::Error) -> Self {
        let setting = setting.to_owned();
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { address, setting },
            ErrorKind::PermissionDenied => Self::Denied { address, setting },
            ErrorKind::AddrNotAvailable => Self::NoSuchAddress { address, setting },
            _ => Self::Other { address, setting, source },
        }
    }
}

/// How a listener treats its clients.
#[derive(Debug, Clone)]
pub struct ListenPolicy {
    /// Name of the service: label of the metrics.
    pub service: &'static str,
    /// Who may speak plain HTTP.
    pub plain: PlainPolicy,
    /// The certificate; without one a TLS client is hung up on.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What clients can take at most.
    pub limits: Limits,
}

impl ListenPolicy {
    /// TLS for everybody, plain HTTP from this machine only: a LAN port.
    pub fn lan(service: &'static str, tls: Arc<rustls::ServerConfig>) -> Self {
        Self { service, plain: PlainPolicy::Loopback, tls: Some(tls), limits: Limits::default() }
    }

    /// Plain HTTP from this machine, no TLS: a loopback port.
    pub fn loopback(service: &'static str) -> Self {
        Self { service, plain: PlainPolicy::Loopback, tls: None, limits: Limits::default() }
    }
}

/// What clients can take at most, each with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. Each costs at most about 100 KiB of buffers, so 1024 stay within the memory budget.
    pub connections_max: usize,
    /// Time until the first byte, and again for the TLS handshake. A client on a LAN needs milliseconds.
    pub opening_ms: u64,
    /// Time for one request's headers, from their first byte: they fit into a few packets.
    pub header_read_ms: u64,
    /// Time without a request on a kept-alive connection. Longer than the polling interval of the dashboard.
    pub idle_ms: u64,
    /// Time for which a client may take nothing of a reply that is ready to be sent.
    pub write_stall_ms: u64,
    /// Time for which a client may send nothing of a request body that is waited for.
    pub body_stall_ms: u64,
    /// Size of the request line and headers together. Ours are under 2 KiB; cookies of other services on the same host
    /// name may come along.
    pub header_bytes_max: usize,
    /// Time that requests in progress get on stop; one is in progress once its head is complete. Below the stop
    /// time-out of the service manager.
    pub grace_ms: u64,
    /// Time a handler has until it replies, unless its route is [`middleware::streaming`].
    pub request_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            opening_ms: 10_000,
            header_read_ms: 10_000,
            idle_ms: 60_000,
            write_stall_ms: 60_000,
            body_stall_ms: 30_000,
            header_bytes_max: 16 * 1024,
            grace_ms: 10_000,
            request_ms: 30_000,
        }
    }
}

/// Serves `router` on `listener` until `cancel` is cancelled, then stops gracefully and returns.
///
/// Adds what every port has: [`middleware`], the rule for plain HTTP, and [`ConnectionInfo`] as an extension of each
/// request. Connections run inside the span of the caller. Dropping the future cuts everything at once.
pub async fn serve(listener: Listener, router: Router, policy: ListenPolicy, cancel: CancellationToken) {
    let limits = policy.limits;
    let app = middleware::standard(gate::layer(router, policy.plain), policy.service, limits.request_ms);
    let shared = Arc::new(Shared::new(app, policy, cancel.clone()));
    let mut tasks = JoinSet::new();
    accept_until(&listener, &cancel, &shared, &mut tasks).await;
    drop(listener);
    finish(tasks, Duration::from_millis(limits.grace_ms)).await;
}

/// The accept loop. Returns when `cancel` is cancelled.
async fn accept_until(listener: &Listener, cancel: &CancellationToken, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    let registry = Arc::new(Registry::new(shared.service(), shared.limits().connections_max));
    let mut backoff = Backoff::new();
    loop {
        // `accept` is cancel-safe: a connection not handed out stays in the backlog.
        let Some(accepted) = cancel.run_until_cancelled(listener.socket.accept()).await else { return };
        while let Some(ended) = tasks.try_join_next() {
            log_panic(ended);
        }
        match accepted {
            Ok((stream, peer)) => {
                backoff.reset();
                start(stream, peer, shared, &registry, tasks);
            }
            Err(error) => {
                let pause = backoff.after(&error, listener.address);
                if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// Starts the task of one connection, cutting another where the limit is reached.
fn start(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, registry: &Arc<Registry>, tasks: &mut JoinSet<()>) {
    if registry.make_room() {
        metrics::counter!("lucid_http_connections_evicted_total", "service" => shared.service()).increment(1);
    }
    let entry = registry.enter();
    let id = entry.id();
    let connection = connection::run(stream, peer, Arc::clone(shared), entry.activity());
    let task = async move {
        connection.await;
        drop(entry);
    };
    let abort = tasks.spawn(task.instrument(tracing::Span::current()));
    registry.set_abort(id, abort);
}

/// Waits for the connections for `grace`, then cuts what is left.
async fn finish(mut tasks: JoinSet<()>, grace: Duration) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!(connections = tasks.len(), "cutting connections that did not finish in time");
        tasks.shutdown().await;
    }
}

/// A connection that was cut is no news; one that panicked is (a reply's stream: handlers are caught before).
fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

#[cfg(test)]
mod tests;
