//! The wiring: the one place that names every service, gives each exactly what it may use, and starts them all.
//!
//! Two phases. First every service is wired, so that handles exist in any direction; then each is supervised with its
//! dependencies. [`Wires`] is taken apart without `..`: a service that is wired and not started does not compile.

mod chain;
mod dashboard;
mod groups;
mod layout;
mod ports;
pub(crate) mod redirect;
mod update;

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::Router;
use lucid_appliance::{
    AdminInterface, AgentLink, AgentView, Boot, Release, StorageWatch, ThermalWatch, Update, Updates,
    storage_watch::AbsentRoot, thermal_watch::Thresholds, update::Desk,
};
use lucid_chain::{AnchoringPort, BlockManager, BlockchainEngine, ChainPort, ChainStore, SessionAnchoring};
use lucid_device::{Clock, Device};
use lucid_foundation::auth_service::{AccountsPort, AuthService, TokenAuthenticator};
use lucid_http::ListenPolicy;
use lucid_kit::{Board, Gate, Handle, Lender, Pool, Service, Slot, Spec, Wired, slot, supervise, wire};
use lucid_observe::Observe;
use lucid_ports::{AccountLookup, Accounts, Authenticator, Load, Storage};
use lucid_proof::note::Signer;
use lucid_sessions::{ApiState, Repository, SessionApi, SessionPipeline, SessionStorage, Uploads};
use lucid_store::Store;
use lucid_supervisor::Supervised;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Port, Settings, keys},
    front::{Callers, Front, FrontPort, Fronts, Opened},
};

/// What the identity's key is used for. One key signs blocks, checkpoints and manifests: it is what a verifier trusts.
pub(crate) const SIGNING: &str = "chain";

/// What the box stands on, made before any service.
pub(crate) struct Ground {
    pub(crate) settings: Settings,
    pub(crate) data_root: PathBuf,
    pub(crate) state_dir: PathBuf,
    /// On an appliance the data root comes with its disk; on a developer's machine it is made.
    pub(crate) absent_root: AbsentRoot,
    pub(crate) thresholds: Thresholds,
    pub(crate) device: Arc<dyn Device>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observe: Observe,
    /// The appliance's identity: signs manifests, blocks and checkpoints.
    pub(crate) identity: lucid_vault::Identity,
    pub(crate) signer: Arc<Signer>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) ca_fingerprint: String,
    /// The authority of the device's certificate, in PEM.
    pub(crate) ca_pem: Arc<str>,
    /// Shows the owner the one-time code.
    pub(crate) announce: Arc<dyn Fn(&str) + Send + Sync>,
    /// Ports that systemd opened for the dashboard; whoever serves one takes it.
    pub(crate) ports: Mutex<DashboardPorts>,
    /// How this boot went.
    pub(crate) boot: Arc<Boot>,
    /// What the owner should know of the start, for the overview.
    pub(crate) notes: Vec<String>,
    /// The way to the agent.
    pub(crate) agent: AgentLink,
    /// Where the payments plane listens, where there is one.
    pub(crate) payments_socket: Option<PathBuf>,
}

/// The ports that systemd holds, because they are below 1024.
#[derive(Default)]
pub(crate) struct DashboardPorts {
    pub(crate) https: Option<TcpListener>,
    pub(crate) http: Option<TcpListener>,
}

/// Every service, wired.
struct Wires {
    storage_watch: Wired<StorageWatch>,
    thermal_watch: Wired<ThermalWatch>,
    auth_service: Wired<AuthService>,
    blockchain_engine: Wired<BlockchainEngine>,
    session_anchoring: Wired<SessionAnchoring>,
    block_manager: Wired<BlockManager>,
    session_storage: Wired<SessionStorage>,
    session_pipeline: Wired<SessionPipeline>,
    session_api: Wired<SessionApi>,
    admin_interface: Wired<AdminInterface>,
    update: Wired<Update>,
}

/// What is lent, asked and watched between the services.
struct Links {
    pool: Pool,
    load: watch::Receiver<Load>,
    /// The data disk, once its directories are there.
    storage: watch::Receiver<Storage>,
    /// By which services are made to let go of the data disk.
    release: Release,
    /// What the agent said last.
    agent_view: watch::Receiver<AgentView>,
    accounts: Arc<dyn Accounts>,
    lookup: Arc<dyn AccountLookup>,
    authenticator: Arc<dyn Authenticator>,
    engine: Handle<BlockchainEngine>,
    chain: ChainPort,
    auth_store: (Lender<Store>, Slot<Store>),
    chain_store: (Lender<ChainStore>, Slot<ChainStore>),
    anchoring: AnchoringPort,
    repository: (Lender<Repository>, Slot<Repository>),
    uploads: (Lender<Uploads>, Slot<Uploads>),
    api: (Lender<ApiState>, Slot<ApiState>),
    pipeline: Handle<SessionPipeline>,
    desk: Lender<Desk>,
    updates: Updates,
}

/// A running box.
pub(crate) struct Running {
    pub(crate) board: Board,
    pub(crate) services: Vec<Supervised>,
    /// Stops the listeners; cancelled once the services have stopped.
    pub(crate) fronts_stop: CancellationToken,
    pub(crate) fronts: Vec<tokio::task::JoinHandle<()>>,
    /// Where the dashboard listens.
    pub(crate) dashboard: watch::Receiver<Opened>,
}

/// Starts services and keeps what they leave.
struct Starter<'a> {
    ground: &'a Ground,
    board: Board,
    fronts: Fronts,
    storage: watch::Receiver<Storage>,
    services: Vec<Supervised>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// Wires and starts everything. Must run on the runtime.
