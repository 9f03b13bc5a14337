use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use thiserror::Error;

use super::GROUP_MAX;
use crate::crash::Disk;
use crate::tests::{SCHEMA, rig};
use crate::{Json, Options, Reader as _, Store, StoreError, Table, WriteTx};

const NUMBERS: Table<u64, Json<u64>> = Table::new("numbers");

/// An error of a service, as a closure gives it.
#[derive(Debug, Error)]
enum Refused {
    #[error("no")]
    No,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the writer thread busy until the returned sender is dropped, so that what comes next forms one group.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    let held = Mutex::new((held, started));
    let store = store.clone();
    std::thread::spawn(move || {
        store.write_blocking(move |tx| {
            let held = held.lock().unwrap();
            held.1.send(()).unwrap();
            let _ = held.0.recv();
            tx.put(&NUMBERS, &u64::MAX, &0)
        })
    });
    running.recv().unwrap();
    release
}

/// Polls a write once, which queues it, and gives the rest of the future.
///
/// Unconstrained, because tokio's cooperative budget would let the 129th poll pass without queueing anything.
async fn queued<F: Future>(future: F) -> std::pin::Pin<Box<impl Future<Output = F::Output>>> {
    let mut future = Box::pin(tokio::task::unconstrained(future));
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "the writer is held");
        std::task::Poll::Ready(())
    })
    .await;
    future
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_group_is_synced_once() {
    let disk = Disk::new(Vec::new(), 0);
    let store = Store::open_with_backend(disk.clone(), &SCHEMA, Options::default()).unwrap();
    block_on(async {
        let release = hold(&store);
        let mut waiting = Vec::new();
        for n in 0..GROUP_MAX as u64 {
            waiting.push(queued(store.write(move |tx| tx.put(&NUMBERS, &n, &n))).await);
        }
        let before = disk.syncs();
        drop(release);
        for write in waiting {
            write.await.unwrap();
        }
        let per_commit = (disk.syncs() - before) / 2;
        assert_eq!(disk.syncs() - before, 2 * per_commit, "one commit for what held the writer, one for the group");
        assert!((1..=2).contains(&per_commit), "{per_commit}");
    });
    assert_eq!(store.read(|tx| tx.len(&NUMBERS)).unwrap(), GROUP_MAX as u64 + 1);
}

#[test]
fn failing_and_panicking_closures_harm_nobody_else() {
    let rig = rig();
    let runs = Arc::new(AtomicU32::new(0));
    block_on(async {
        let release = hold(&rig.store);
        let (store, counted) = (&rig.store, runs.clone());
        let good = queued(store.try_write(move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            tx.put(&NUMBERS, &1, &1)?;
            Ok::<_, Refused>("kept")
        }))
        .await;
        let clean = queued(store.try_write(|tx| match tx.get(&NUMBERS, &1)? {
            Some(_) => Err(Refused::No),
            None => Ok(()),
        }))
        .await;
        let dirty = queued(store.try_write(|tx| {
            tx.put(&NUMBERS, &2, &2)?;
            Err::<(), _>(Refused::No)
        }))
        .await;
        let panicking = queued(store.write(|tx: &mut WriteTx<'_>| -> Result<(), StoreError> {
            tx.put(&NUMBERS, &3, &3)?;
            panic!("on purpose")
        }))
        .await;
        let last = queued(store.write(|tx| tx.put(&NUMBERS, &4, &4))).await;
        drop(release);
        assert_eq!(good.await.unwrap(), "kept");
        assert!(matches!(clean.await, Err(Refused::No)), "it saw the write before it in the group");
        assert!(matches!(dirty.await, Err(Refused::No)));
        let message = panicking.await.unwrap_err().to_string();
        assert!(message.contains("on purpose"), "{message}");
        last.await.unwrap();
    });
    assert_eq!(runs.load(Ordering::Relaxed), 3, "run again once for each closure that was undone");
    let rows = rig.reopened().read(|tx| tx.range(&NUMBERS, ..10, 9)).unwrap();
    assert_eq!(rows, [(1, 1), (4, 4)]);
}

#[test]
fn a_queued_write_happens_though_nobody_waits() {
    let rig = rig();
    block_on(async {
        let release = hold(&rig.store);
        drop(queued(rig.store.write(|tx| tx.put(&NUMBERS, &1, &1))).await);
        drop(release);
        rig.store.write(|tx| tx.put(&NUMBERS, &2, &2)).await.unwrap();
    });
    assert_eq!(rig.store.read(|tx| tx.len(&NUMBERS)).unwrap(), 3);
}

#[test]
fn a_closure_that_only_reads_costs_no_sync() {
    let disk = Disk::new(Vec::new(), 0);
    let store = Store::open_with_backend(disk.clone(), &SCHEMA, Options::default()).unwrap();
    let before = disk.syncs();
    for _ in 0..10 {
        assert!(store.write_blocking(|tx| tx.is_empty(&NUMBERS)).unwrap());
    }
    assert_eq!(disk.syncs(), before);
}

#[test]
fn every_waiter_of_a_failed_group_is_told() {
    let disk = Disk::new(Vec::new(), 0);
    let store = Store::open_with_backend(disk.clone(), &SCHEMA, Options::default()).unwrap();
    block_on(async {
        let release = hold(&store);
        let mut waiting = Vec::new();
        for n in 0..10 {
            waiting.push(queued(store.write(move |tx| tx.put(&NUMBERS, &n, &n))).await);
        }
        let refused = queued(store.try_write(|_| Err::<(), _>(Refused::No))).await;
        let _ = disk.clone().cut_at_sync(2);
        drop(release);
        for write in waiting {
            write.await.unwrap_err();
        }
        let error = refused.await.unwrap_err();
        assert!(matches!(error, Refused::Store(_)), "an answer drawn from a lost state is none: {error:?}");
    });
    assert!(matches!(store.failure(), Some(StoreError::Failed { .. })));
}
