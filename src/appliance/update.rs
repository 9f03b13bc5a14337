//! update: brings new releases to the agent, and tells it how this one does while it is on trial.
//!
//! Owns the orders for later and the channel's newest trusted news, in the state directory. Everything else is the
//! agent's: it checks every byte, writes, restarts and decides what is kept. This service relays bundles ([`Desk`]),
//! asks the channel on a schedule, picks what may be taken without anybody's word, waits for recordings or for the
//! window, and sends the reports of the gate.
//!
//! Promises: a bundle takes a few pieces of memory, whatever its size and whoever sends it; one is on its way at a
//! time; a transfer that broke goes on where the agent has it safe; nothing is installed without an order of an
//! administrator or the setting `update.automatic`. Must never: hold a bundle to be genuine, or a release to be kept,
//! before the agent says so.
//!
//! Degraded while the agent should be there and does not answer.

mod choose;
mod desk;
pub(crate) mod eeprom;
mod error;
mod fetch;
mod gate;
mod kept;
mod look;
mod news;
mod own_page;
mod pull;
mod relay;
mod restart;
mod routes;
mod schedule;
mod settings;
mod status;
mod tls;
mod updates;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lucid_agent_protocol::update::Phase;
use lucid_device::Clock;
use lucid_kit::{Board, Ctx, Health, Lease, Lender, Service};
use lucid_ports::{Accounts, AuditEntry, Storage};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use choose::{BoxId, is_version};
pub use desk::{Desk, RecordingsNow};
pub(crate) use desk::{Turn, described};
pub use error::UpdateError;
pub use fetch::FetchError;
pub(crate) use fetch::{PACE_BYTES, PACE_TIME, Pace};
pub use own_page::Addresses;
pub(crate) use relay::{Part, Start, relay};
pub use restart::When;
pub(crate) use routes::problem;
pub use routes::{ApiDeps, routes};
pub use settings::{NoUpdateUrl, NoWindow, Settings, UpdateUrl, Window, Zone};
pub use status::{ChannelState, ChannelStatus, Source, Transfer, UpdateStatus};
pub use updates::Updates;

use crate::AgentLink;
use crate::admin_interface::Logs;
use fetch::Fetcher;
use gate::Gate;
use kept::Order;
use own_page::{NoAuthority, OwnPage};
use pull::Pull;
use restart::Go;

/// The service's name.
pub const NAME: &str = "update";

/// Questions of this service that the agent has not answered yet: a look, an order, a report of the gate. With a bundle
/// on its way, and the questions of the pages, they are as many as the agent takes connections.
const UNDER_WAY_MAX: usize = 3;
/// An installation that the agent refused, or a bundle that nobody asked for, is not tried again by itself for so long.
const DECLINED_FOR: Duration = Duration::from_secs(6 * 3600);

/// What it may use.
pub struct Deps {
    /// The way to the agent.
    pub agent: AgentLink,
    /// Every service.
    pub board: Board,
    /// Their logs.
    pub logs: Arc<dyn Logs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// For the audit log.
    pub accounts: Arc<dyn Accounts>,
    /// The data disk.
    pub storage: watch::Receiver<Storage>,
    /// Recordings under way.
    pub recordings: RecordingsNow,
    /// Where the own dashboard should answer.
    pub addresses: Addresses,
    /// The authority of the own certificate, in PEM.
    pub ca_pem: Arc<str>,
    /// Tells this box from others.
    pub id: BoxId,
    /// Random, made at the start of the process.
    pub supervisor: String,
    /// The state directory; the service keeps to `update/` in it.
    pub state_dir: PathBuf,
    /// Where its desk is lent.
    pub desk: Lender<Desk>,
}

/// The service.
pub struct Update {
    desk: Arc<Desk>,
    gate: Option<Gate>,
    accounts: Arc<dyn Accounts>,
    /// When the channel is asked next.
    look_at: Instant,
    /// Looks at the channel that failed in a row.
    failed_looks: u32,
    is_looking: bool,
    is_fetching: bool,
    /// Until then nothing is fetched or installed without anybody's word.
    declined_until: Option<Instant>,
    /// Why the last installation did not begin.
    declined: Option<String>,
    _lease: Lease<Desk>,
}

