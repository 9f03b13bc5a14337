//! Who is cut first, and when a connection's time is up. Under paused time.

use tokio::time::advance;

use super::*;

/// A registry whose connections are tasks that never end.
struct Bench {
    registry: Arc<Registry>,
    entries: Vec<Entry>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Bench {
    async fn with(connections: usize) -> Self {
        let mut bench =
            Self { registry: Arc::new(Registry::new("tested", connections)), entries: vec![], tasks: vec![] };
        for _ in 0..connections {
            bench.connect().await;
        }
        bench
    }

    async fn connect(&mut self) {
        self.registry.make_room();
        let entry = self.registry.enter();
        let task = tokio::spawn(std::future::pending());
        self.registry.set_abort(entry.id(), task.abort_handle());
        self.entries.push(entry);
        self.tasks.push(task);
        advance(Duration::from_secs(1)).await;
    }

    async fn cut(&self) -> Vec<usize> {
        tokio::task::yield_now().await;
        self.tasks.iter().enumerate().filter(|(_, task)| task.is_finished()).map(|(index, _)| index).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_cut_while_there_is_room() {
    let mut bench = Bench::with(3).await;
    assert!(bench.cut().await.is_empty());
    bench.entries.pop();
    assert!(!bench.registry.make_room());
}

#[tokio::test(start_paused = true)]
async fn the_one_that_waits_longest_is_cut() {
    let mut bench = Bench::with(3).await;
    bench.entries[0].activity().enter(Phase::Idle);
    bench.connect().await;
    assert_eq!(bench.cut().await, [1]);
    bench.connect().await;
    assert_eq!(bench.cut().await, [1, 2]);
    bench.connect().await;
    assert_eq!(bench.cut().await, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_progress_is_spared_while_others_only_wait() {
    let mut bench = Bench::with(3).await;
    bench.entries[0].activity().enter(Phase::Busy);
    bench.entries[1].activity().enter(Phase::Busy);
    bench.connect().await;
    bench.connect().await;
    bench.connect().await;
    assert_eq!(bench.cut().await, [2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn where_all_are_busy_the_quietest_is_cut() {
    let mut bench = Bench::with(3).await;
    bench.entries.iter().for_each(|entry| entry.activity().enter(Phase::Busy));
    advance(Duration::from_secs(1)).await;
    bench.entries[0].activity().received();
    bench.entries[1].activity().sent();
    bench.connect().await;
    assert_eq!(bench.cut().await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_trickle_of_header_bytes_does_not_make_a_connection_younger() {
    let mut bench = Bench::with(2).await;
    let loris = bench.entries[0].activity();
    loris.enter(Phase::Idle);
    loris.received();
    advance(Duration::from_secs(1)).await;
    bench.entries[1].activity().enter(Phase::Idle);
    loris.received();
    bench.connect().await;
    assert_eq!(bench.cut().await, [0]);
}

#[tokio::test(start_paused = true)]
async fn deadlines_follow_the_phase() {
    let limits = Limits::default();
    let activity = Activity::new();
    let due_ms = || activity.deadline(&limits).map(|at| (at - Instant::now()).as_millis());
    assert_eq!(due_ms(), Some(10_000));
    activity.received();
    assert_eq!(activity.phase(), Phase::Opening);
    activity.enter(Phase::Idle);
    assert_eq!(due_ms(), Some(60_000));
    activity.received();
    assert_eq!((activity.phase(), due_ms()), (Phase::Headers, Some(10_000)));
    advance(Duration::from_secs(4)).await;
    activity.received();
    assert_eq!(due_ms(), Some(6_000));
    activity.enter(Phase::Busy);
    assert_eq!(due_ms(), None);
    activity.write_blocked();
    advance(Duration::from_secs(4)).await;
    activity.write_blocked();
    assert_eq!(due_ms(), Some(56_000));
    activity.sent();
    assert_eq!(due_ms(), None);
}
