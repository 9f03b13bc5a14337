//! The CPU pool. Real threads and real time: states are waited for, never durations.

use std::sync::mpsc;

use super::*;
use crate::{Class, Pool, PoolError};

fn pool(background: bool) -> (Pool, watch::Sender<bool>) {
    let allowed = watch::Sender::new(background);
    (Pool::new(allowed.subscribe()).unwrap(), allowed)
}

/// Work that says when it begins and ends when it is told to.
fn held(pool: &Pool, class: Class) -> (JoinHandle<Result<(), PoolError>>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begins, begun) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let pool = pool.clone();
    let task = tokio::spawn(async move {
        let work = move || {
            begins.send(()).unwrap();
            let _ = released.recv();
        };
        pool.run(class, work).await
    });
    (task, begun, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_runs_beside_the_runtime_at_a_lower_priority() {
    let (pool, _allowed) = pool(true);
    for class in [Class::Recording, Class::Interactive, Class::Background] {
        let name = pool.run(class, || std::thread::current().name().map(str::to_owned)).await.unwrap();
        assert_eq!(name.as_deref(), Some("lucid-cpu"));
        let nice = pool.run(class, || rustix::process::getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(nice, 10);
    }
    assert_eq!(rustix::process::getpriority_process(None).unwrap(), 0, "our own priority stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_contained_and_the_pool_goes_on() {
    let (pool, _allowed) = pool(true);
    for class in [Class::Recording, Class::Interactive, Class::Background] {
        for _ in 0..2 {
            let error = pool.run(class, || panic!("division by zero")).await.unwrap_err();
            assert_eq!(error.to_string(), "a computation panicked: division by zero");
        }
        assert_eq!(pool.run(class, || 42).await.unwrap(), 42);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_served_one_at_a_time_and_hold_up_no_recording() {
    let (pool, _allowed) = pool(true);
    let (first, first_begun, first_release) = held(&pool, Class::Interactive);
    first_begun.recv().unwrap();
    let (second, second_begun, second_release) = held(&pool, Class::Interactive);
    for _ in 0..pool.width() * 3 {
        pool.run(Class::Recording, || ()).await.unwrap();
    }
    assert!(second_begun.try_recv().is_err(), "the second waits for the first");
    first_release.send(()).unwrap();
    first.await.unwrap().unwrap();
    second_begun.recv().unwrap();
    second_release.send(()).unwrap();
    second.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_fill_every_core_and_leave_room_for_a_person() {
    let (pool, _allowed) = pool(true);
    let all: Vec<_> = (0..pool.width()).map(|_| held(&pool, Class::Recording)).collect();
    for (_, begun, _) in &all {
        begun.recv().unwrap();
    }
    let (late, late_begun, late_release) = held(&pool, Class::Recording);
    assert_eq!(pool.run(Class::Interactive, || "in").await.unwrap(), "in");
    assert_eq!(pool.run(Class::Background, || "in").await.unwrap(), "in");
    assert!(late_begun.try_recv().is_err(), "one a core is the most");
    for (task, _, release) in all {
        release.send(()).unwrap();
        task.await.unwrap().unwrap();
    }
    late_begun.recv().unwrap();
    late_release.send(()).unwrap();
    late.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_waits_until_it_is_allowed() {
    let (pool, allowed) = pool(false);
    let (task, begun, release) = held(&pool, Class::Background);
    pool.run(Class::Interactive, || ()).await.unwrap();
    assert!(begun.try_recv().is_err());
    allowed.send_replace(true);
    begun.recv().unwrap();
    release.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_work_ends_when_nobody_can_allow_it_any_more() {
    let (pool, allowed) = pool(false);
    let (task, ..) = held(&pool, Class::Background);
    drop(allowed);
    assert!(matches!(task.await.unwrap(), Err(PoolError::Stopped)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_has_not_begun_is_dropped_with_its_future() {
    let (pool, _allowed) = pool(true);
    let (first, begun, release) = held(&pool, Class::Interactive);
    begun.recv().unwrap();
    let (second, second_begun, _release) = held(&pool, Class::Interactive);
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    first.await.unwrap().unwrap();
    pool.run(Class::Interactive, || ()).await.unwrap();
    assert!(second_begun.recv().is_err(), "its sender is gone, unused");
}
