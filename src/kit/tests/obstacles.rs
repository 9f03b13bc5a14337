//! Needs and gates.

use super::*;

fn waits_for(reason: &str) -> impl Fn(&Life) -> bool + '_ {
    move |life| *life == Life::Waiting { reason: reason.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_service_waits_for_its_needs_and_not_for_their_restarts() {
    let board = Board::default();
    let closed = watch::Sender::new(Some("no disk"));
    let need = start::<0>(&board, spec::<0>(), vec![gate(&closed)], Arc::default());
    let needy = start::<1>(&board, Spec { needs: &["probe"], ..spec::<1>() }, vec![], Arc::default());
    needy.becomes(waits_for("waiting for probe")).await;
    assert_eq!(needy.script.starts.load(Ordering::SeqCst), 0);
    closed.send_replace(None);
    needy.runs().await;
    let _ = need.handle.ask(Ask::Panic).await;
    need.runs().await;
    assert_eq!(needy.incarnation().await, 1, "a need that restarts later disturbs nobody");
}

#[tokio::test(start_paused = true)]
async fn a_need_that_nobody_offers_is_named_and_nothing_starts() {
    let board = Board::default();
    let needy = start::<1>(&board, Spec { needs: &["nobody"], ..spec::<1>() }, vec![], Arc::default());
    needy.becomes(waits_for("waiting for nobody")).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(needy.script.starts.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_gate_stops_a_service_and_starts_it_again() {
    let closed = watch::Sender::new(Some("no disk"));
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], Arc::default());
    bench.becomes(waits_for("no disk")).await;
    assert_eq!(bench.health(), Health::Waiting { reason: "no disk".to_owned() });
    closed.send_replace(None);
    bench.runs().await;
    closed.send_replace(Some("the disk was pulled out"));
    bench.becomes(waits_for("the disk was pulled out")).await;
    assert_eq!(bench.script.alive.load(Ordering::SeqCst), 0, "nothing of it is left while the gate is closed");
    assert_eq!(bench.handle.ask(Ask::Incarnation).await, Err(Unavailable("probe")));
    closed.send_replace(None);
    bench.runs().await;
    assert_eq!(bench.incarnation().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_leaves_the_gate_open_disturbs_nobody() {
    let closed = watch::Sender::new(None);
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], Arc::default());
    bench.runs().await;
    for _ in 0..5 {
        closed.send_replace(None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(bench.incarnation().await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_reason_follows_the_gate_and_all_gates_must_open() {
    let (disk, heat) = (watch::Sender::new(Some("no disk")), watch::Sender::new(Some("too hot")));
    let gates = vec![gate(&disk), gate(&heat)];
    let bench = start::<0>(&Board::default(), spec::<0>(), gates, Arc::default());
    bench.becomes(waits_for("no disk")).await;
    disk.send_replace(Some("the disk is checked"));
    bench.becomes(waits_for("the disk is checked")).await;
    disk.send_replace(None);
    bench.becomes(waits_for("too hot")).await;
    heat.send_replace(None);
    bench.runs().await;
}

#[tokio::test(start_paused = true)]
async fn a_gate_keeps_its_last_word_when_its_publisher_is_gone() {
    for (last, runs) in [(None, true), (Some("no disk"), false)] {
        let closed = watch::Sender::new(last);
        let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], Arc::default());
        drop(closed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(*bench.handle.life().borrow() == Life::Running, runs, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_asked_for_while_waiting_does_not_restart_the_start() {
    let closed = watch::Sender::new(Some("no disk"));
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], Arc::default());
    bench.becomes(waits_for("no disk")).await;
    bench.board.restart("probe").unwrap();
    closed.send_replace(None);
    bench.runs().await;
    tokio::time::sleep(PERIOD).await;
    assert_eq!(bench.incarnation().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deaf_service_behind_a_closing_gate_is_ended_by_force() {
    let closed = watch::Sender::new(None);
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], Arc::default());
    bench.runs().await;
    bench.script.deaf.store(true, Ordering::SeqCst);
    let begin = tokio::time::Instant::now();
    closed.send_replace(Some("no disk"));
    bench.becomes(waits_for("no disk")).await;
    assert_eq!(begin.elapsed(), STOP_GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_gate_closes_while_it_starts_never_runs() {
    let closed = watch::Sender::new(None);
    let script = Arc::new(Script::default());
    // Should it run all the same, it would not stop.
    script.deaf.store(true, Ordering::SeqCst);
    script.slow_start.store(true, Ordering::SeqCst);
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], script);
    let mut life = bench.handle.life();
    bench.started(1).await;
    let begin = tokio::time::Instant::now();
    closed.send_replace(Some("no disk"));
    while !waits_for("no disk")(&life.borrow_and_update()) {
        life.changed().await.unwrap();
        assert_ne!(*life.borrow(), Life::Running);
    }
    assert!(begin.elapsed() <= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(bench.script.alive.load(Ordering::SeqCst), 0);
    bench.script.deaf.store(false, Ordering::SeqCst);
    closed.send_replace(None);
    bench.runs().await;
    assert_eq!(bench.incarnation().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_closes_in_a_backoff_is_waited_for_at_once() {
    let closed = watch::Sender::new(None);
    let script = Arc::new(Script::default());
    script.failing_starts.store(8, Ordering::SeqCst);
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], script);
    bench.started(8).await;
    let (cause, wait) = bench.backs_off().await;
    assert!(cause.contains("opening the store") && wait > Duration::from_secs(20), "{cause}: {wait:?}");
    let begin = tokio::time::Instant::now();
    closed.send_replace(Some("no disk"));
    bench.becomes(waits_for("no disk")).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(bench.health(), Health::Waiting { reason: "no disk".to_owned() });
    closed.send_replace(None);
    bench.runs().await;
    assert_eq!(begin.elapsed(), Duration::ZERO, "nor is the rest of the wait sat out once the gate is open");
    assert_eq!(bench.script.starts.load(Ordering::SeqCst), 9);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_leaves_the_gate_open_does_not_shorten_a_backoff() {
    let closed = watch::Sender::new(None);
    let script = Arc::new(Script::default());
    script.failing_starts.store(6, Ordering::SeqCst);
    let bench = start::<0>(&Board::default(), spec::<0>(), vec![gate(&closed)], script);
    bench.started(6).await;
    let (_, wait) = bench.backs_off().await;
    closed.send_replace(None);
    tokio::time::sleep(wait - Duration::from_millis(10)).await;
    assert_eq!(bench.script.starts.load(Ordering::SeqCst), 6);
    bench.runs().await;
}

#[tokio::test(start_paused = true)]
async fn what_only_the_owner_can_end_is_waited_for_and_keeps_nobody_from_being_ready() {
    const REASON: &str = "the disk is another's: put it back";
    let (board, script) = (Board::default(), Arc::<Script>::default());
    script.refused_starts.store(3, Ordering::SeqCst);
    let bench = start::<0>(&board, Spec { critical: true, ..spec::<0>() }, vec![], script);
    assert!(!board.ready());
    bench.becomes(waits_for(REASON)).await;
    // Also while it is looked once more.
    for _ in 0..30 {
        assert!(board.ready() && bench.health() == Health::Waiting { reason: REASON.to_owned() });
        if bench.script.refused_starts.load(Ordering::SeqCst) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bench.runs().await;
    assert_eq!(bench.incarnation().await, 4);
}
