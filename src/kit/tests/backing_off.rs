//! How long a service waits between two failures.

use tokio::time::Instant;

use super::*;
use crate::Backoff;

#[tokio::test(start_paused = true)]
async fn the_wait_doubles_within_its_jitter_up_to_half_a_minute() {
    let mut backoff = Backoff::default();
    for (failure, base_ms) in [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000].into_iter().enumerate() {
        let wait = backoff.failed(Duration::ZERO, Instant::now());
        let range = Duration::from_millis(base_ms * 8 / 10)..=Duration::from_millis(base_ms * 12 / 10);
        assert!(range.contains(&wait), "after failure {}: {wait:?}", failure + 1);
    }
    for _ in 0..100 {
        assert!(backoff.failed(Duration::ZERO, Instant::now()) <= Duration::from_secs(36));
    }
}

#[tokio::test(start_paused = true)]
async fn the_jitter_keeps_services_apart() {
    let waits = (0..50).map(|_| Backoff::default().failed(Duration::ZERO, Instant::now()));
    let different: std::collections::BTreeSet<_> = waits.collect();
    assert!(different.len() > 40, "{} of 50", different.len());
}

#[tokio::test(start_paused = true)]
async fn an_incarnation_that_lived_a_minute_has_proved_itself() {
    let mut backoff = Backoff::default();
    for _ in 0..6 {
        backoff.failed(Duration::from_secs(59), Instant::now());
    }
    assert!(backoff.failed(Duration::from_secs(59), Instant::now()) > Duration::from_secs(5));
    assert!(backoff.failed(Duration::from_secs(60), Instant::now()) < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn ten_starts_in_five_minutes_are_the_most() {
    let mut backoff = Backoff::default();
    let begin = Instant::now();
    for _ in 0..9 {
        backoff.started(Instant::now());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!backoff.limited(Instant::now()));
    backoff.started(Instant::now());
    assert!(backoff.limited(Instant::now()));
    let wait = backoff.failed(Duration::from_secs(100), Instant::now());
    assert_eq!(Instant::now() + wait, begin + Duration::from_secs(300));
    tokio::time::sleep(wait).await;
    assert!(!backoff.limited(Instant::now()));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_always_fails_is_held_to_the_limit_and_says_so() {
    let bench = probe();
    bench.script.failing_starts.store(u64::MAX, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let starts = bench.script.starts.load(Ordering::SeqCst);
    assert!((110..=121).contains(&starts), "{starts} starts in an hour, ten in five minutes");
    let (cause, _) = bench.backs_off().await;
    assert!(cause.contains("opening the store"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_cured_service_runs_within_a_minute() {
    let bench = probe();
    bench.script.failing_starts.store(8, Ordering::SeqCst);
    let begin = Instant::now();
    bench.runs().await;
    // 0.2 + 0.4 + … + 25.6 s, and the jitter.
    assert!(begin.elapsed() < Duration::from_secs(62), "{:?}", begin.elapsed());
    assert_eq!(bench.board.report("probe").unwrap().restarts, 8);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_board_is_gone_backs_off_as_ever() {
    let Bench { handle: _handle, script, board, stop, task } = probe();
    script.failing_starts.store(u64::MAX, Ordering::SeqCst);
    drop(board);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let starts = script.starts.load(Ordering::SeqCst);
    assert!((8..=11).contains(&starts), "{starts} starts in five minutes");
    stop.cancel();
    task.await.unwrap();
}