///
/// # Errors
/// When the computing threads can't be had.
pub(crate) fn start(ground: &Ground) -> std::io::Result<Running> {
    let board = Board::default();
    let (storage_out, storage_raw) = watch::channel(Storage::Waiting { reason: "looking at the data disk".to_owned() });
    let (load_out, load) = watch::channel(Load::Full);
    let (agent_out, agent_view) = watch::channel(AgentView::Absent);
    let (wires, links) = connect(ground, load, &storage_raw, agent_view)?;
    let fronts_stop = CancellationToken::new();
    let fronts = Fronts { board: board.clone(), authenticator: links.authenticator.clone(), stop: fronts_stop.clone() };
    let (services, tasks) = (Vec::new(), vec![layout::logs_follow(storage_raw, ground)]);
    let mut starter = Starter { ground, board, fronts, storage: links.storage.clone(), services, tasks };
    let history = starter.watches(
        wires.storage_watch,
        wires.thermal_watch,
        (storage_out, agent_out),
        links.release.clone(),
        load_out,
    );
    starter.auth(wires.auth_service, &links);
    starter.chain(wires.blockchain_engine, wires.session_anchoring, wires.block_manager, &links);
    starter.sessions(wires.session_storage, wires.session_pipeline, wires.session_api, &links);
    let dashboard = starter.dashboard(wires.admin_interface, &links, history);
    starter.update(wires.update, &links, dashboard.clone());
    let Starter { board, services, tasks, .. } = starter;
    Ok(Running { board, services, fronts_stop, fronts: tasks, dashboard })
}

/// The first phase.
fn connect(
    ground: &Ground,
    load: watch::Receiver<Load>,
    storage_raw: &watch::Receiver<Storage>,
    agent_view: watch::Receiver<AgentView>,
) -> std::io::Result<(Wires, Links)> {
    let (_, storage_watch) = wire::<StorageWatch>();
    let (_, thermal_watch) = wire::<ThermalWatch>();
    let (auth, auth_service) = wire::<AuthService>();
    let (engine, blockchain_engine) = wire::<BlockchainEngine>();
    let (anchoring, session_anchoring) = wire::<SessionAnchoring>();
    let (manager, block_manager) = wire::<BlockManager>();
    let (_, session_storage) = wire::<SessionStorage>();
    let (pipeline, session_pipeline) = wire::<SessionPipeline>();
    let (_, session_api) = wire::<SessionApi>();
    let (_, admin_interface) = wire::<AdminInterface>();
    let (update_handle, update) = wire::<Update>();
    let (desk, desk_slot) = slot(Update::NAME);
    let chain_store = slot(BlockchainEngine::NAME);
    let links = Links {
        pool: Pool::new(background_allowed(load.clone()))?,
        load,
        storage: layout::prepared(storage_raw.clone(), ground),
        release: Release::default(),
        agent_view,
        accounts: Arc::new(AccountsPort::new(auth.clone())),
        lookup: Arc::new(AccountsPort::new(auth.clone())),
        authenticator: Arc::new(TokenAuthenticator::new(auth)),
        chain: ChainPort::new(chain_store.1.clone(), engine.clone(), manager),
        engine,
        anchoring: AnchoringPort::new(anchoring, chain_store.1.clone()),
        auth_store: slot(AuthService::NAME),
        chain_store,
        repository: slot(SessionStorage::NAME),
        uploads: slot(SessionPipeline::NAME),
        api: slot(SessionApi::NAME),
        pipeline,
        desk,
        updates: Updates::new(desk_slot, &update_handle),
    };
    let wires = Wires {
        storage_watch,
        thermal_watch,
        auth_service,
        blockchain_engine,
        session_anchoring,
        block_manager,
        session_storage,
        session_pipeline,
        session_api,
        admin_interface,
        update,
    };
    Ok((wires, links))
}

/// Background work runs while nothing is shed.
fn background_allowed(mut load: watch::Receiver<Load>) -> watch::Receiver<bool> {
    let (tell, allowed) = watch::channel(true);
    tokio::spawn(async move {
        while load.changed().await.is_ok() {
            tell.send_replace(*load.borrow_and_update() == Load::Full);
        }
    });
    allowed
}

impl Starter<'_> {
    /// Supervises one service, behind its gates.
    fn supervise<S: Service>(
        &mut self,
        spec: Spec,
        wired: Wired<S>,
        config: S::Config,
        deps: S::Deps,
        mut gates: Vec<Gate>,
    ) {
        if spec.storage {
            gates.push(Gate::new(self.storage.clone(), |storage| storage.waiting().map(str::to_owned)));
        }
        let stop = CancellationToken::new();
        let task = supervise(spec, wired, config, deps, gates, &self.board, stop.clone());
        self.services.push(Supervised { name: S::NAME, stop, task });
    }

    /// Opens a service's port; the gate is closed until it is open.
    fn front(&mut self, key: &'static Port, policy: ListenPolicy, router: Router) -> (Gate, watch::Receiver<Opened>) {
        let settings = &self.ground.settings;
        let host = match policy.tls {
            Some(_) => settings.address(&keys::LISTEN_HOST),
            None => IpAddr::from([127, 0, 0, 1]),
        };
        let address = SocketAddr::new(host, settings.port(key));
        let port = FrontPort::Own { address, setting: key.about.path };
        self.open(Front { port, policy, router, callers: Callers::Proven })
    }

    fn open(&mut self, front: Front) -> (Gate, watch::Receiver<Opened>) {
        let (gate, opened, task) = self.fronts.open(front);
        self.tasks.push(task);
        (gate, opened)
    }

    /// A port on the LAN: TLS for everybody.
    fn lan(&self, service: &'static str) -> ListenPolicy {
        ListenPolicy::lan(service, self.ground.tls.clone())
    }
}
