//! The HTTP front of a service: its port is open from start to end, whatever the service does behind it.
//!
//! While a port can't be opened, the service waits with that as its reason, and the port is tried again.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::Router;
use lucid_http::{HealthReport, HealthStatus, ListenPolicy, Listener, bearer, health, serve};
use lucid_kit::{Board, Gate, Health};
use lucid_ports::Authenticator;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// A taken port is tried again this often: its holder may be the former process, about to end.
const RETRY: Duration = Duration::from_secs(2);

/// What all fronts share.
#[derive(Clone)]
pub(crate) struct Fronts {
    pub(crate) board: Board,
    pub(crate) authenticator: std::sync::Arc<dyn Authenticator>,
    pub(crate) stop: CancellationToken,
}

/// One port.
pub(crate) struct Front {
    pub(crate) port: FrontPort,
    pub(crate) policy: ListenPolicy,
    pub(crate) router: Router,
    pub(crate) callers: Callers,
}

/// Where a front listens.
pub(crate) enum FrontPort {
    /// On a port that it opens itself.
    Own {
        address: SocketAddr,
        /// The setting to change where the port is taken.
        setting: &'static str,
    },
    /// On one that is open already, and stays so when this process is started anew.
    HandedOver(TcpListener),
}

/// Whether a front looks at who is calling.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callers {
    /// By their tokens.
    Proven,
    /// Everybody is nobody: for a port without encryption, on which a token is everybody's.
    Unknown,
}

/// What became of opening a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opened {
    NotYet(String),
    At(SocketAddr),
}

impl Fronts {
    /// Opens the port and serves it until the box stops. The gate is closed while the port is not open.
    pub(crate) fn open(&self, front: Front) -> (Gate, watch::Receiver<Opened>, JoinHandle<()>) {
        let service = front.policy.service;
        let (tell, opened) = watch::channel(Opened::NotYet(front.port.opening()));
        let gate = Gate::new(opened.clone(), |opened| match opened {
            Opened::NotYet(reason) => Some(reason.clone()),
            Opened::At(_) => None,
        });
        let fronts = self.clone();
        let work = async move { fronts.serve(front, &tell).await };
        let task = tokio::spawn(work.instrument(tracing::info_span!("service", name = service)));
        (gate, opened, task)
    }

    async fn serve(&self, front: Front, tell: &watch::Sender<Opened>) {
        let listener = match front.port {
            FrontPort::Own { address, setting } => {
                let Some(bound) = self.stop.run_until_cancelled(bind(address, setting, tell)).await else { return };
                bound
            }
            FrontPort::HandedOver(socket) => {
                let Some(taken) = take_over(socket, tell) else { return };
                taken
            }
        };
        tell.send_replace(Opened::At(listener.address()));
        let (board, service) = (self.board.clone(), front.policy.service);
        let mut router = front.router.merge(health::route(service, move || report(board.health(service))));
        if front.callers == Callers::Proven {
            router = router.layer(bearer::authenticate_with(self.authenticator.clone()));
        }
        serve(listener, router, front.policy, self.stop.clone()).await;
    }
}

impl FrontPort {
    fn opening(&self) -> String {
        match self {
            Self::Own { address, .. } => format!("opening port {}", address.port()),
            Self::HandedOver(_) => "taking over its port from systemd".to_owned(),
        }
    }
}

/// The listener of a socket from systemd. There is no other, so that nothing is gained by trying again.
fn take_over(socket: TcpListener, tell: &watch::Sender<Opened>) -> Option<Listener> {
    let taken = Listener::from_std(socket);
    if let Err(error) = &taken {
        tracing::error!(error = error as &dyn std::error::Error, "a port is not served");
        tell.send_replace(Opened::NotYet(format!("{error}: restart the appliance")));
    }
    taken.ok()
}

async fn bind(address: SocketAddr, setting: &str, tell: &watch::Sender<Opened>) -> Listener {
    loop {
        match Listener::bind(address, setting) {
            Ok(listener) => return listener,
            Err(error) => {
                let reason = error.to_string();
                if *tell.borrow() != Opened::NotYet(reason.clone()) {
                    tracing::error!(%error, "the port is not open yet; will be tried again");
                    tell.send_replace(Opened::NotYet(reason));
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// kit's notion of health in the words of `/health`.
pub(crate) fn report(health: Option<Health>) -> HealthReport {
    let Some(health) = health else { return HealthReport::because(HealthStatus::Starting, "not started yet") };
    let status = match health {
        Health::Healthy | Health::Degraded { .. } => HealthStatus::Healthy,
        Health::Starting => HealthStatus::Starting,
        Health::Waiting { .. } => HealthStatus::Waiting,
        Health::Unhealthy { .. } => HealthStatus::Unhealthy,
    };
    match health.reason() {
        Some(reason) => HealthReport::because(status, reason),
        None => HealthReport { status, reasons: Vec::new() },
    }
}
