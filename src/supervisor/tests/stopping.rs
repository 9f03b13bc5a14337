//! The order of the stop, and its end whatever the services do.

use tokio::time::Instant;

use super::*;

/// Stops the box once it is ready; how that went, and how long it took.
async fn stop(mut bench: Bench) -> (Shutdown, Duration, Bench) {
    let running = bench.supervise(None);
    bench.hears("READY=1").await;
    let asked = Instant::now();
    bench.shutdown.cancel();
    let shutdown = running.await.unwrap();
    (shutdown, asked.elapsed(), bench)
}

#[tokio::test(start_paused = true)]
async fn a_service_stops_after_all_that_need_it() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    bench.start::<1>(&["base"], Manner::Slow(Duration::from_secs(2)));
    bench.start::<2>(&["base", "middle"], Manner::Slow(Duration::from_secs(1)));
    let (shutdown, took, bench) = stop(bench).await;
    assert_eq!(shutdown, Shutdown { stopped: 3, forced: vec![] });
    assert!(shutdown.is_clean());
    assert_eq!(*bench.log.lock().unwrap(), ["top", "middle", "base"]);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(bench.heard().contains("STOPPING=1"));
}

#[tokio::test(start_paused = true)]
async fn services_that_do_not_need_each_other_stop_side_by_side() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Slow(Duration::from_secs(4)));
    bench.start::<1>(&[], Manner::Slow(Duration::from_secs(4)));
    bench.start::<2>(&[], Manner::Slow(Duration::from_secs(4)));
    let (shutdown, took, _) = stop(bench).await;
    assert!(shutdown.is_clean() && took < Duration::from_secs(5), "{shutdown:?} {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_service_does_not_keep_the_others_from_their_order() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    bench.start::<1>(&["base"], Manner::Deaf);
    let (shutdown, took, bench) = stop(bench).await;
    // Kit ends it at its grace of 5 s, so its keeper stops by itself.
    assert_eq!(shutdown.stopped, 2);
    assert_eq!(*bench.log.lock().unwrap(), ["middle", "base"]);
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(7), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_never_ends_is_ended_by_force() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    let task = tokio::spawn(std::future::pending());
    bench.services.push(Supervised { name: "lost", stop: CancellationToken::new(), task });
    let (shutdown, took, _) = stop(bench).await;
    assert_eq!(shutdown, Shutdown { stopped: 1, forced: vec!["lost"] });
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn needs_in_a_circle_end_with_the_grace() {
    let mut bench = Bench::new();
    bench.start::<0>(&["base"], Manner::Obedient);
    let running = bench.supervise(None);
    bench.hears("READY=1").await;
    let asked = Instant::now();
    bench.shutdown.cancel();
    let shutdown = running.await.unwrap();
    assert!(shutdown.is_clean());
    assert!(asked.elapsed() >= GRACE && asked.elapsed() <= GRACE + crate::SHUTDOWN_MARGIN, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_while_the_box_stops() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Slow(Duration::from_secs(4)));
    let running = bench.supervise(Some(1_000_000));
    bench.hears("READY=1").await;
    bench.shutdown.cancel();
    let heard = bench.hears("STOPPING=1").await + &bench.hears("WATCHDOG=1").await + &bench.hears("WATCHDOG=1").await;
    assert!(!heard.contains("beyond help"), "{heard}");
    assert!(running.await.unwrap().is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_or_backs_off_stops_at_once() {
    let mut bench = Bench::new();
    let closed = watch::Sender::new(true);
    bench.start_behind::<0>(&[], Manner::Deaf, vec![gate(&closed)]);
    bench.start::<1>(&["base"], Manner::Deaf);
    let (shutdown, took, bench) = stop(bench).await;
    assert_eq!(shutdown.stopped, 2);
    assert!(took < Duration::from_millis(100), "{took:?}");
    assert!(bench.log.lock().unwrap().is_empty());
}
