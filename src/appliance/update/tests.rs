//! The service as a whole: supervised, with an agent over the real protocol and a web server over real connections.

pub(crate) mod agent;
pub(crate) mod ledger;
pub(crate) mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use lucid_agent_protocol::update::{ChannelReport, Offer};
use lucid_agent_protocol::{Refusal, RefusalCode, Request};
use lucid_device::{ClockTrust, FakeClock, Now};
use lucid_http::{CertificateNames, DeviceCertificate};
use lucid_kit::{Handle, Life, Spec, supervise, wire};
use lucid_layout::Digest;
use lucid_observe::{LevelFilter, Line};
use tokio_util::sync::CancellationToken;

use super::*;
use agent::Agent;
use ledger::Ledger;
use server::{Manner, Server};

/// 2025-06-01, 00:00 UTC.
pub(crate) const NOW_MS: u64 = 1_748_736_000_000;

/// Logs that say where they come from.
pub(crate) struct Said;

impl Logs for Said {
    fn recent(&self, service: &str, count: usize) -> Vec<Line> {
        let line = Line {
            time: "2025-06-01T00:00:00.000Z".to_owned(),
            level: lucid_observe::Level::Error,
            service: service.to_owned(),
            target: "test".to_owned(),
            message: format!("{service} says something. {}", "x".repeat(500)),
            fields: Vec::new(),
        };
        vec![line; count]
    }

    fn level(&self, _service: &str) -> Option<LevelFilter> {
        None
    }

    fn set_level(&self, _service: &str, _level: LevelFilter) {}
}

/// A clock that shows [`NOW_MS`], set by a time server.
pub(crate) fn clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::new(NOW_MS))
}

/// The certificate of a box, in `dir`.
pub(crate) fn certificate(dir: &std::path::Path) -> DeviceCertificate {
    let now = std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS);
    DeviceCertificate::open(dir, &CertificateNames::new("lucid.local", []), now, now).unwrap()
}

/// A bundle of `pieces` bytes behind a header that is laid out well and signed by nobody, and its name.
pub(crate) fn bundle(pieces: usize) -> (Vec<u8>, Digest) {
    let document = [&2u32.to_le_bytes()[..], b"{}", &[1], &[7; 96]].concat();
    let body = [&[0u8][..], &document, &document].concat();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let mut bundle = [b"LUCIDUP1", &length[..], &body].concat();
    let id = lucid_bundle::read_header(&mut &bundle[..]).unwrap().id.digest();
    bundle.extend((0..pieces).map(|index| (index % 251) as u8));
    (bundle, id)
}

/// The service, running.
struct Appliance {
    updates: Updates,
    ledger: Ledger,
    clock: Arc<FakeClock>,
    recordings: Arc<AtomicUsize>,
    handle: Handle<Update>,
    state: tempfile::TempDir,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

const SPEC: Spec = Spec { name: NAME, purpose: "tests", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

impl Appliance {
    fn start(link: AgentLink, settings: Settings) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), link, settings, 0)
    }

    /// In a state directory that may have been used, while so many recordings run.
    fn start_in(state: tempfile::TempDir, link: AgentLink, settings: Settings, recordings: usize) -> Self {
        let (handle, wired) = wire::<Update>();
        let (desk, slot) = lucid_kit::slot(NAME);
        let (clock, ledger, recordings) = (clock(), Ledger::default(), Arc::new(AtomicUsize::new(recordings)));
        let (board, stop, running) = (Board::default(), CancellationToken::new(), recordings.clone());
        let ready = Storage::Waiting { reason: "no disk".to_owned() };
        let deps = Deps {
            agent: link,
            board: board.clone(),
            logs: Arc::new(Said),
            clock: clock.clone(),
            accounts: Arc::new(ledger.clone()),
            storage: watch::channel(ready).1,
            recordings: Arc::new(move || running.load(Ordering::SeqCst)),
            addresses: Arc::new(|| Ok(Vec::new())),
            ca_pem: certificate(&state.path().join("tls")).ca_pem().into(),
            id: [7; 32],
            supervisor: "test".to_owned(),
            state_dir: state.path().to_owned(),
            desk,
        };
        let task = supervise(SPEC, wired, settings, deps, Vec::new(), &board, stop.clone());
        let updates = Updates::new(slot, &handle);
        Self { updates, ledger, clock, recordings, handle, state, stop, task }
    }

    /// Waits until the service runs.
    async fn ready(self) -> Self {
        self.handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
        self
    }

    /// Waits until updates are so.
    async fn wait(&self, what: &str, is_so: impl Fn(&UpdateStatus) -> bool) -> Arc<UpdateStatus> {
        let mut status = self.updates.watch();
        let waiting = status.wait_for(|status| is_so(status));
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await.map(|found| found.unwrap().clone());
        waited.unwrap_or_else(|_| panic!("{what}: {:?}", self.updates.status()))
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.task.await.unwrap();
        self.state
    }
}

