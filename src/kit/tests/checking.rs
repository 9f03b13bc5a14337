//! The board: health, ready, reports.

use super::*;

/// A probe that sits in one event without being stuck for kit: it is asked for less than its limit, again and again.
async fn absent(bench: &Bench<0>) -> JoinHandle<()> {
    bench.runs().await;
    let handle = bench.handle.clone();
    tokio::spawn(async move { while handle.ask(|reply| Ask::Sleep(BUSY_MAX * 9 / 10, reply)).await.is_ok() {} })
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_status_while_a_service_runs() {
    let bench = probe();
    assert_eq!(bench.health().word(), "unhealthy", "not yet started");
    bench.runs().await;
    for (status, word, works) in [(0, "healthy", true), (1, "degraded", true), (2, "unhealthy", false)] {
        bench.handle.ask(|reply| Ask::Publish(status, reply)).await.unwrap();
        let health = bench.board.check("probe").await.unwrap();
        assert_eq!((health.word(), health.works()), (word, works));
    }
    assert_eq!(bench.board.check("nobody").await, None);
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_life_of_a_service() {
    let bench = probe();
    bench.script.hanging_start.store(true, Ordering::SeqCst);
    bench.becomes(|life| *life == Life::Starting).await;
    assert_eq!(bench.health(), Health::Starting);
    let (cause, _) = bench.backs_off().await;
    assert_eq!(bench.health(), Health::Unhealthy { reason: cause });
    bench.runs().await;
    assert_eq!(bench.health(), Health::Healthy);
    bench.stop.cancel();
    bench.task.await.unwrap();
    assert_eq!(bench.board.health("probe").unwrap().reason(), Some("stopped"));
}

#[tokio::test(start_paused = true)]
async fn three_checks_without_an_answer_are_one_too_many() {
    // Held past the time-out of a check, but a service is only stuck after its own limit: three checks fail.
    let patient = PatientBench::start().await;
    for failed in 1..=3 {
        let health = patient.board.check("patient").await.unwrap();
        assert_eq!(health.word(), if failed < 3 { "healthy" } else { "unhealthy" }, "after {failed}");
    }
    assert_eq!(patient.board.health("patient").unwrap().reason(), Some("no answer to 3 health checks in a row"));
    patient.release.notify_one();
    assert_eq!(patient.board.check("patient").await.unwrap(), Health::Healthy, "one answer clears it");
}

#[tokio::test(start_paused = true)]
async fn a_busy_service_still_answers_its_checks_between_two_events() {
    let bench = probe();
    let flood = absent(&bench).await;
    for _ in 0..10 {
        assert_eq!(bench.board.check("probe").await.unwrap(), Health::Healthy);
    }
    flood.abort();
}

#[tokio::test(start_paused = true)]
async fn the_board_checks_by_itself_and_one_slow_service_delays_nobody() {
    let patient = PatientBench::start().await;
    let other = start::<1>(&patient.board, spec::<1>(), vec![], Arc::default());
    other.runs().await;
    let board = patient.board.clone();
    let watching = tokio::spawn(async move { board.watch_health().await });
    tokio::time::sleep(Duration::from_secs(75)).await;
    assert_eq!(patient.board.health("patient").unwrap().word(), "unhealthy");
    assert_eq!(other.health(), Health::Healthy);
    watching.abort();
}

#[tokio::test(start_paused = true)]
async fn ready_means_that_every_critical_service_runs_or_waits() {
    let board = Board::default();
    assert!(!board.ready(), "nothing is not ready");
    let closed = watch::Sender::new(Some("no disk"));
    let first = start::<0>(&board, spec::<0>(), vec![gate(&closed)], Arc::default());
    let failing: Arc<Script> = Arc::default();
    failing.failing_starts.store(u64::MAX, Ordering::SeqCst);
    let aside = start::<1>(&board, Spec { critical: false, ..spec::<1>() }, vec![], failing);
    assert!(!board.ready(), "not yet");
    first.becomes(|life| matches!(life, Life::Waiting { .. })).await;
    aside.backs_off().await;
    assert!(board.ready(), "one waits for its disk; the other decides nothing");
    closed.send_replace(None);
    first.runs().await;
    assert!(board.ready());
    let _ = first.handle.ask(Ask::Panic).await;
    first.backs_off().await;
    assert!(!board.ready());
}

#[tokio::test(start_paused = true)]
async fn a_report_has_everything_in_its_json() {
    let bench = probe();
    bench.runs().await;
    bench.handle.ask(|reply| Ask::Publish(1, reply)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let all = bench.board.snapshot();
    let json = serde_json::to_value(&all[0]).unwrap();
    let expected = serde_json::json!({
        "name": "probe", "purpose": "test", "needs": [], "critical": true, "storage": false, "stop_grace_s": 3,
        "life": { "state": "running" }, "health": { "state": "degraded", "reason": "one" }, "restarts": 0, "since_s": 7, "busy_ms": 0,
        "slow_events": 0, "queued": 0, "status": 1,
    });
    assert_eq!((all.len(), json), (1, expected));
    assert!(bench.board.report("nobody").is_none() && bench.board.life("nobody").is_none());
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_counted() {
    let bench = probe();
    bench.runs().await;
    let asks: Vec<_> = (0..QUEUE_MAX)
        .map(|_| {
            let handle = bench.handle.clone();
            tokio::spawn(async move { handle.ask(|reply| Ask::Sleep(Duration::from_secs(1), reply)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(bench.board.report("probe").unwrap().queued, QUEUE_MAX - 3);
    for ask in asks {
        assert_eq!(ask.await.unwrap(), Ok(()));
    }
}

/// A service whose one event may take very long, so that checks fail before kit gives it up.
struct Patient(Arc<tokio::sync::Notify>);

struct PatientBench {
    board: Board,
    release: Arc<tokio::sync::Notify>,
    _task: JoinHandle<()>,
}

impl Service for Patient {
    const NAME: &'static str = "patient";
    const PERIOD: Duration = Duration::from_secs(3600);
    const BUSY_MAX: Duration = Duration::from_secs(3600);
    type Config = ();
    type Deps = Arc<tokio::sync::Notify>;
    type Request = ();
    type Status = ();
    type Error = std::fmt::Error;

    async fn start((): &(), release: &Self::Deps) -> Result<Self, std::fmt::Error> {
        Ok(Self(release.clone()))
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), std::fmt::Error> {
        loop {
            match ctx.next().await {
                Event::Tick => self.0.notified().await,
                Event::Request(()) => {}
                Event::Stop => return Ok(()),
            }
        }
    }
}

impl PatientBench {
    async fn start() -> Self {
        let (handle, wired) = wire::<Patient>();
        let (board, release) = (Board::default(), Arc::new(tokio::sync::Notify::new()));
        let spec = Spec { name: "patient", ..spec::<0>() };
        let _task = supervise(spec, wired, (), release.clone(), vec![], &board, CancellationToken::new());
        handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
        Self { board, release, _task }
    }
}
