//! The dashboard's listener: its pages, the API of every other service, metrics.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use lucid_appliance::{
    AdminInterface,
    admin_interface::{self, Pages, View},
    thermal_watch::History,
};
use lucid_http::{
    AdminCaller, ConnectionInfo, DeveloperCaller, Json, ListenPolicy, MaybeCaller, Path, PlainPolicy, Problem,
};
use lucid_kit::{Board, Gate, Service, ServiceReport, Wired};
use lucid_observe::Observe;
use lucid_ports::Role;
use lucid_sessions::{RecordingsPort, upload_whole};
use tokio::sync::watch;

use super::{DashboardPorts, Links, Starter, groups::auth_routes, ports::VaultTakeover, redirect};
use crate::{
    backup::{self, Sources, StoreSource},
    config::keys,
    front::{Callers, Front, FrontPort, Opened},
    payments, table,
};

impl Starter<'_> {
    pub(super) fn dashboard(
        &mut self,
        admin: Wired<AdminInterface>,
        links: &Links,
        temperatures: watch::Receiver<Arc<History>>,
    ) -> watch::Receiver<Opened> {
        let ground = self.ground;
        let (view_out, view) = watch::channel(Arc::default());
        let api = links.api.1.clone();
        let pages = self.pages(links, view, temperatures);
        let router = admin_interface::routes(pages)
            .merge(lucid_sessions::routes(api))
            .merge(lucid_chain::routes::chain(links.chain.clone()))
            .merge(auth_routes(links))
            .merge(self.update_routes(links))
            .merge(backup::routes(self.backup_sources(links)))
            .merge(observability(&self.board, &ground.observe));
        let policy = self.lan(AdminInterface::NAME);
        let (gate, mut opened) = self.front(&keys::ADMIN_INTERFACE_PORT, policy, router.clone());
        let mut gates = vec![gate];
        if let Some((gate, handed_over)) = self.browsers(router) {
            opened = handed_over;
            gates.push(gate);
        }
        let chain = Arc::new(links.chain.clone());
        let deps =
            admin_interface::Deps { board: self.board.clone(), device: ground.device.clone(), chain, view: view_out };
        self.supervise(table::ADMIN_INTERFACE, admin, admin_interface::Config::default(), deps, gates);
        opened
    }

    /// What the pages may use.
    fn pages(
        &self,
        links: &Links,
        view: watch::Receiver<Arc<View>>,
        temperatures: watch::Receiver<Arc<History>>,
    ) -> Pages {
        let (ground, api) = (self.ground, links.api.1.clone());
        Pages {
            view,
            board: self.board.clone(),
            accounts: links.accounts.clone(),
            authenticator: links.authenticator.clone(),
            recordings: Arc::new(RecordingsPort(api.clone())),
            chain: Arc::new(links.chain.clone()),
            storage: links.storage.clone(),
            load: links.load.clone(),
            temperatures,
            logs: Arc::new(ground.observe.clone()),
            clock: ground.clock.clone(),
            boot: ground.boot.clone(),
            agent: ground.agent.clone(),
            release: links.release.clone(),
            takeover: Arc::new(VaultTakeover {
                state_dir: ground.state_dir.clone(),
                data_dir: ground.data_root.join("data"),
                identity: ground.identity.clone(),
                repository: links.repository.1.clone(),
                turn: Mutex::default(),
            }),
            agent_view: links.agent_view.clone(),
            updates: links.updates.clone(),
            notes: ground.notes.clone(),
            payments: payments::watch(ground.payments_socket.clone()),
            upload: Arc::new(move |caller, label, bytes| Box::pin(upload_whole(api.clone(), caller, label, bytes))),
        }
    }

    /// The ports for browsers that systemd opened: the dashboard on 443, and what leads there on 80.
    fn browsers(&mut self, router: Router) -> Option<(Gate, watch::Receiver<Opened>)> {
        let DashboardPorts { https, http } =
            std::mem::take(&mut *self.ground.ports.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(socket) = http {
            // Nothing here is worth hiding, and nobody is let in.
            let policy = ListenPolicy { plain: PlainPolicy::Always, ..ListenPolicy::loopback(AdminInterface::NAME) };
            let (port, callers) = (FrontPort::HandedOver(socket), Callers::Unknown);
            self.open(Front { port, policy, router: redirect::to_https(), callers });
        }
        let (policy, callers) = (self.lan(AdminInterface::NAME), Callers::Proven);
        https.map(|socket| self.open(Front { port: FrontPort::HandedOver(socket), policy, router, callers }))
    }

    fn backup_sources(&self, links: &Links) -> Sources {
        let (auth, chain, sessions) =
            (links.auth_store.1.clone(), links.chain_store.1.clone(), links.repository.1.clone());
        let source = |place, store| StoreSource { place, store };
        Sources {
            state_dir: self.ground.state_dir.clone(),
            data_root: self.ground.data_root.clone(),
            stores: vec![
                source(
                    "data/blockchain-engine/blockchain-engine.redb",
                    Arc::new(move || Ok(chain.get()?.store().clone())),
                ),
                source(
                    "data/session-storage/session-storage.redb",
                    Arc::new(move || Ok(sessions.get()?.store().clone())),
                ),
                source("state/auth-service/auth-service.redb", Arc::new(move || Ok((*auth.get()?).clone()))),
            ],
            repository: links.repository.1.clone(),
            accounts: links.accounts.clone(),
            clock: self.ground.clock.clone(),
        }
    }
}

/// `/metrics` and `/api/services`.
fn observability(board: &Board, observe: &Observe) -> Router {
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(observe.clone());
    let services = Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{name}/restart", post(restart))
        .with_state(board.clone());
    metrics.merge(services)
}

/// Prometheus text format 0.0.4. From this machine without a token, so that a scraper beside it needs none; from
/// elsewhere for developers.
async fn metrics(
    State(observe): State<Observe>,
    peer: ConnectionInfo,
    MaybeCaller(caller): MaybeCaller,
) -> Result<([(&'static str, &'static str); 1], String), Problem> {
    if peer.is_loopback() || caller.is_some_and(|caller| caller.role >= Role::Developer) {
        return Ok(([("content-type", "text/plain; version=0.0.4")], observe.render()));
    }
    Err(Problem::forbidden("developers_only", "metrics are for developers: send a developer's token"))
}

/// Stops a service gracefully and starts it again. For administrators.
async fn restart(
    State(board): State<Board>,
    AdminCaller(caller): AdminCaller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    board.restart(&name).map_err(|error| Problem::not_found("no_such_service", error.to_string()))?;
    tracing::info!(service = name, by = caller.user, "restart asked for");
    Ok(StatusCode::ACCEPTED)
}

async fn services(State(board): State<Board>, _caller: DeveloperCaller) -> Json<Vec<ServiceReport>> {
    Json(board.snapshot())
}
