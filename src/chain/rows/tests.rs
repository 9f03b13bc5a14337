//! Every row comes back as it was, and nothing else is taken for a row.

use super::*;
use crate::{
    ordering::{Draft, Ordering, SingleSigner},
    tests::{at, key},
};

fn check<T: Layout + PartialEq + std::fmt::Debug>(item: &T) {
    let bytes = item.to_bytes().unwrap();
    assert_eq!(&T::from_bytes(&bytes).unwrap(), item);
    for length in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..length]).is_err(), "{length} of {} bytes were accepted", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(T::from_bytes(&longer).is_err(), "a trailing byte was accepted");
}

#[test]
fn rows_survive_and_garbage_does_not() {
    check(&Place { height: 1 << 40, index: 3 });
    check(&[5_u8; 32]);
    check(&77_u64);
    let signer = SingleSigner::new(key(1));
    let header = signer.propose(Draft {
        chain_id: [1; 32],
        height: 3,
        parent: [2; 32],
        time: at(0),
        tx_root: [3; 32],
        receipts_root: [4; 32],
        state_root: [5; 32],
    });
    let certificate = signer.certify(&header).unwrap();
    check(&SealedHeader { header, certificate, transactions: 12 });
}

#[test]
fn the_head_survives_at_every_shape_of_its_trees() {
    let mut log = Frontier::new();
    for height in 0..40_u64 {
        log.push([u8::try_from(height).unwrap(); 32]);
        let peaks = vec![[9; 32]; (height * 3).count_ones() as usize];
        let state = State::from_parts(height * 3, peaks).unwrap();
        check(&HeadRow { height, hash: [6; 32], log: log.clone(), state });
    }
}

#[test]
fn a_head_without_successor_is_refused() {
    let bytes = [&u64::MAX.to_be_bytes()[..], &[0; 32], &[0; 8]].concat();
    assert!(HeadRow::from_bytes(&bytes).is_err());
}
