//! Ticks and requests, and their turns.

use super::*;

#[tokio::test(start_paused = true)]
async fn ticks_come_at_once_and_then_every_period() {
    let bench = probe();
    bench.runs().await;
    tokio::time::sleep(PERIOD * 3 + Duration::from_secs(1)).await;
    assert_eq!(bench.handle.ask(Ask::Ticks).await, Ok(4));
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_not_made_up_for() {
    let bench = probe();
    bench.runs().await;
    for _ in 0..8 {
        bench.handle.ask(|reply| Ask::Sleep(BUSY_MAX - Duration::from_secs(1), reply)).await.unwrap();
    }
    let ticks = bench.handle.ask(Ask::Ticks).await.unwrap();
    assert!((3..=4).contains(&ticks), "{ticks} in 32 s");
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_by_one_incarnation_in_their_order() {
    let bench = probe();
    bench.runs().await;
    let first = bench.handle.ask(|reply| Ask::Publish(7, reply));
    let second = bench.handle.ask(|reply| Ask::Publish(9, reply));
    let (first, second) = futures_util::join!(first, second);
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(bench.handle.status().as_deref(), Some(&9));
    assert_eq!(*bench.handle.watch().borrow().clone(), 9);
    assert_eq!(bench.incarnation().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_callers_wait_and_loses_nobody() {
    let bench = probe();
    bench.runs().await;
    let asks = (0..QUEUE_MAX * 10).map(|_| bench.handle.ask(Ask::Incarnation));
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| *answer == Ok(1)), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_does_not_starve_the_ticks() {
    let bench = probe();
    bench.runs().await;
    // Ten callers who ask again as soon as they are answered keep the queue full for ever.
    let flood = (0..QUEUE_MAX * 2).map(|_| {
        let handle = bench.handle.clone();
        tokio::spawn(async move { while handle.ask(|reply| Ask::Sleep(PERIOD / 100, reply)).await.is_ok() {} })
    });
    let flood: Vec<_> = flood.collect();
    tokio::time::sleep(PERIOD * 20).await;
    let ticks = bench.script.ticks.load(Ordering::SeqCst);
    // A tick waits for at most a queue of requests, here 8 % of a period.
    assert!((17..=21).contains(&ticks), "{ticks} ticks in 20 periods");
    assert!(bench.script.served.load(Ordering::SeqCst) > 1500);
    flood.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn ticks_that_are_always_due_do_not_starve_the_requests() {
    struct Busy;
    impl Service for Busy {
        const NAME: &'static str = "busy";
        const PERIOD: Duration = Duration::from_millis(1);
        type Config = ();
        type Deps = ();
        type Request = Reply<()>;
        type Status = ();
        type Error = std::fmt::Error;

        async fn start((): &(), (): &()) -> Result<Self, std::fmt::Error> {
            Ok(Self)
        }

        async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), std::fmt::Error> {
            loop {
                match ctx.next().await {
                    Event::Tick => tokio::time::sleep(Duration::from_millis(50)).await,
                    Event::Request(reply) => reply.send(()),
                    Event::Stop => return Ok(()),
                }
            }
        }
    }
    let (handle, wired) = wire::<Busy>();
    let spec = Spec { name: "busy", ..spec::<0>() };
    let _task = supervise(spec, wired, (), (), vec![], &Board::default(), CancellationToken::new());
    handle.life().wait_for(|life| *life == Life::Running).await.unwrap();
    for _ in 0..100 {
        let asked = tokio::time::Instant::now();
        handle.ask(|reply| reply).await.unwrap();
        assert!(asked.elapsed() <= Duration::from_millis(120), "{:?}", asked.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_is_seen_to_have_gone() {
    let (sender, answer) = tokio::sync::oneshot::channel::<()>();
    let reply = Reply(sender);
    assert!(!reply.is_abandoned());
    drop(answer);
    assert!(reply.is_abandoned());
    reply.send(());
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_longer_than_half_a_minute() {
    let bench = probe();
    bench.runs().await;
    let asked = tokio::time::Instant::now();
    let hold = Arc::new(std::sync::Mutex::new(None));
    let kept = hold.clone();
    // The reply is neither used nor dropped.
    let answer = bench
        .handle
        .ask(move |reply: Reply<()>| {
            *kept.lock().unwrap() = Some(reply);
            Ask::Publish(0, unanswered())
        })
        .await;
    assert_eq!(answer, Err(Unavailable("probe")));
    assert_eq!(asked.elapsed(), Duration::from_secs(30));
    assert_eq!(bench.incarnation().await, 1, "the service goes on");
}

fn unanswered() -> Reply<()> {
    Reply(tokio::sync::oneshot::channel().0)
}

#[tokio::test(start_paused = true)]
async fn a_service_of_which_nothing_can_be_asked_ticks_until_it_is_stopped() {
    struct Watch;
    impl Service for Watch {
        const NAME: &'static str = "watch";
        const PERIOD: Duration = PERIOD;
        type Config = ();
        type Deps = ();
        type Request = std::convert::Infallible;
        type Status = u64;
        type Error = std::fmt::Error;

        async fn start((): &(), (): &()) -> Result<Self, std::fmt::Error> {
            Ok(Self)
        }

        async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), std::fmt::Error> {
            while ctx.ticked().await {
                ctx.publish(*ctx.status() + 1);
            }
            Ok(())
        }
    }
    let (handle, wired) = wire::<Watch>();
    let (board, stop) = (Board::default(), CancellationToken::new());
    let task = supervise(Spec { name: "watch", ..spec::<0>() }, wired, (), (), vec![], &board, stop.clone());
    let begin = tokio::time::Instant::now();
    handle.watch().wait_for(|ticks| **ticks == 4).await.unwrap();
    assert_eq!(begin.elapsed(), PERIOD * 3, "the first tick comes at once");
    assert_eq!(board.check("watch").await, Some(Health::Healthy), "it answers checks between its ticks");
    stop.cancel();
    task.await.unwrap();
    assert_eq!(begin.elapsed(), PERIOD * 3);
}
