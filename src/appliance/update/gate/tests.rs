//! What is reported of a box in every condition, and for how long.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lucid_kit::{Ctx, Life, Service, Spec, supervise, wire};
use lucid_layout::Digest;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::update::tests::agent::Agent;
use crate::update::tests::{Said, certificate, clock};

/// A service that is as well as it is told.
struct Patient(watch::Receiver<Wellness>);

#[derive(Clone, Default, PartialEq, Debug, serde::Serialize)]
enum Wellness {
    #[default]
    Well,
    Worn,
    Ill,
}

impl Service for Patient {
    const NAME: &'static str = "patient";
    const PERIOD: Duration = Duration::from_millis(20);
    type Config = ();
    type Deps = watch::Receiver<Wellness>;
    type Request = Infallible;
    type Status = Wellness;
    type Error = Infallible;

    async fn start((): &(), deps: &watch::Receiver<Wellness>) -> Result<Self, Infallible> {
        Ok(Self(deps.clone()))
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Infallible> {
        while ctx.ticked().await {
            ctx.publish(self.0.borrow().clone());
        }
        Ok(())
    }

    fn health(status: &Wellness) -> Health {
        match status {
            Wellness::Well => Health::Healthy,
            Wellness::Worn => Health::Degraded { reason: "it is hot".to_owned() },
            Wellness::Ill => Health::Unhealthy { reason: "it hurts".to_owned() },
        }
    }
}

/// A box with one critical service, and its gate.
struct Bench {
    agent: Agent,
    gate: Gate,
    wellness: watch::Sender<Wellness>,
    disk: watch::Sender<Storage>,
    handle: lucid_kit::Handle<Patient>,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let agent = Agent::start(Digest([1; 32]));
        let folder = tempfile::tempdir().unwrap();
        let (wellness, told) = watch::channel(Wellness::Well);
        let (disk, storage) = watch::channel(ready());
        let (handle, wired) = wire::<Patient>();
        let board = Board::default();
        let spec = Spec { name: "patient", purpose: "", needs: &[], critical: true, storage: true, stop_grace_s: 1 };
        let waits = |storage: &Storage| storage.waiting().map(str::to_owned);
        let gates = vec![lucid_kit::Gate::new(storage.clone(), waits)];
        supervise(spec, wired, (), told, gates, &board, CancellationToken::new());
        let ca = certificate(folder.path());
        let page = OwnPage::new(Arc::new(|| Ok(Vec::new())), ca.ca_pem(), clock()).unwrap();
        let (link, supervisor) = (agent.link(), "this one".to_owned());
        let gate = Gate { link, board, logs: Arc::new(Said), page, storage, supervisor };
        let bench = Self { agent, gate, wellness, disk, handle, _folder: folder };
        bench.lives(|life| *life == Life::Running).await;
        bench
    }

    async fn lives(&self, is_so: impl FnMut(&Life) -> bool) {
        self.handle.life().wait_for(is_so).await.unwrap();
    }

    async fn feels(&self, wellness: Wellness) {
        self.wellness.send_replace(wellness.clone());
        self.handle.watch().wait_for(|status| **status == wellness).await.unwrap();
    }
}

fn ready() -> Storage {
    Storage::Ready { root: "/mnt".into(), free_bytes: 1, low: false }
}

#[tokio::test]
async fn a_box_is_fit_while_its_critical_services_work() {
    let bench = Bench::new().await;
    let fit = bench.gate.report().await;
    assert_eq!(fit, GateReport { supervisor: "this one".to_owned(), restarts: 0, faults: Vec::new() });
    bench.feels(Wellness::Worn).await;
    assert_eq!(bench.gate.report().await.faults, [], "what is degraded does its work");
    bench.feels(Wellness::Ill).await;
    let faults = bench.gate.report().await.faults;
    assert!(faults.len() == 1 && faults[0].cause == Cause::Service, "{faults:?}");
    assert!(faults[0].service.as_deref() == Some("patient") && faults[0].why.contains("it hurts"), "{faults:?}");
    assert!(faults[0].log.len() == LOG_LINES_MAX && faults[0].log.iter().all(|line| line.len() <= LINE_BYTES_MAX));
    bench.feels(Wellness::Well).await;
    bench.gate.board.restart("patient").unwrap();
    while bench.gate.report().await.restarts == 0 {
        tokio::task::yield_now().await;
    }
    bench.lives(|life| *life == Life::Running).await;
    assert_eq!(bench.gate.report().await, GateReport { restarts: 1, ..fit });
}

#[tokio::test]
async fn a_disk_that_the_agent_has_mounted_must_be_in_use() {
    let bench = Bench::new().await;
    bench.disk.send_replace(Storage::Waiting { reason: "no disk".to_owned() });
    bench.lives(|life| matches!(life, Life::Waiting { .. })).await;
    let causes = |report: GateReport| report.faults.iter().map(|fault| fault.cause).collect::<Vec<_>>();
    assert_eq!(causes(bench.gate.report().await), [Cause::DataDisk, Cause::Service]);
    bench.agent.world().ssd = SsdState::NotAdopted;
    assert_eq!(causes(bench.gate.report().await), [], "without a disk there is nothing to wait for");
}

#[tokio::test]
async fn a_dashboard_that_does_not_answer_is_a_fault() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let page = OwnPage::new(Arc::new(move || Ok(vec![closed])), certificate(folder.path()).ca_pem(), clock()).unwrap();
    let faults = Gate { page, ..bench.gate.clone() }.report().await.faults;
    assert!(faults.len() == 1 && faults[0].cause == Cause::Network, "{faults:?}");
}

fn reports(agent: &Agent) -> usize {
    agent.world().asked.iter().filter(|request| matches!(request, Request::Gate { .. })).count()
}

/// The clock jumps over the pauses.
#[tokio::test(start_paused = true)]
async fn reports_end_with_the_trial_and_off_a_trial_there_is_one() {
    let bench = Bench::new().await;
    bench.gate.clone().keep().await;
    assert_eq!(reports(&bench.agent), 1);
    for (last, count) in [(GateAnswer::Committed, 4), (GateAnswer::RollingBack, 4)] {
        bench.agent.world().asked.clear();
        bench.agent.world().gate = [GateAnswer::Soaking, GateAnswer::Soaking, GateAnswer::Soaking, last].into();
        bench.gate.clone().keep().await;
        assert_eq!(reports(&bench.agent), count, "{last:?}");
    }
}

#[test]
fn a_report_fits_into_a_message_however_much_is_wrong() {
    let many = |faults: usize, log: &str| {
        let log = vec![log.to_owned(); LOG_LINES_MAX];
        let fault = fault(Cause::Service, Some("patient"), &"\u{1}ü\"".repeat(400), log);
        fitted(GateReport { supervisor: "x".to_owned(), restarts: u64::MAX, faults: vec![fault; faults] })
    };
    for (faults, line) in [(1, "x"), (40, "x"), (16, &"\u{1}".repeat(LINE_BYTES_MAX) as &str), (1, "")] {
        let report = many(faults, line);
        let request = serde_json::to_vec(&Request::Gate { report: report.clone() }).unwrap();
        assert!(request.len() <= FRAME_BYTES_MAX, "{faults} faults: {} bytes", request.len());
        assert!(!report.faults.is_empty() && report.faults.len() <= FAULTS_MAX);
    }
    assert_eq!(cut("äöü", 3), "ä", "whole characters only");
}