/// Work that has ended.
enum Ended {
    Look { is_good: bool },
    Fetch { declined: bool },
}

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder could not be made.
    #[error("could not make the folder `{NAME}` in `{}`", path.display())]
    Folder {
        /// The state directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Reading what is kept panicked.
    #[error("reading what is kept failed")]
    Read(#[source] tokio::task::JoinError),
    /// Fetching can't be set up.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The own certificate can't be checked.
    #[error("could not set up the look at the own dashboard")]
    Page(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<NoAuthority> for Error {
    fn from(error: NoAuthority) -> Self {
        Self::Page(error.into())
    }
}

impl Service for Update {
    const NAME: &'static str = NAME;
    const PERIOD: Duration = Duration::from_secs(1);

    type Config = Settings;
    type Deps = Deps;
    type Request = Infallible;
    type Status = UpdateStatus;
    type Error = Error;

    async fn start(config: &Settings, deps: &Deps) -> Result<Self, Error> {
        let state_dir = deps.state_dir.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let place = kept::Place::make(&state_dir).map_err(|source| Error::Folder { path: state_dir, source })?;
            let kept = place.read();
            Ok::<_, Error>((place, kept))
        });
        let opened = opened.await.map_err(Error::Read)??;
        let link = deps.agent.apart(UNDER_WAY_MAX);
        let now_ms = deps.clock.now().unix_ms;
        let wait = schedule::after_start(opened.1.checked_ms, now_ms, config.check_h, fastrand::f64());
        let fetcher = Fetcher::new(deps.clock.clone())?;
        let recordings = deps.recordings.clone();
        let desk = Desk::new(config.clone(), link.clone(), deps.clock.clone(), fetcher, deps.id, recordings, opened);
        let desk = Arc::new(desk);
        let page = OwnPage::new(deps.addresses.clone(), &deps.ca_pem, deps.clock.clone())?;
        let (board, logs) = (deps.board.clone(), deps.logs.clone());
        let (storage, supervisor) = (deps.storage.clone(), deps.supervisor.clone());
        let is_there = link.is_there();
        Ok(Self {
            gate: is_there.then_some(Gate { link, board, logs, page, storage, supervisor }),
            accounts: deps.accounts.clone(),
            look_at: Instant::now() + wait,
            failed_looks: 0,
            is_looking: false,
            is_fetching: false,
            declined_until: None,
            declined: None,
            _lease: deps.desk.lend(desk.clone()),
            desk,
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Error> {
        if let Some(gate) = self.gate.take() {
            ctx.spawn(gate.keep());
        }
        // As many as there are kinds of work beside the loop, so that telling of an end never waits.
        let (tell, mut ended) = mpsc::channel(2);
        while ctx.ticked().await {
            while let Ok(work) = ended.try_recv() {
                self.ended(work);
            }
            let status = self.desk.look().await;
            self.ask_channel(&status, ctx, &tell);
            self.fetch(&status, ctx, &tell);
            self.install(&status).await;
            let status = UpdateStatus { waiting: self.desk.waiting(), ..status };
            // Whoever watches is woken for news only.
            if *ctx.status() != status {
                ctx.publish(status);
            }
        }
        Ok(())
    }

    fn health(status: &UpdateStatus) -> Health {
        match &status.agent_problem {
            Some(reason) if status.is_agent_due => Health::Degraded { reason: reason.clone() },
            _ => Health::Healthy,
        }
    }
}

impl Update {
    fn ended(&mut self, work: Ended) {
        match work {
            Ended::Look { is_good } => {
                self.is_looking = false;
                self.failed_looks = if is_good { 0 } else { self.failed_looks.saturating_add(1) };
                let wait = schedule::after_look(self.failed_looks, self.desk.settings.check_h, fastrand::f64());
                self.look_at = Instant::now() + wait;
            }
            Ended::Fetch { declined } => {
                self.is_fetching = false;
                if declined {
                    self.declined_until = Some(Instant::now() + DECLINED_FOR);
                }
            }
        }
    }

    /// Asks the channel when it is due, or when somebody wants it.
    fn ask_channel(&mut self, status: &UpdateStatus, ctx: &Ctx<Self>, tell: &mpsc::Sender<Ended>) {
        let is_asked = self.desk.take_check();
        let is_due = Instant::now() >= self.look_at && status.agent.is_some() && self.desk.settings.channel.is_some();
        if self.is_looking || !(is_asked || is_due) {
            return;
        }
        self.is_looking = true;
        let (desk, tell) = (self.desk.clone(), tell.clone());
        ctx.spawn(async move {
            let is_good = desk.look_at_channel().await;
            // Nobody is left to be told only where the incarnation ends.
            let _ = tell.send(Ended::Look { is_good }).await;
        });
    }

    /// Fetches what somebody asked for, or what the channel offers and the settings let in.
    fn fetch(&mut self, status: &UpdateStatus, ctx: &Ctx<Self>, tell: &mpsc::Sender<Ended>) {
        if self.is_fetching || !self.desk.is_free() {
            return;
        }
        let asked = self.desk.asked_pull().map(Pull::asked);
        let Some(pull) = asked.or_else(|| self.offered(status)) else { return };
        self.is_fetching = true;
        let (desk, tell) = (self.desk.clone(), tell.clone());
        ctx.spawn(async move {
            let is_automatic = pull.source == Source::Automatic;
            let declined = desk.fetch(pull).await.is_err() && is_automatic;
            // As above.
            let _ = tell.send(Ended::Fetch { declined }).await;
        });
    }

    /// What is taken without anybody's word.
    fn offered(&self, status: &UpdateStatus) -> Option<Pull> {
        let settings = &self.desk.settings;
        if !settings.automatic || self.is_declined() || status.channel.state != ChannelState::Fresh {
            return None;
        }
        let (agent, news) = (status.agent.as_ref()?, status.channel.report.as_ref()?);
        let offer = choose::choose(agent, news, settings, &self.desk.id)?;
        if agent.trial || !choose::has_room(agent, offer) {
            return None;
        }
        let url =
            offer.url.parse().inspect_err(|error| tracing::warn!(%error, url = offer.url, "an offer is of no use"));
        Some(Pull { url: url.ok()?, source: Source::Automatic, told: Some((offer.bytes, offer.bundle)) })
    }

    /// Installs what is written, where that is ordered and the time has come.
    async fn install(&mut self, status: &UpdateStatus) {
        let Some(agent) = &status.agent else { return };
        self.forget_void_order(&agent.phase).await;
        let Phase::Written { incoming } = &agent.phase else { return self.desk.set_waiting(None) };
        let order = self.desk.kept().await.order;
        let is_failed = agent.quarantine.iter().any(|failed| failed.build_id == incoming.build_id);
        let is_automatic = order.is_none() && self.desk.settings.automatic && !is_failed && !self.is_declined();
        let when = match order {
            Some(order) => order.when,
            None if is_automatic && self.desk.settings.window.is_some() => When::Window,
            None if is_automatic => When::Quiet,
            None => return self.desk.set_waiting(self.declined.clone()),
        };
        let recordings = (self.desk.recordings)();
        let window = self.desk.settings.window.map(|window| (window, &self.desk.settings.zone));
        match restart::decide(when, window, self.desk.clock.now(), recordings) {
            Go::Wait(reason) => self.desk.set_waiting(Some(reason)),
            Go::Ahead => self.restart_into(&incoming.version, is_automatic).await,
        }
    }

    async fn restart_into(&mut self, version: &str, is_automatic: bool) {
        let by = if is_automatic { "by the setting update.automatic" } else { "as ordered before" };
        self.note(format!("version {version}, {by}")).await;
        tracing::info!(version, is_automatic, "installing a release");
        let begun = self.desk.install_now().await;
        self.declined = begun.as_ref().err().map(|error| format!("the release was not installed: {error}"));
        let Err(error) = begun else { return self.desk.set_waiting(None) };
        self.note(format!("version {version}: not done: {error}")).await;
        tracing::error!(%error, version, "a release was not installed");
        self.declined_until = Some(Instant::now() + DECLINED_FOR);
        self.drop_order().await;
        self.desk.set_waiting(self.declined.clone());
    }

    /// An order is for one release: it ends with it. While a trial goes on, or the agent is away, it is left as it is.
    async fn forget_void_order(&mut self, phase: &Phase) {
        let Some(Order { bundle, .. }) = self.desk.kept().await.order else { return };
        let is_void = match phase {
            Phase::Armed { .. } | Phase::Trying { .. } => false,
            phase => desk::incoming(phase).is_none_or(|incoming| incoming.bundle != bundle),
        };
        if is_void {
            self.drop_order().await;
        }
    }

    async fn drop_order(&self) {
        if let Err(error) = self.desk.keep(|kept| kept.order = None).await {
            tracing::error!(error = &error as &dyn std::error::Error, "an order that is done with stays on disk");
        }
    }

    fn is_declined(&self) -> bool {
        self.declined_until.is_some_and(|until| Instant::now() < until)
    }

    /// Writes down what the box does by itself.
    async fn note(&self, detail: String) {
        let at_ms = self.desk.clock.now().unix_ms;
        let (user, peer, action) = (String::new(), String::new(), "update installed".to_owned());
        if let Err(error) = self.accounts.note(AuditEntry { at_ms, user, peer, action, detail }).await {
            tracing::error!(%error, "an installation is missing from the audit log");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
