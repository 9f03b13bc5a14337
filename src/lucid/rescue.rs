//! `lucid rescue`: the page of a box that does not come up, from the sockets of systemd to the signal that ends it.
//!
//! Runs as the supervisor's user, with nothing of the supervisor: no settings, no store, no data disk, no services.
//! Must never write to the state directory, which may be what the box fails on.

mod certificate;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use axum::Router;
use lucid_appliance::{AgentLink, Boot, rescue};
use lucid_client::Console;
use lucid_http::{Limits, ListenPolicy, Listener, PlainPolicy, serve};
use lucid_observe::LevelFilter;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::{
    activation::{self, HandedOver},
    cli,
    command::terminal::Terminal,
    failure::Failure,
    run::{RUNTIME_MAX, asked_to_stop, observe, own_host_name},
    wire::redirect,
};
use certificate::Shown;

/// Connections of each port: the page is for one person, and the unit has 128 MiB and 1024 descriptors.
const CONNECTIONS_MAX: usize = 64;
/// Time that requests under way get on stop; the unit allows 15 s for everything.
const GRACE_MS: u64 = 8_000;

/// Runs it until systemd stops it.
pub(crate) fn run(args: &cli::Rescue) -> Result<ExitCode, Failure> {
    let _observe = observe(LevelFilter::INFO)?;
    let handed_over = HandedOver::take().map_err(|source| Failure::other("take over what systemd opened", source))?;
    let boot = Boot::read(&args.boot_report);
    let shown = Shown::open(&args.state_dir, own_host_name())?;
    let page = Page::new(args.agent_socket.clone(), handed_over, boot, shown)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| Failure::Io { attempted: "start the runtime".to_owned(), source })?;
    let ended = runtime.block_on(page.serve());
    runtime.shutdown_timeout(RUNTIME_MAX);
    ended.map(|()| ExitCode::SUCCESS)
}

/// Everything that is there before the first request.
struct Page {
    https: std::net::TcpListener,
    http: Option<std::net::TcpListener>,
    reason: String,
    health: Router,
    deps: rescue::Deps,
    shown: Shown,
}

impl Page {
    fn new(agent: PathBuf, handed_over: HandedOver, boot: Boot, shown: Shown) -> Result<Self, Failure> {
        let HandedOver { https, http, console, kernel_log, payments: _ } = handed_over;
        let https = https.ok_or_else(|| {
            let text = "the rescue page is started by systemd with the sockets of lucid-rescue.socket and \
                        lucid-rescue-http.socket: start lucid-rescue.target";
            Failure::Usage(text.to_owned())
        })?;
        let (reason, health) = (rescue::reason(&boot), rescue::health(&boot));
        let deps = rescue::Deps {
            boot,
            agent: AgentLink::new(Some(&agent)),
            certificate_problem: shown.problem.clone(),
            kernel_log: kernel_log.ok_or_else(|| "it was not handed over by the unit".to_owned()),
            announce: announcer(activation::at_the_box(console), &shown, &reason),
        };
        Ok(Self { https, http, reason, health, deps, shown })
    }

    async fn serve(self) -> Result<(), Failure> {
        let failed = |source| Failure::other("take over the ports of the rescue page", source);
        let https = Listener::from_std(self.https).map_err(failed)?;
        let http = self.http.map(Listener::from_std).transpose().map_err(failed)?;
        let shutdown =
            asked_to_stop().map_err(|source| Failure::Io { attempted: "listen for signals".to_owned(), source })?;
        let stop = CancellationToken::new();
        let limits = Limits { connections_max: CONNECTIONS_MAX, grace_ms: GRACE_MS, ..Limits::default() };
        let policy = ListenPolicy { limits, ..ListenPolicy::lan(rescue::NAME, self.shown.certificate.server_config()) };
        let mut ports = vec![tokio::spawn(serve(https, rescue::routes(self.deps), policy, stop.clone()))];
        if let Some(http) = http {
            // Nothing here is worth hiding, and nobody is let in.
            let loopback = ListenPolicy::loopback(rescue::NAME);
            let policy = ListenPolicy { limits, plain: PlainPolicy::Always, ..loopback };
            let router = redirect::to_https().merge(self.health);
            ports.push(tokio::spawn(serve(http, router, policy, stop.clone())));
        }
        tokio::spawn(self.shown.renewal.keep());
        tokio::spawn(feed_watchdog());
        let line = format!("in rescue: {}", self.reason).replace(char::is_control, " ");
        tell(&[NotifyState::Ready, NotifyState::Status(&line)]);
        tracing::warn!(reason = self.reason, "in rescue");
        Terminal.line(&format!("  Certificate (SHA-256): {}", self.shown.certificate.ca_fingerprint_sha256()));
        shutdown.await;
        tell(&[NotifyState::Stopping]);
        stop.cancel();
        for port in ports {
            port.await.map_err(|source| Failure::other("stop a port of the rescue page", source))?;
        }
        Ok(())
    }
}

/// Shows a one-time code, with what whoever reads it has to know.
fn announcer(show: impl Fn(&str) + Send + Sync + 'static, shown: &Shown, reason: &str) -> rescue::Announce {
    let (name, fingerprint) = (own_host_name(), shown.certificate.ca_fingerprint_sha256().to_owned());
    let problem = shown.problem.as_ref().map(|problem| format!("  Certificate: {problem}\n")).unwrap_or_default();
    let head =
        format!("\n  In rescue: {reason}\n  Page: https://{name}\n{problem}  Fingerprint (SHA-256): {fingerprint}\n");
    Arc::new(move |code| {
        show(&format!("{head}  One-time code, for diagnostics and the network:\n\n      {code}\n\n"));
    })
}

/// Tells systemd twice in its period that the runtime turns, if it wants to know.
async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| *period > Duration::ZERO) else { return };
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// Tells systemd, if it started this process.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the rescue page is; will go on trying");
    }
}