fn is_written(status: &UpdateStatus) -> bool {
    matches!(status.agent.as_ref().map(|agent| &agent.phase), Some(Phase::Written { .. }))
}

fn installs(agent: &Agent) -> usize {
    agent.world().asked.iter().filter(|request| matches!(request, Request::InstallUpdate { .. })).count()
}

#[tokio::test]
async fn without_an_agent_it_says_so_and_is_healthy() {
    let appliance = Appliance::start(AgentLink::new(None), Settings::default()).ready().await;
    let status = appliance.wait("a status", |status| status.agent_problem.is_some()).await;
    assert!(status.agent.is_none() && status.agent_problem.as_ref().unwrap().contains("no agent"), "{status:?}");
    assert_eq!(Update::health(&status), Health::Healthy);
    let refused = appliance.updates.install(When::Now).await.unwrap_err();
    assert!(refused.to_string().contains("no agent"), "{refused}");
    assert!(appliance.updates.pull("http://127.0.0.1/x".parse().unwrap()).is_err());
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_a_fault() {
    let link = AgentLink::new(Some(std::path::Path::new("/nonexistent/agent.sock")));
    let appliance = Appliance::start(link, Settings::default()).ready().await;
    let status = appliance.wait("a problem", |status| status.agent_problem.is_some()).await;
    assert!(matches!(Update::health(&status), Health::Degraded { .. }), "{status:?}");
}

/// Fetched from a server that hangs up again and again, by an agent that does so, too; then kept for a quiet moment.
#[tokio::test]
async fn a_bundle_is_fetched_through_breaks_and_installed_when_nothing_is_recorded() {
    let (bundle, id) = bundle(3_000_000);
    let agent = Agent::start(id);
    agent.world().breaks_at = Some(400_000);
    let server = Server::start(bundle.clone(), Manner::Ranges).await;
    let appliance = Appliance::start(agent.link(), Settings::default()).ready().await;
    appliance.recordings.store(2, Ordering::SeqCst);
    assert!(matches!(appliance.updates.install(When::Quiet).await, Err(UpdateError::NothingWritten)));

    appliance.updates.pull(server.url()).unwrap();
    let broken =
        appliance.wait("the break", |status| status.transfer.as_ref().is_some_and(|it| it.problem.is_some())).await;
    assert!(!broken.transfer.as_ref().unwrap().active, "{broken:?}");
    assert!(matches!(appliance.updates.pull(server.url()), Err(UpdateError::Busy)), "one at a time");
    appliance.updates.install(When::Quiet).await.unwrap();
    appliance.wait("the whole bundle", is_written).await;
    assert!(agent.world().received == bundle, "what arrived is not what was sent");
    let asked = server.asked.lock().unwrap().clone();
    assert!(asked[0] == 0 && asked.last().is_some_and(|first| *first >= 400_000), "{asked:?}");

    let waiting = appliance.wait("the recordings", |status| status.waiting.is_some()).await;
    assert!(waiting.waiting.as_ref().unwrap().starts_with("2 recordings"), "{waiting:?}");
    assert_eq!(installs(&agent), 0);

    // An order outlasts the service.
    let state = appliance.stop().await;
    let appliance = Appliance::start_in(state, agent.link(), Settings::default(), 1).ready().await;
    appliance.wait("the recording", |status| status.waiting.as_ref().is_some_and(|why| why.starts_with("1 rec"))).await;
    appliance.recordings.store(0, Ordering::SeqCst);
    appliance.wait("the restart", |status| matches!(status.agent.as_ref().unwrap().phase, Phase::Armed { .. })).await;
    assert_eq!(installs(&agent), 1);
    assert!(appliance.ledger.lines()[0].contains("1.3.0, as ordered before"), "{:?}", appliance.ledger.lines());
}

fn news(server: &Server, id: Digest, bytes: usize) -> ChannelReport {
    let offer = Offer {
        version: "1.3.0".to_owned(),
        build_id: Digest([3; 32]),
        epoch: 1,
        url: server.url().to_string(),
        bytes: bytes as u64,
        bundle: id,
        percent: 100,
        hold: false,
        notes: String::new(),
        refused: None,
    };
    let issued_s = NOW_MS / 1000;
    ChannelReport { sequence: 4, issued_s, expires_s: issued_s + 7 * 86_400, offers: vec![offer] }
}

#[tokio::test]
async fn what_the_channel_offers_is_taken_without_a_word_in_the_window() {
    let (bundle, id) = bundle(500_000);
    let agent = Agent::start(id);
    let server = Server::start(bundle.clone(), Manner::Ranges).await;
    agent.world().channel = Ok(news(&server, id, bundle.len()));
    let channel = Server::start(b"the channel".to_vec(), Manner::Ranges).await;
    let window = Some("02:00-05:00".parse().unwrap());
    let settings = Settings { channel: Some(channel.url()), automatic: true, window, ..Settings::default() };
    let appliance = Appliance::start(agent.link(), settings).ready().await;
    appliance.updates.check().unwrap();
    appliance
        .wait("the window", |status| status.waiting.as_ref().is_some_and(|why| why.contains("02:00-05:00 (UTC)")))
        .await;
    let is_automatic = |request: &Request| matches!(request, Request::Bundle { automatic: true, .. });
    assert!(agent.world().asked.iter().any(is_automatic) && agent.world().received == bundle);

    appliance.clock.step_to(Now { unix_ms: NOW_MS + 3 * 3_600_000, trust: ClockTrust::Unsynchronized });
    appliance.wait("a clock", |status| status.waiting.as_ref().is_some_and(|why| why.contains("no time server"))).await;
    assert_eq!(installs(&agent), 0);
    appliance.clock.step_to(Now { unix_ms: NOW_MS + 3 * 3_600_000, trust: ClockTrust::Synchronized });
    appliance.wait("the restart", |status| matches!(status.agent.as_ref().unwrap().phase, Phase::Armed { .. })).await;
    assert!(appliance.ledger.lines()[0].contains("by the setting update.automatic"), "{:?}", appliance.ledger.lines());
}

/// A channel that is replayed or frozen gives no news; the old ones run out, also over a restart of the service.
#[tokio::test]
async fn old_news_are_said_to_be_old() {
    let agent = Agent::start(Digest([5; 32]));
    let channel = Server::start(b"the channel".to_vec(), Manner::Ranges).await;
    let mut trusted = news(&channel, Digest([5; 32]), 10);
    trusted.offers.clear();
    agent.world().channel = Ok(trusted);
    let settings = Settings { channel: Some(channel.url()), ..Settings::default() };
    let appliance = Appliance::start(agent.link(), settings.clone()).ready().await;
    appliance.updates.check().unwrap();
    appliance.wait("news", |status| status.channel.state == ChannelState::Fresh).await;

    agent.world().channel = Err(Refusal::new(RefusalCode::Untrusted, "the file is older than one that was seen"));
    appliance.updates.check().unwrap();
    let kept = appliance.wait("the refusal", |status| status.channel.text.contains("older than one")).await;
    assert!(kept.channel.state == ChannelState::Fresh && kept.channel.report.is_some(), "{kept:?}");

    let state = appliance.stop().await;
    let appliance = Appliance::start_in(state, agent.link(), settings, 0).ready().await;
    appliance.clock.step_to(Now { unix_ms: NOW_MS + 9 * 86_400_000, trust: ClockTrust::Synchronized });
    let stale = appliance.wait("old news", |status| status.channel.state == ChannelState::Stale).await;
    assert!(stale.channel.text.contains("no trusted news for 9 days"), "{stale:?}");
}

#[tokio::test]
async fn a_channel_file_that_is_too_large_or_never_ends_is_not_taken() {
    let agent = Agent::start(Digest([5; 32]));
    for manner in [Manner::Endless, Manner::Claims(1 << 40), Manner::Says("HTTP/1.1 404 Not Found\r\n\r\n".to_owned())]
    {
        let channel = Server::start(vec![0; 20_000], manner.clone()).await;
        let settings = Settings { channel: Some(channel.url()), ..Settings::default() };
        let appliance = Appliance::start(agent.link(), settings).ready().await;
        appliance.updates.check().unwrap();
        let failed = appliance.wait("the failure", |status| status.channel.state == ChannelState::Failed).await;
        assert!(
            failed.channel.report.is_none() && failed.channel.text.contains("no trusted news yet"),
            "{manner:?}: {failed:?}"
        );
    }
    let is_channel = |request: &Request| matches!(request, Request::Channel { .. });
    assert!(!agent.world().asked.iter().any(is_channel), "nothing of it came to the agent");
}

#[tokio::test]
async fn an_installation_that_the_agent_refuses_is_not_tried_again_and_again() {
    let (bundle, id) = bundle(1000);
    let agent = Agent::start(id);
    let appliance = Appliance::start(agent.link(), Settings { automatic: true, ..Settings::default() }).ready().await;
    agent.world().refuses_orders = Some(Refusal::new(RefusalCode::WrongState, "the supply voltage is too low"));
    let bytes = futures_util::stream::iter([Ok(bundle.into())]);
    appliance.updates.upload(0, None, Box::pin(bytes)).await.unwrap();
    let refused = appliance.wait("the refusal", |status| status.waiting.is_some()).await;
    assert!(refused.waiting.as_ref().unwrap().contains("supply voltage"), "{refused:?}");
    for round in ["one", "two"] {
        agent.world().report.remark = Some(round.to_owned());
        let is_seen = |status: &UpdateStatus| status.agent.as_ref().unwrap().remark.as_deref() == Some(round);
        appliance.wait("another look", is_seen).await;
    }
    assert_eq!(installs(&agent), 1);
}

/// Also where the agent notices the end of the transfer only later.
#[tokio::test]
async fn a_running_upload_is_discarded() {
    let (bundle, id) = bundle(500_000);
    let agent = Agent::start(id);
    let appliance = Appliance::start(agent.link(), Settings::default()).ready().await;
    let first = futures_util::stream::iter([Ok(bundle[..300_000].to_vec().into())]);
    let stalled = first.chain(futures_util::stream::pending());
    let uploading = appliance.updates.upload(0, None, Box::pin(stalled));
    let discarding = async {
        while agent.world().received.len() < 300_000 {
            tokio::task::yield_now().await;
        }
        agent.world().refuses_orders = Some(Refusal::new(RefusalCode::Busy, "a bundle is being written"));
        let discards = || agent.world().asked.iter().filter(|it| matches!(it, Request::DiscardUpdate {})).count();
        let noticing = async {
            while discards() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            agent.world().refuses_orders = None;
            Ok(())
        };
        tokio::try_join!(appliance.updates.discard(), noticing).unwrap();
        assert!(discards() > 2, "it was ordered again until it was done");
    };
    let (ended, ()) = tokio::join!(uploading, discarding);
    assert!(matches!(ended, Err(UpdateError::GivenUp)), "{ended:?}");
    let status = appliance.updates.look().await.unwrap();
    assert!(status.transfer.is_none(), "{status:?}");
    let whole = futures_util::stream::iter([Ok(bundle.into())]);
    appliance.updates.upload(0, None, Box::pin(whole)).await.unwrap();
}

/// As where the agent stops taking bytes: it is ordered in the end all the same, and says what it does.
#[tokio::test]
async fn a_transfer_that_does_not_end_is_waited_for_with_a_limit() {
    let (_, id) = bundle(1000);
    let agent = Agent::start(id);
    let appliance = Appliance::start(agent.link(), Settings::default()).ready().await;
    let desk = appliance.updates.desk().unwrap();
    let _turn = desk.turn().unwrap();
    tokio::time::pause();
    let began = Instant::now();
    desk.discard().await.unwrap();
    assert!((10..12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert!(agent.world().asked.contains(&Request::DiscardUpdate {}));
}
