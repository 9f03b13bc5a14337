//! Blocks without services: what enters them, what does not, and that replays agree.

use lucid_proof::time::TimeTrust;
use tempfile::tempdir;

use super::*;
use crate::{
    Cursor, MEMPOOL_MAX, Step, SubmitError, Submitted, step,
    tests::{TestChain, anchor, at, key, other_anchor, session},
};

fn valid(chain: &ChainStore) -> u64 {
    match step(chain, Cursor::new(), u64::MAX).unwrap() {
        Step::Valid { blocks } => blocks,
        Step::More(cursor) => panic!("stopped after {} blocks", cursor.checked()),
    }
}

#[test]
fn a_chain_grows_is_valid_and_is_there_after_reopening() {
    let dir = tempdir().unwrap();
    let before = {
        let test = TestChain::begin(dir.path());
        test.grow(&[0, 1, 0, 3, 2, 0], 0);
        test.chain().head().unwrap()
    };
    let test = TestChain::open(dir.path());
    assert_eq!(test.chain().head().unwrap(), before);
    assert_eq!((before.height, before.anchors, before.mempool), (6, 6, 0));
    assert_eq!(valid(test.chain()), 7);
    let block = test.chain().block(4).unwrap().unwrap();
    assert_eq!(block.transactions.len(), 3);
    assert!(block.check_transactions());
    assert_eq!(test.chain().block(7).unwrap(), None);
    let sizes: Vec<_> = test.chain().latest(Some(6), 3).unwrap().iter().map(|b| (b.height, b.transactions)).collect();
    assert_eq!(sizes, [(5, 2), (4, 3), (3, 0)]);
    assert!(matches!(test.chain().latest(None, 0), Err(ReadError::OutOfRange(_))));
    assert!(matches!(test.chain().latest(None, 1001), Err(ReadError::OutOfRange(_))));
}

#[test]
fn two_replays_come_to_the_same_chain() {
    let grown = || {
        let dir = tempdir().unwrap();
        let test = TestChain::begin(dir.path());
        test.grow(&[2, 0, 5, 1], 0);
        (0..5).map(|height| test.chain().block(height).unwrap().unwrap().encode().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(grown(), grown());
}

#[test]
fn time_never_runs_back() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let cases = [
        (at(10_000), at(10_000)),
        (at(10_000), Timestamp { trust: TimeTrust::Held, ..at(10_001) }),
        (Timestamp { unix_ms: 5, ..at(0) }, Timestamp { trust: TimeTrust::Held, ..at(10_002) }),
        (at(10_003), at(10_003)),
    ];
    for (clock, expected) in cases {
        let produced = test.producer.produce(clock).unwrap();
        assert_eq!(produced.time, expected);
    }
    assert_eq!(valid(test.chain()), 5);
}

#[test]
fn one_session_has_one_anchor() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let submit = |anchor| test.chain().submit(test.sign(anchor));
    assert_eq!(submit(anchor(1)).unwrap(), Submitted::Pending);
    assert_eq!(submit(anchor(1)).unwrap(), Submitted::Pending);
    assert!(matches!(submit(other_anchor(1)), Err(SubmitError::Conflict(id)) if id == session(1)));
    assert_eq!(test.chain().head().unwrap().mempool, 1);
    assert_eq!(test.chain().submitted(&anchor(1).session).unwrap(), Some(Submitted::Pending));
    test.producer.produce(at(1)).unwrap();
    assert_eq!(submit(anchor(1)).unwrap(), Submitted::Anchored { height: 1 });
    assert!(matches!(submit(other_anchor(1)), Err(SubmitError::Conflict(_))));
    assert_eq!(test.chain().submitted(&anchor(1).session).unwrap(), Some(Submitted::Anchored { height: 1 }));
    assert_eq!(test.chain().submitted(&anchor(2).session).unwrap(), None);
    assert_eq!(test.chain().head().unwrap().mempool, 0);
}

#[test]
fn strangers_and_foreign_chains_are_refused() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let tx = || Transaction::Anchor(anchor(1));
    let stranger = SignedTransaction::sign(tx(), test.chain().chain_id(), &key(2));
    assert!(matches!(test.chain().submit(stranger), Err(SubmitError::NotPermitted)));
    let elsewhere = SignedTransaction::sign(tx(), &[0; 32], &key(1));
    assert!(matches!(test.chain().submit(elsewhere), Err(SubmitError::Signature(_))));
    assert_eq!(test.chain().waiting().unwrap(), (0, None));
}

#[test]
fn a_full_mempool_says_so_and_blocks_take_their_share() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let waiting: Vec<_> = (0..MEMPOOL_MAX).map(|number| test.sign(anchor(number))).collect();
    let filled = test.chain().store().write_blocking(move |tx| -> Result<(), StoreError> {
        for (sequence, transaction) in (0..).zip(&waiting) {
            let Transaction::Anchor(anchor) = &transaction.tx;
            tx.put(&MEMPOOL, &sequence, &transaction.encode())?;
            tx.put(&MEMPOOL_SESSIONS, &anchor.session, &sequence)?;
        }
        Ok(())
    });
    filled.unwrap();
    assert!(matches!(test.chain().submit(test.sign(anchor(MEMPOOL_MAX))), Err(SubmitError::Full)));
    assert_eq!(test.chain().submit(test.sign(anchor(3))).unwrap(), Submitted::Pending);
    assert_eq!(test.producer.produce(at(1)).unwrap().transactions, TRANSACTIONS_MAX);
    assert_eq!(test.chain().submit(test.sign(anchor(MEMPOOL_MAX))).unwrap(), Submitted::Pending);
    assert_eq!(test.chain().waiting().unwrap(), (MEMPOOL_MAX - 999, Some(1000)));
    assert_eq!(valid(test.chain()), 2);
}

#[test]
fn spoilt_waiting_rows_are_dropped_and_their_sessions_can_try_again() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    for number in 0..3 {
        test.chain().submit(test.sign(anchor(number))).unwrap();
    }
    let mut flipped = test.sign(anchor(1)).encode();
    flipped[50] ^= 1;
    let spoil = test.chain().store().write_blocking(move |tx| {
        tx.put(&MEMPOOL, &0, &b"garbage".to_vec())?;
        tx.put(&MEMPOOL, &1, &flipped)
    });
    spoil.unwrap_or_else(|error: StoreError| panic!("{error}"));
    assert_eq!(test.producer.produce(at(1)).unwrap().transactions, 1);
    assert_eq!(test.chain().waiting().unwrap(), (0, None));
    for number in 0..2 {
        assert_eq!(test.chain().submitted(&anchor(number).session).unwrap(), None);
        assert_eq!(test.chain().submit(test.sign(anchor(number))).unwrap(), Submitted::Pending);
    }
    test.producer.produce(at(2)).unwrap();
    assert_eq!((test.chain().head().unwrap().anchors, valid(test.chain())), (3, 3));
}

#[test]
fn a_chain_is_begun_once_and_by_its_own_key_only() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let again = Producer::begin(test.chain().store().clone(), "test/chain", at(5), &key(1));
    assert!(matches!(again, Err(ProduceError::Overtaken { height: 0 })));
    let foreign = ChainStore::load(test.chain().store().clone(), &key(2).verifying_key().to_bytes());
    assert!(matches!(foreign, Err(OpenError::Foreign { chain, .. }) if chain == "test/chain"));
    assert_eq!(valid(test.chain()), 1);
}
