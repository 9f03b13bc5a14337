//! Ready, status, watchdog.

use lucid_kit::{Health, Life, ServiceReport};
use tokio::time::Instant;

use super::*;

/// How often the service manager heard `what` in `text`.
fn times(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[tokio::test(start_paused = true)]
async fn ready_is_told_once_and_the_status_when_it_changes() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    bench.start::<1>(&["base"], Manner::Obedient);
    let _running = bench.supervise(None);
    let first = bench.hears("STATUS=2 of 2 healthy\n").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(times(&(first + &bench.heard()), "READY=1"), 1);
    assert_eq!(bench.heard(), "", "what has not changed is not told again");
}

#[tokio::test(start_paused = true)]
async fn a_box_without_a_disk_is_ready_and_says_for_what_it_waits() {
    let mut bench = Bench::new();
    let closed = watch::Sender::new(true);
    bench.start::<0>(&[], Manner::Obedient);
    bench.start_behind::<1>(&[], Manner::Obedient, vec![gate(&closed)]);
    let _running = bench.supervise(Some(2_000_000));
    let heard = bench.hears("STATUS=1 of 2 healthy; middle: no disk\n").await;
    assert!(heard.contains("READY=1"), "{heard}");
    bench.hears("WATCHDOG=1").await;
    closed.send_replace(false);
    bench.hears("STATUS=2 of 2 healthy\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_box_whose_critical_service_never_starts_is_not_ready() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Broken);
    bench.start::<1>(&[], Manner::Obedient);
    let _running = bench.supervise(Some(2_000_000));
    let mut heard = bench.hears("STATUS=1 of 2 healthy; base: ").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    heard += &bench.heard();
    assert!(!heard.contains("READY=1") && heard.contains("WATCHDOG=1"), "alive, but not ready: {heard}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_decides_nothing_does_not_delay_ready() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    bench.start::<3>(&[], Manner::Broken);
    let _running = bench.supervise(None);
    bench.hears("READY=1").await;
}

#[tokio::test(start_paused = true)]
async fn a_box_without_services_stops_and_was_never_ready() {
    let mut bench = Bench::new();
    let running = bench.supervise(None);
    bench.hears("STATUS=0 of 0 healthy\n").await;
    bench.shutdown.cancel();
    assert_eq!(running.await.unwrap(), Shutdown { stopped: 0, forced: vec![] });
    assert!(!bench.heard().contains("READY=1"));
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_at_least_every_half_period() {
    for (period_us, seconds) in [(15_000_000, 60), (3_000_000, 30), (400_000, 10)] {
        let mut bench = Bench::new();
        bench.start::<0>(&[], Manner::Obedient);
        let _running = bench.supervise(Some(period_us));
        bench.hears("WATCHDOG=1").await;
        let half = Duration::from_micros(period_us) / 2;
        let (begin, mut last) = (Instant::now(), Instant::now());
        while begin.elapsed() < Duration::from_secs(seconds) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if bench.heard().contains("WATCHDOG=1") {
                last = Instant::now();
            }
            assert!(last.elapsed() <= half + Duration::from_millis(20), "{:?} without food", last.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_keeper_that_is_gone_starves_the_watchdog() {
    let mut bench = Bench::new();
    bench.start::<0>(&[], Manner::Obedient);
    let keeper = bench.services[0].task.abort_handle();
    let _running = bench.supervise(Some(2_000_000));
    bench.hears("WATCHDOG=1").await;
    keeper.abort();
    bench.hears("STATUS=beyond help, waiting to be restarted: the keeper of base has ended\n").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.heard(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocked_thread_starves_the_watchdog_until_it_returns() {
    let mut bench = Bench::new();
    // Longer than BUSY_MAX and the margin, real time: a thread can't be blocked in paused time.
    bench.start::<0>(&[], Manner::Blocks(Duration::from_millis(7500)));
    bench.start::<1>(&[], Manner::Obedient);
    let _running = bench.supervise(Some(200_000));
    bench.hears("WATCHDOG=1").await;
    bench.hears("beyond help, waiting to be restarted: base blocks its thread\n").await;
    assert!(!bench.heard().contains("WATCHDOG=1"));
    let said = bench.hears("WATCHDOG=1").await;
    assert!(said.contains("STATUS=") && !said.contains("beyond help"), "its status is told again: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_blocked_thread_of_a_service_that_decides_nothing_starves_nothing() {
    let mut bench = Bench::new();
    bench.start::<3>(&[], Manner::Blocks(Duration::from_millis(7000)));
    bench.start::<0>(&[], Manner::Obedient);
    let _running = bench.supervise(Some(200_000));
    let until = Instant::now() + Duration::from_millis(6800);
    let mut heard = bench.hears("WATCHDOG=1").await;
    while Instant::now() < until {
        let asked = Instant::now();
        heard += &bench.hears("WATCHDOG=1").await;
        // Without the pulse the timers of the whole runtime may stand still for as long as one thread is blocked.
        assert!(asked.elapsed() < Duration::from_secs(6), "held up for {:?}", asked.elapsed());
    }
    assert!(!heard.contains("beyond help"), "{heard}");
}

#[test]
fn the_status_line_names_a_critical_reason_first() {
    let report = |name, critical, health| ServiceReport {
        spec: Spec { name, purpose: "test", needs: &[], critical, storage: false, stop_grace_s: 1 },
        life: Life::Running,
        health,
        restarts: 0,
        since_s: 0,
        busy_ms: 0,
        slow_events: 0,
        queued: 0,
        status: serde_json::Value::Null,
    };
    let aside = report("aside", false, Health::Waiting { reason: "no disk".into() });
    let sick = report("sick", true, Health::Unhealthy { reason: "no answer".into() });
    let warm = report("warm", true, Health::Degraded { reason: "81 °C".into() });
    let well = report("well", true, Health::Healthy);
    for (reports, expected) in [
        (vec![], "0 of 0 healthy"),
        (vec![well.clone()], "1 of 1 healthy"),
        (vec![aside.clone(), well.clone()], "1 of 2 healthy; aside: no disk"),
        (vec![aside, sick, well], "1 of 3 healthy; sick: no answer"),
        (vec![warm], "1 of 1 healthy; warm: 81 °C"),
    ] {
        assert_eq!(crate::watch::status_line(&reports), expected);
    }
}
