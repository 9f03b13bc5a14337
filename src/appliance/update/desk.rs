//! Where orders about updates are given, and what they stand on. Lent by the service while it runs, because a bundle's
//! bytes must not queue behind its ticks.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use lucid_agent_protocol::update::{Incoming, Phase, UpdateReport};
use lucid_agent_protocol::{Client, RefusalCode, Reply, Request};
use lucid_device::Clock;
use lucid_layout::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::choose::BoxId;
use super::error::UpdateError;
use super::fetch::Fetcher;
use super::kept::{Kept, Order, Place};
use super::news;
use super::relay::{Part, Start, relay};
use super::restart::When;
use super::settings::{Settings, UpdateUrl};
use super::status::{Source, Transfer, UpdateStatus};
use crate::AgentLink;
use crate::agent_link::AgentError;

/// The agent answers from memory.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// For an order, which the agent puts on its disk before it answers.
const ORDER_MAX: Duration = Duration::from_secs(15);
/// How long a transfer that is to end may take for it: as long as the piece that the agent is writing, which a bad card
/// takes seconds for.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Between two orders to an agent that has not noticed the end of a transfer yet.
const STOP_PAUSE: Duration = Duration::from_millis(200);

/// How many recordings take bytes at this moment.
pub type RecordingsNow = Arc<dyn Fn() -> usize + Send + Sync>;

/// One incarnation's resources.
pub struct Desk {
    pub(crate) settings: Settings,
    pub(crate) link: AgentLink,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fetcher: Fetcher,
    pub(crate) id: BoxId,
    /// Recordings under way.
    pub(crate) recordings: RecordingsNow,
    place: Place,
    kept: tokio::sync::Mutex<Kept>,
    /// One bundle at a time.
    turn: Arc<Semaphore>,
    notes: Mutex<Notes>,
}

/// What is lost with an incarnation, and need not be kept.
#[derive(Default)]
struct Notes {
    running: Option<Running>,
    /// Asked for, and not begun.
    pull: Option<UpdateUrl>,
    is_check_asked: bool,
    /// Why the last look at the channel failed.
    channel_problem: Option<String>,
    /// What an installation waits for.
    waiting: Option<String>,
}

impl Notes {
    /// What was asked for shows at once, not only when it begins; but not before what goes on still.
    fn transfer(&self) -> Option<Transfer> {
        let known = self.running.as_ref().map(Running::transfer);
        let asked = self.pull.as_ref().map(|url| Transfer::new(Source::Pull, Some(url), None));
        match known {
            Some(known) if known.active => Some(known),
            known => asked.or(known),
        }
    }
}

/// The right to send a bundle; held by whoever has something to do with it still.
pub(crate) type Turn = Arc<OwnedSemaphorePermit>;

/// A transfer, under way or over.
struct Running {
    transfer: Transfer,
    done: Arc<AtomicU64>,
    stop: CancellationToken,
}

/// A transfer that goes on. However it ends, it is then not active any more.
pub(crate) struct Going<'a> {
    desk: &'a Desk,
    pub(crate) done: Arc<AtomicU64>,
    pub(crate) stop: CancellationToken,
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.desk.change_transfer(|transfer| transfer.active = false);
    }
}

impl Desk {
    pub(crate) fn new(
        settings: Settings,
        link: AgentLink,
        clock: Arc<dyn Clock>,
        fetcher: Fetcher,
        id: BoxId,
        recordings: RecordingsNow,
        (place, kept): (Place, Kept),
    ) -> Self {
        let (turn, notes) = (Arc::new(Semaphore::new(1)), Mutex::default());
        Self { settings, link, clock, fetcher, id, recordings, place, kept: tokio::sync::Mutex::new(kept), turn, notes }
    }

