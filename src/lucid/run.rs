//! `lucid run` and `lucid dev`: from settings to a running box, and back down in order.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use lucid_appliance::{AgentLink, Boot, storage_watch::AbsentRoot, thermal_watch::Thresholds};
use lucid_client::Console;
use lucid_device::{DataPlace, Device, Linux, Simulated, SystemClock};
use lucid_layout::paths;
use lucid_observe::{Journald, LevelFilter, Observe, ObserveConfig, TerminalFormat};
use lucid_proof::note::Signer;
use lucid_supervisor::{Notifier, Supervisor};
use lucid_vault::Identity;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    activation::{self, HandedOver},
    certificate::{Listening, Renewal},
    cli,
    command::{offline::load, terminal::Terminal},
    config::{ConfigErrors, Settings, keys, process_environment},
    failure::Failure,
    front::Opened,
    ready,
    wire::{self, DashboardPorts, Ground, SIGNING},
};

/// Seed of the simulated Pi: the same run shows the same values.
const SIMULATION_SEED: u64 = 5;
/// How often the clock's floor is looked at; it is written at most once a minute.
const CLOCK_PERIOD: Duration = Duration::from_secs(20);
/// Listeners that do not end in this time are left to the end of the process.
const FRONTS_MAX: Duration = Duration::from_secs(11);
/// What the log writer gets to put its last lines on disk.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// Threads that are blocked for good are left behind after this.
pub(crate) const RUNTIME_MAX: Duration = Duration::from_secs(2);

/// How the box is run.
#[derive(Clone, Copy)]
enum Mode {
    /// As its unit does.
    Appliance,
    /// On a developer's machine; `true` for a simulated Pi.
    Developer { simulate: bool },
}

/// What the box is started with.
struct Start {
    settings: Settings,
    mode: Mode,
    /// What the owner should know of the start.
    notes: Vec<String>,
}

/// `lucid run`.
pub(crate) fn run(args: &cli::Run) -> Result<ExitCode, Failure> {
    appliance(Start::new(load(args.settings.config.as_ref())?, Mode::Appliance))
}

/// `lucid dev`.
pub(crate) fn dev(args: &cli::Dev) -> Result<ExitCode, Failure> {
    appliance(Start::new(load(args.config.as_ref())?, Mode::Developer { simulate: args.simulate }))
}

impl Start {
    fn new((settings, errors): (Settings, Option<ConfigErrors>), mode: Mode) -> Self {
        let told = |error| format!("your own settings have no effect until they are mended: {error}");
        Self { settings, mode, notes: errors.iter().flat_map(ConfigErrors::each).map(told).collect() }
    }

