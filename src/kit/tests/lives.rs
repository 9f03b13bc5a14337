//! Panic, failure, hang, restart and stop of one incarnation.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_panic_is_contained_and_the_handle_survives() {
    let bench = probe();
    bench.runs().await;
    bench.handle.ask(|reply| Ask::Publish(1, reply)).await.unwrap();
    assert_eq!(bench.handle.ask(Ask::Panic).await, Err(Unavailable("probe")));
    assert_eq!(bench.backs_off().await.0, "panicked: asked to panic");
    assert_eq!(bench.handle.ask(Ask::Incarnation).await, Err(Unavailable("probe")), "at once, not at the next start");
    assert_eq!(bench.handle.status(), None);
    bench.runs().await;
    assert_eq!(bench.incarnation().await, 2);
    assert_eq!(bench.handle.status().as_deref(), Some(&0), "nothing is left of the old status");
    assert_eq!(bench.board.report("probe").unwrap().restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn one_service_falls_and_another_does_not_notice() {
    let bench = probe();
    let other = start::<1>(&bench.board, spec::<1>(), vec![], Arc::default());
    bench.runs().await;
    other.runs().await;
    for _ in 0..20 {
        bench.runs().await;
        let _ = bench.handle.ask(Ask::Panic).await;
        assert_eq!(other.incarnation().await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_cause_of_a_backoff_is_the_whole_chain() {
    let bench = probe();
    bench.script.failing_starts.store(1, Ordering::SeqCst);
    let text = "an error occurred when formatting an argument";
    assert_eq!(bench.backs_off().await.0, format!("opening the store of `probe`: reading block 7: {text}"));
    bench.runs().await;
    let _ = bench.handle.ask(Ask::Fail).await;
    assert_eq!(bench.backs_off().await.0, "asked to fail");
}

#[tokio::test(start_paused = true)]
async fn a_return_that_nobody_asked_for_is_a_failure() {
    let bench = probe();
    bench.runs().await;
    let _ = bench.handle.ask(Ask::Return).await;
    assert_eq!(bench.backs_off().await.0, "returned without being asked to");
    bench.runs().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_never_ends_is_given_up() {
    let bench = probe();
    bench.runs().await;
    let asked = tokio::time::Instant::now();
    assert_eq!(bench.handle.ask(|reply| Ask::Sleep(BUSY_MAX * 4, reply)).await, Err(Unavailable("probe")));
    assert!(asked.elapsed() <= BUSY_MAX + Duration::from_secs(1), "{:?}", asked.elapsed());
    let (cause, _) = bench.backs_off().await;
    assert!(cause.starts_with("did not come back from one event for 5 s"), "{cause}");
    assert_eq!(bench.board.report("probe").unwrap().busy_ms, 0, "what is given up is not busy");
    assert_eq!(bench.board.blocked(Duration::ZERO), None);
    bench.runs().await;
    assert_eq!(bench.incarnation().await, 2);
    assert_eq!(bench.script.alive.load(Ordering::SeqCst), 1, "nothing is left of the one that hung");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_ends_is_given_up() {
    let bench = probe();
    bench.script.hanging_start.store(true, Ordering::SeqCst);
    let begin = tokio::time::Instant::now();
    assert_eq!(bench.backs_off().await.0, "did not start within 40 s");
    assert_eq!(begin.elapsed(), START_MAX);
    bench.runs().await;
}

#[tokio::test(start_paused = true)]
async fn events_over_a_second_are_counted_as_slow() {
    let bench = probe();
    bench.runs().await;
    for millis in [10, 999, 1001, 2500] {
        bench.handle.ask(|reply| Ask::Sleep(Duration::from_millis(millis), reply)).await.unwrap();
    }
    bench.incarnation().await;
    assert_eq!(bench.board.report("probe").unwrap().slow_events, 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_asked_for_comes_at_once_and_once() {
    let bench = probe();
    bench.runs().await;
    bench.board.restart("probe").unwrap();
    bench.board.restart("probe").unwrap();
    bench.started(2).await;
    bench.runs().await;
    tokio::time::sleep(PERIOD).await;
    assert_eq!(bench.incarnation().await, 2);
    assert_eq!(bench.board.report("probe").unwrap().since_s, 10);
    let error = bench.board.restart("nobody").unwrap_err();
    assert_eq!(error.to_string(), "there is no service `nobody`");
}

#[tokio::test(start_paused = true)]
async fn a_restart_asked_for_in_a_backoff_ends_the_wait() {
    let bench = probe();
    bench.script.failing_starts.store(6, Ordering::SeqCst);
    bench.started(6).await;
    assert!(bench.backs_off().await.1 > Duration::from_secs(4));
    let begin = tokio::time::Instant::now();
    bench.board.restart("probe").unwrap();
    bench.runs().await;
    assert!(begin.elapsed() < Duration::from_millis(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_beside_a_service_ends_with_its_incarnation() {
    let bench = probe();
    bench.runs().await;
    let flag = Arc::new(AtomicBool::new(false));
    bench.handle.ask(|reply| Ask::Spawn(flag.clone(), reply)).await.unwrap();
    assert!(flag.load(Ordering::SeqCst));
    let _ = bench.handle.ask(Ask::Panic).await;
    bench.started(2).await;
    assert!(!flag.load(Ordering::SeqCst), "gone before the next incarnation starts");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_asked_stops_at_once() {
    let bench = probe();
    bench.runs().await;
    let begin = tokio::time::Instant::now();
    bench.stop.cancel();
    bench.task.await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(10));
    assert_eq!(*bench.handle.life().borrow(), Life::Stopped);
    assert_eq!(bench.handle.ask(Ask::Incarnation).await, Err(Unavailable("probe")));
    assert_eq!(bench.script.alive.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_stop_is_ended_by_force() {
    let bench = probe();
    bench.runs().await;
    bench.script.deaf.store(true, Ordering::SeqCst);
    let begin = tokio::time::Instant::now();
    bench.stop.cancel();
    bench.becomes(|life| *life == Life::Stopping).await;
    bench.task.await.unwrap();
    assert_eq!(begin.elapsed(), STOP_GRACE);
    assert_eq!(bench.script.alive.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_at_the_stop_is_contained() {
    let bench = probe();
    bench.runs().await;
    bench.script.panics_at_stop.store(true, Ordering::SeqCst);
    bench.stop.cancel();
    bench.task.await.unwrap();
    assert_eq!(*bench.handle.life().borrow(), Life::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stop_reaches_a_service_wherever_it_is() {
    // Before its start, in its start, in a backoff.
    let bench = probe();
    bench.stop.cancel();
    bench.task.await.unwrap();
    assert_eq!(bench.script.starts.load(Ordering::SeqCst), 0);

    let bench = probe();
    bench.script.hanging_start.store(true, Ordering::SeqCst);
    bench.becomes(|life| *life == Life::Starting).await;
    bench.stop.cancel();
    bench.task.await.unwrap();

    let bench = probe();
    bench.script.failing_starts.store(u64::MAX, Ordering::SeqCst);
    bench.backs_off().await;
    let starts = bench.script.starts.load(Ordering::SeqCst);
    bench.stop.cancel();
    bench.task.await.unwrap();
    assert_eq!(bench.script.starts.load(Ordering::SeqCst), starts);
}
