//! Every kind of damage is found, and named with its height.

use lucid_store::{Table, WriteTx};
use tempfile::tempdir;

use super::*;
use crate::{
    rows::{HeadRow, Layout, MEMPOOL},
    tests::{TestChain, anchor},
};

/// The table of headers as bytes.
const HEADERS_RAW: Table<u64, Vec<u8>> = Table::new("headers");
const TRANSACTIONS_RAW: Table<(u64, u32), Vec<u8>> = Table::new("transactions");
const HEAD_RAW: Table<u8, Vec<u8>> = Table::new("head");

fn run(chain: &ChainStore, blocks_max: u64) -> Result<u64, StepError> {
    let mut cursor = Cursor::new();
    loop {
        match step(chain, cursor, blocks_max)? {
            Step::More(next) => cursor = next,
            Step::Valid { blocks } => return Ok(blocks),
        }
    }
}

/// Damages a chain of six blocks, with anchors in blocks 2 and 4, and expects the fault at `height`.
fn check(height: u64, reason: &str, damage: impl Fn(&mut WriteTx<'_>) -> Result<(), StoreError> + Send + 'static) {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    test.grow(&[0, 2, 0, 3, 0], 0);
    assert_eq!(run(test.chain(), 2).unwrap(), 6);
    test.chain().store().write_blocking(damage).unwrap();
    for blocks_max in [1, 4, u64::MAX] {
        let Err(StepError::Fault(fault)) = run(test.chain(), blocks_max) else { panic!("not found: {reason}") };
        assert_eq!(fault.height, height, "{}", fault.reason);
        assert!(fault.reason.contains(reason), "expected `{reason}`: {}", fault.reason);
    }
}

fn flip<K: lucid_store::Key<Ref = K>>(
    tx: &mut WriteTx<'_>,
    table: &Table<K, Vec<u8>>,
    key: K,
    byte: usize,
) -> Result<(), StoreError> {
    let mut bytes = tx.get(table, &key)?.unwrap();
    bytes[byte] ^= 1;
    tx.put(table, &key, &bytes)
}

#[test]
fn damaged_headers() {
    check(3, "header can't be read", |tx| tx.put(&HEADERS_RAW, &3, &vec![1, 2, 3]));
    check(3, "header is missing", |tx| tx.remove(&HEADERS, &3).map(|_| ()));
    check(3, "certificate", |tx| flip(tx, &HEADERS_RAW, 3, 160));
    check(3, "another validator set", |tx| flip(tx, &HEADERS_RAW, 3, 200));
    check(3, "does not name its parent", |tx| flip(tx, &HEADERS_RAW, 3, 45));
    check(3, "another height", |tx| flip(tx, &HEADERS_RAW, 3, 40));
    check(4, "another height", |tx| {
        let sealed = tx.get(&HEADERS, &3)?.unwrap();
        tx.put(&HEADERS, &4, &sealed)
    });
}

#[test]
fn every_flipped_bit_of_a_header_row_is_found() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    test.grow(&[0, 1, 0], 0);
    let sealed = test.chain().sealed_header(2).unwrap().unwrap();
    let good = sealed.to_bytes().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let write = move |tx: &mut WriteTx<'_>| tx.put(&HEADERS_RAW, &2, &bad);
        test.chain().store().write_blocking(write).unwrap_or_else(|error: StoreError| panic!("{error}"));
        let Err(StepError::Fault(fault)) = run(test.chain(), 10) else { panic!("bit {bit} was not found") };
        assert_eq!(fault.height, 2, "bit {bit}: {}", fault.reason);
    }
}

#[test]
fn damaged_transactions_and_receipts() {
    check(2, "transactions can't be read", |tx| tx.put(&TRANSACTIONS_RAW, &(2, 1), &vec![0]));
    check(2, "not those that the header commits to", |tx| flip(tx, &TRANSACTIONS_RAW, (2, 1), 100));
    check(4, "more or fewer", |tx| tx.remove(&TRANSACTIONS, &(4, 2)).map(|_| ()));
    check(4, "is missing", |tx| tx.remove(&TRANSACTIONS, &(4, 0)).map(|_| ()));
    check(3, "more or fewer", |tx| {
        let transaction = tx.get(&TRANSACTIONS, &(2, 0))?.unwrap();
        tx.put(&TRANSACTIONS, &(3, 0), &transaction)
    });
    check(2, "receipts", |tx| tx.remove(&RECEIPTS, &(2, 1)).map(|_| ()));
    check(2, "receipts", |tx| {
        let receipt = tx.get(&RECEIPTS, &(2, 0))?.unwrap();
        tx.put(&RECEIPTS, &(2, 0), &Receipt { outcome: Outcome::NotPermitted, ..receipt })
    });
}

#[test]
fn damaged_indexes_log_head_and_checkpoint() {
    check(4, "index of anchors", |tx| tx.remove(&ANCHORS, &anchor(3).session).map(|_| ()));
    check(4, "index of anchors", |tx| tx.put(&ANCHORS, &anchor(3).session, &Place { height: 4, index: 0 }));
    check(4, "receipts", |tx| tx.put(&ANCHORS, &anchor(3).session, &Place { height: 1, index: 0 }));
    check(5, "no block accepted", |tx| tx.put(&ANCHORS, &anchor(77).session, &Place { height: 1, index: 0 }));
    check(3, "node 0 of level 2", |tx| tx.put(&LOG_NODES, &(2, 0), &[0; 32]));
    check(5, "head", |tx| {
        let head = tx.get(&HEAD, &ONLY)?.unwrap();
        tx.put(&HEAD, &ONLY, &HeadRow { hash: [0; 32], ..head })
    });
    check(0, "head is missing", |tx| tx.remove(&HEAD, &ONLY).map(|_| ()));
    check(5, "checkpoint", |tx| tx.put(&CHECKPOINT, &ONLY, &b"nothing".to_vec()));
}

#[test]
fn an_unreadable_head_is_found_at_once() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    test.grow(&[0], 0);
    let write = |tx: &mut WriteTx<'_>| tx.put(&HEAD_RAW, &ONLY, &vec![1]);
    test.chain().store().write_blocking(write).unwrap_or_else(|error: StoreError| panic!("{error}"));
    assert!(matches!(run(test.chain(), 10), Err(StepError::Fault(Fault { height: 0, .. }))));
}

#[test]
fn the_chain_may_grow_between_steps() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    test.grow(&[0, 2, 0], 0);
    let Step::More(cursor) = step(test.chain(), Cursor::new(), 2).unwrap() else { panic!("too fast") };
    test.grow(&[1, 0], 5);
    assert!(
        test.chain().store().read(|tx| tx.is_empty(&MEMPOOL)).unwrap_or_else(|error: StoreError| panic!("{error}"))
    );
    let Step::Valid { blocks } = step(test.chain(), cursor, 100).unwrap() else { panic!("too slow") };
    assert_eq!(blocks, 6);
}
