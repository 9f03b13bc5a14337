//! A thread that does not come back.

use super::*;

/// Waits, on threads that are not blocked, until `reached`.
async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}

/// One event may take only this long, so that the test is short: a thread can't be blocked in paused time.
struct Hasty;

impl Service for Hasty {
    const NAME: &'static str = "hasty";
    const PERIOD: Duration = Duration::from_secs(3600);
    const BUSY_MAX: Duration = Duration::from_millis(50);
    type Config = ();
    type Deps = ();
    type Request = std::sync::mpsc::Receiver<()>;
    type Status = ();
    type Error = std::fmt::Error;

    async fn start((): &(), (): &()) -> Result<Self, std::fmt::Error> {
        Ok(Self)
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), std::fmt::Error> {
        loop {
            match ctx.next().await {
                Event::Request(until) => drop(until.recv()),
                Event::Tick => {}
                Event::Stop => return Ok(()),
            }
        }
    }
}

fn hasty(board: &Board, critical: bool) -> (Handle<Hasty>, JoinHandle<()>) {
    let (handle, wired) = wire::<Hasty>();
    let spec = Spec { name: "hasty", critical, ..spec::<0>() };
    let task = supervise(spec, wired, (), (), vec![], board, CancellationToken::new());
    (handle, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocked_thread_is_seen_while_the_others_live() {
    let board = Board::default();
    let (handle, _task) = hasty(&board, true);
    let other = start::<1>(&board, spec::<1>(), vec![], Arc::default());
    handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
    other.runs().await;
    let (release, released) = std::sync::mpsc::channel();
    handle.requests.send(released).await.unwrap();
    until(|| board.blocked(Duration::from_millis(100)).is_some()).await;
    assert_eq!(board.blocked(Duration::from_millis(100)), Some("hasty"));
    assert_eq!(board.blocked(Duration::from_secs(3600)), None);
    assert!(board.health("hasty").unwrap().reason().unwrap().starts_with("stuck for"));
    assert!(board.report("hasty").unwrap().busy_ms >= 150);
    assert_eq!(other.incarnation().await, 1, "others live");
    release.send(()).unwrap();
    until(|| board.blocked(Duration::ZERO).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocked_service_that_is_not_critical_does_not_doom_the_process() {
    let board = Board::default();
    let (handle, _task) = hasty(&board, false);
    handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
    let (release, released) = std::sync::mpsc::channel();
    handle.requests.send(released).await.unwrap();
    until(|| board.report("hasty").is_some_and(|report| report.busy_ms > 100)).await;
    assert_eq!(board.blocked(Duration::ZERO), None);
    assert!(!board.health("hasty").unwrap().works());
    release.send(()).unwrap();
}