    /// A path of the appliance, which a developer's machine does not have.
    fn usual(&self, path: &'static str) -> Option<&'static str> {
        matches!(self.mode, Mode::Appliance).then_some(path)
    }

    fn boot(&self) -> Boot {
        match self.settings.place_of(&keys::BOOT_REPORT, self.usual(paths::BOOT_REPORT)) {
            Some(path) => Boot::read(&path),
            None => Boot::NotAnAppliance,
        }
    }

    fn device(&self, data_root: &Path, clock: &Arc<SystemClock>) -> Arc<dyn Device> {
        match self.mode {
            Mode::Developer { simulate: true } => {
                Arc::new(Simulated::new(SIMULATION_SEED, &data_root.display().to_string(), clock.clone()))
            }
            Mode::Developer { simulate: false } => Arc::new(Linux::new(DataPlace::Directory(data_root.to_owned()))),
            Mode::Appliance => Arc::new(Linux::new(DataPlace::MountPoint(data_root.to_owned()))),
        }
    }

    fn absent_root(&self) -> AbsentRoot {
        match self.mode {
            Mode::Appliance => AbsentRoot::Wait,
            Mode::Developer { .. } => AbsentRoot::Create,
        }
    }

    /// The name under which the box is reached: on the appliance the kernel's, which mDNS announces below `local`.
    fn hostname(&self) -> String {
        match self.mode {
            Mode::Appliance if !self.settings.is_set(&keys::LISTEN_HOSTNAME) => own_host_name(),
            _ => self.settings.host_name(&keys::LISTEN_HOSTNAME).to_owned(),
        }
    }
}

fn appliance(start: Start) -> Result<ExitCode, Failure> {
    raise_descriptor_limit()?;
    let observe = observe(start.settings.choice(&keys::LOG_LEVEL).parse().unwrap_or(LevelFilter::INFO))?;
    let counting = observe.count().map_err(|source| Failure::other("begin to count", source))?;
    start.notes.iter().for_each(|note| tracing::error!(note, "the settings"));
    let handed_over = HandedOver::take().map_err(|source| Failure::other("take over what systemd opened", source))?;
    let (ground, clock, renewal) = ground(start, handed_over, observe.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("lucid").build();
    let runtime = runtime.map_err(|source| Failure::Io { attempted: "start the runtime".to_owned(), source })?;
    counting.wait().map_err(|source| Failure::other("count", source))?;
    let code = runtime.block_on(live(ground, clock, renewal));
    runtime.shutdown_timeout(RUNTIME_MAX);
    if !observe.flush(FLUSH_MAX) {
        Terminal.line("the last log lines could not be written");
    }
    code
}

/// Starts everything, waits for a signal, stops everything.
async fn live(ground: Ground, clock: Arc<SystemClock>, renewal: Renewal) -> Result<ExitCode, Failure> {
    let running =
        wire::start(&ground).map_err(|source| Failure::Io { attempted: "start the services".to_owned(), source })?;
    let (dashboard, fingerprint) = (running.dashboard, ground.ca_fingerprint.clone());
    tokio::spawn(async move { say_where(dashboard, &fingerprint).await });
    tokio::spawn(keep_time(clock.clone()));
    tokio::spawn(renewal.keep());
    let notifier = Notifier::systemd()
        .map_err(|source| Failure::Io { attempted: "start the thread that talks to systemd".to_owned(), source })?;
    let shutdown =
        asked_to_stop().map_err(|source| Failure::Io { attempted: "listen for signals".to_owned(), source })?;
    let grace = Duration::from_secs(ground.settings.integer(&keys::STOP_GRACE_S));
    let supervisor = Supervisor::new(running.board, notifier, grace);
    tokio::spawn(ready::tell_agent(ground.agent.clone(), supervisor.ready()));
    let outcome = supervisor.run(running.services, shutdown).await;
    running.fronts_stop.cancel();
    let fronts = async {
        for front in running.fronts {
            let _ = front.await;
        }
    };
    if tokio::time::timeout(FRONTS_MAX, fronts).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    let kept = tokio::task::spawn_blocking(move || clock.keep()).await;
    if let Ok(Err(error)) = kept {
        tracing::warn!(error = &error as &dyn std::error::Error, "the clock's floor could not be kept");
    }
    Ok(if outcome.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that is there before the first service.
fn ground(
    start: Start,
    handed_over: HandedOver,
    observe: Observe,
) -> Result<(Ground, Arc<SystemClock>, Renewal), Failure> {
    let settings = &start.settings;
    let (data_root, state_dir) = (settings.path(&keys::DATA_DIR), settings.path(&keys::STATE_DIR));
    make_state_dir(&state_dir)?;
    let clock = Arc::new(SystemClock::new(&state_dir));
    if let Some(problem) = clock.startup_problem() {
        tracing::warn!(%problem, "the clock's floor could not be read");
    }
    let identity =
        Identity::open(&state_dir).map_err(|source| Failure::other("open the appliance's identity", source))?;
    let signer = signer(&identity)?;
    let listening = Listening::new(settings, start.hostname());
    let certificate = listening.certificate(&state_dir.join("tls"), &clock)?;
    let HandedOver { https, http, console, payments: _, kernel_log: _ } = handed_over;
    let ground = Ground {
        absent_root: start.absent_root(),
        thresholds: thresholds(settings),
        device: start.device(&data_root, &clock),
        boot: Arc::new(start.boot()),
        agent: AgentLink::new(settings.place_of(&keys::AGENT_SOCKET, start.usual(paths::AGENT_SOCKET)).as_deref()),
        payments_socket: settings.place_of(&keys::PAYMENTS_SOCKET, start.usual(paths::PAYMENTS_SOCKET)),
        ports: Mutex::new(DashboardPorts { https, http }),
        tls: certificate.server_config(),
        ca_fingerprint: certificate.ca_fingerprint_sha256().to_owned(),
        ca_pem: certificate.ca_pem().into(),
        announce: activation::announcer(console),
        data_root,
        state_dir,
        clock: clock.clone(),
        observe,
        identity,
        signer: Arc::new(signer),
        notes: start.notes,
        settings: start.settings,
    };
    Ok((ground, clock.clone(), Renewal::new(certificate, clock, listening)))
}

fn thresholds(settings: &Settings) -> Thresholds {
    let celsius = |key| i32::try_from(settings.integer(key)).expect("the table bounds it");
    Thresholds {
        shed_c: celsius(&keys::SHED_C),
        recording_only_c: celsius(&keys::RECORDING_ONLY_C),
        hysteresis_c: celsius(&keys::HYSTERESIS_C),
    }
}

/// The appliance signs under a name made of its own key, so that two appliances never share one.
fn signer(identity: &Identity) -> Result<Signer, Failure> {
    let key = identity.signing_key(SIGNING);
    let id = lucid_proof::hash::sha256(&[key.verifying_key().as_bytes()]);
    let name = format!("lucid-{}", data_encoding::HEXLOWER.encode(&id[..4]));
    Signer::new(&name, key).map_err(|source| Failure::other("name the appliance's key", source))
}

/// Makes the state directory, readable by nobody else.
pub(crate) fn make_state_dir(state_dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state_dir);
    made.map_err(|source| Failure::Io {
        attempted: format!("make the state directory `{}`", state_dir.display()),
        source,
    })
}

/// The kernel's name of this machine, as mDNS announces it below `local`.
pub(crate) fn own_host_name() -> String {
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if own.contains('.') { own } else { format!("{own}.local") }
}

/// Sets up the logs of the process.
pub(crate) fn observe(level: LevelFilter) -> Result<Observe, Failure> {
    let stream = process_environment().find(|(name, _)| name == "JOURNAL_STREAM").map(|(_, value)| value);
    let config = ObserveConfig {
        log_dir: None,
        journald: Journald::Auto(stream),
        default_level: level,
        terminal: TerminalFormat::Auto,
    };
    lucid_observe::init(config).map_err(|source| Failure::other("set up the logs", source))
}

/// Each connection needs a descriptor, and the usual soft limit of 1024 is less than one listener takes.
fn raise_descriptor_limit() -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| Failure::Io { attempted: "raise the limit of open files".to_owned(), source: error.into() })
}

/// Says where the dashboard is, once it is there.
async fn say_where(mut dashboard: tokio::sync::watch::Receiver<Opened>, fingerprint: &str) {
    let Ok(opened) = dashboard.wait_for(|opened| matches!(opened, Opened::At(_))).await else { return };
    if let Opened::At(address) = *opened {
        Terminal.line(&format!("  Dashboard: https://{}\n  Certificate (SHA-256): {fingerprint}", reachable(address)));
    }
}

/// An address that a person on this machine can open.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::new(IpAddr::from([127, 0, 0, 1]), address.port()) } else { address }
}

/// Carries the clock's floor along, so that time never runs back over a restart.
async fn keep_time(clock: Arc<SystemClock>) {
    let mut ticks = tokio::time::interval(CLOCK_PERIOD);
    loop {
        ticks.tick().await;
        let clock = clock.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || clock.advance()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the clock's floor could not be advanced");
        }
    }
}

/// Completes at SIGTERM or SIGINT.
pub(crate) fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        futures_util::future::select(Box::pin(terminate.recv()), Box::pin(interrupt.recv())).await;
    })
}