    /// How updates are, asked now.
    pub(crate) async fn look(&self) -> UpdateStatus {
        let asked = self.report().await;
        let (agent, agent_problem) = match asked {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let kept = self.kept().await;
        let notes = self.notes();
        let is_set = self.settings.channel.is_some();
        let channel = news::judge(&kept, notes.channel_problem.as_deref(), is_set, self.clock.now());
        let transfer = notes.transfer();
        let (settings, waiting, is_agent_due) = (self.settings.clone(), notes.waiting.clone(), self.link.is_there());
        UpdateStatus { agent, agent_problem, settings, channel, transfer, waiting, is_agent_due }
    }

    /// What the agent says.
    pub(crate) async fn report(&self) -> Result<UpdateReport, AgentError> {
        match self.link.ask(Request::UpdateStatus {}, LOOK_MAX).await? {
            Reply::Update(report) => Ok(*report),
            _ => Err(AgentError::Unfit),
        }
    }

    /// Takes a bundle that somebody sends.
    pub(crate) async fn upload(
        &self,
        offset: u64,
        bundle: Option<Digest>,
        bytes: BoxStream<'static, io::Result<Bytes>>,
    ) -> Result<(), UpdateError> {
        let client = self.client()?;
        let turn = self.turn()?;
        let going = self.begin(Source::Upload, None, None);
        let part = Part { start: Start { offset, bundle, automatic: false, skip: 0 }, bytes };
        let sending = relay(client, part, going.done.clone(), turn.clone());
        let sent = going.stop.clone().run_until_cancelled(sending).await;
        let sent = sent.unwrap_or(Err(UpdateError::GivenUp));
        self.ended(&sent);
        sent
    }

    /// Has a bundle fetched, beginning in a moment.
    pub(crate) fn pull(&self, url: UpdateUrl) -> Result<(), UpdateError> {
        self.client()?;
        let is_busy = self.turn.available_permits() == 0;
        let mut notes = self.notes();
        if is_busy || notes.pull.is_some() {
            return Err(UpdateError::Busy);
        }
        notes.pull = Some(url);
        Ok(())
    }

    /// Has the channel asked, beginning in a moment.
    pub(crate) fn check(&self) -> Result<(), UpdateError> {
        self.client()?;
        if self.settings.channel.is_none() {
            return Err(UpdateError::NoChannel);
        }
        self.notes().is_check_asked = true;
        Ok(())
    }

    /// Installs what is written: now, or once the time has come.
    pub(crate) async fn install(&self, when: When) -> Result<(), UpdateError> {
        if when == When::Now {
            return self.install_now().await;
        }
        if when == When::Window && self.settings.window.is_none() {
            return Err(UpdateError::NoWindow);
        }
        let report = self.report().await?;
        let bundle = incoming(&report.phase).ok_or(UpdateError::NothingWritten)?.bundle;
        self.keep(|kept| kept.order = Some(Order { bundle, when })).await
    }

    pub(crate) async fn install_now(&self) -> Result<(), UpdateError> {
        self.order(Request::InstallUpdate { soak_s: self.settings.soak_s }).await
    }

    /// Gives up what is written or on its way.
    pub(crate) async fn discard(&self) -> Result<(), UpdateError> {
        self.stop_transfer();
        let until = Instant::now() + STOP_MAX;
        // Kept over the order, so that nothing begins in between. Without it the agent says whether it can be done.
        let _turn = timeout_at(until, self.turn.clone().acquire_owned()).await;
        while let Err(error) = self.order(Request::DiscardUpdate {}).await {
            if !is_busy(&error) || Instant::now() >= until {
                return Err(error);
            }
            sleep(STOP_PAUSE).await;
        }
        self.notes().running = None;
        self.keep(|kept| kept.order = None).await
    }

    /// Back to the other slot.
    pub(crate) async fn rollback(&self) -> Result<(), UpdateError> {
        self.order(Request::ReturnToOther { soak_s: self.settings.soak_s }).await
    }

    /// Shows that a trial boot works.
    pub(crate) async fn selftest(&self) -> Result<(), UpdateError> {
        self.order(Request::Selftest {}).await
    }

    /// Has the firmware install the carried release of the EEPROM.
    pub(crate) async fn install_eeprom(&self, build_s: u64) -> Result<(), UpdateError> {
        self.order(Request::InstallEeprom { build_s }).await
    }

    async fn order(&self, request: Request) -> Result<(), UpdateError> {
        match self.link.ask(request, ORDER_MAX).await? {
            Reply::Accepted | Reply::Done => Ok(()),
            _ => Err(AgentError::Unfit.into()),
        }
    }

    /// What is kept.
    pub(crate) async fn kept(&self) -> Kept {
        self.kept.lock().await.clone()
    }

    /// Changes what is kept, once that is on disk.
    pub(crate) async fn keep(&self, change: impl FnOnce(&mut Kept)) -> Result<(), UpdateError> {
        let mut kept = self.kept.lock().await;
        let mut next = kept.clone();
        change(&mut next);
        if next != *kept {
            let (place, written) = (self.place.clone(), next.clone());
            let writing = tokio::task::spawn_blocking(move || place.write(&written));
            writing.await.map_err(UpdateError::Failed)?.map_err(UpdateError::Keep)?;
            *kept = next;
        }
        Ok(())
    }

    pub(crate) fn client(&self) -> Result<Client, AgentError> {
        self.link.client().ok_or(AgentError::Absent)
    }

    pub(crate) fn turn(&self) -> Result<Turn, UpdateError> {
        self.turn.clone().try_acquire_owned().map(Arc::new).map_err(|_| UpdateError::Busy)
    }

    pub(crate) fn is_free(&self) -> bool {
        self.turn.available_permits() > 0
    }

    /// What was asked to be fetched, until that begins.
    pub(crate) fn asked_pull(&self) -> Option<UpdateUrl> {
        self.notes().pull.clone()
    }

    /// Whether the channel was asked to be looked at, once.
    pub(crate) fn take_check(&self) -> bool {
        std::mem::take(&mut self.notes().is_check_asked)
    }

    pub(crate) fn waiting(&self) -> Option<String> {
        self.notes().waiting.clone()
    }

    pub(crate) fn set_waiting(&self, waiting: Option<String>) {
        self.notes().waiting = waiting;
    }

    pub(crate) fn set_channel_problem(&self, problem: Option<String>) {
        self.notes().channel_problem = problem;
    }

    /// Tells of a transfer that begins.
    pub(crate) fn begin(&self, source: Source, url: Option<&UpdateUrl>, of_bytes: Option<u64>) -> Going<'_> {
        let (done, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let transfer = Transfer::new(source, url, of_bytes);
        let mut notes = self.notes();
        if source == Source::Pull {
            notes.pull = None;
        }
        notes.running = Some(Running { transfer, done: done.clone(), stop: stop.clone() });
        Going { desk: self, done, stop }
    }

    /// Tells how a transfer ended.
    pub(crate) fn ended(&self, outcome: &Result<(), UpdateError>) {
        let problem = outcome.as_ref().err().map(described);
        if let Some(problem) = &problem {
            tracing::warn!(problem, "a bundle did not reach the agent");
        }
        self.change_transfer(|transfer| transfer.problem = problem);
    }

    pub(crate) fn change_transfer(&self, change: impl FnOnce(&mut Transfer)) {
        if let Some(running) = &mut self.notes().running {
            change(&mut running.transfer);
        }
    }

    fn stop_transfer(&self) {
        let mut notes = self.notes();
        notes.pull = None;
        if let Some(running) = &notes.running {
            running.stop.cancel();
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Every change is one assignment: a poisoned lock leaves nothing half done.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn transfer(&self) -> Transfer {
        Transfer { done_bytes: self.done.load(Ordering::Relaxed), ..self.transfer.clone() }
    }
}

/// Whether the agent is at something else.
fn is_busy(error: &UpdateError) -> bool {
    matches!(error, UpdateError::Agent(AgentError::Refused(refusal)) if refusal.code == RefusalCode::Busy)
}

/// An error with what caused it, for the owner.
pub(crate) fn described(error: &(impl std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for said in lucid_error::causes(error).map(ToString::to_string) {
        if !text.contains(&said) {
            text = format!("{text} ({said})");
        }
    }
    text
}

/// The release that is coming in, or waits to be installed.
pub(crate) fn incoming(phase: &Phase) -> Option<&Incoming> {
    match phase {
        Phase::Writing { incoming, .. } | Phase::Checking { incoming, .. } | Phase::Written { incoming } => {
            Some(incoming)
        }
        Phase::Idle {} | Phase::Armed { .. } | Phase::Trying { .. } => None,
    }
}
