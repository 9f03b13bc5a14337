//! The state machine on its own.

use std::convert::Infallible;

use lucid_proof::block::TransactionError;

use super::*;
use crate::tests::{anchor, key, other_anchor};

const CHAIN: Hash = [3; 32];

/// Sessions that earlier blocks anchored.
struct Known(Vec<[u8; 16]>);

impl KnownAnchors for Known {
    type Error = Infallible;

    fn is_anchored(&self, session: &[u8; 16]) -> Result<bool, Infallible> {
        Ok(self.0.contains(session))
    }
}

fn sign(anchor: lucid_proof::block::Anchor, seed: u8) -> SignedTransaction {
    SignedTransaction::sign(Transaction::Anchor(anchor), &CHAIN, &key(seed))
}

fn apply(state: &State, known: &Known, transactions: &[SignedTransaction]) -> Result<Applied, ApplyError<Infallible>> {
    let permitted = [key(1).verifying_key().to_bytes()];
    state.apply(Context { chain_id: &CHAIN, permitted: &permitted }, known, transactions)
}

#[test]
fn receipts_tell_what_came_of_each_transaction() {
    let known = Known(vec![anchor(5).session]);
    let transactions = [
        sign(anchor(1), 1),
        sign(anchor(1), 1),
        sign(other_anchor(1), 1),
        sign(anchor(2), 2),
        sign(anchor(2), 1),
        sign(anchor(5), 1),
    ];
    let applied = apply(&State::new(), &known, &transactions).unwrap();
    let outcomes: Vec<_> = applied.receipts.iter().map(|receipt| receipt.outcome).collect();
    use Outcome::{AlreadyAnchored as Already, Anchored, NotPermitted};
    assert_eq!(outcomes, [Anchored, Already, Already, NotPermitted, Anchored, Already]);
    assert_eq!(applied.state.anchors(), 2);
    for (receipt, transaction) in applied.receipts.iter().zip(&transactions) {
        assert_eq!(receipt.transaction, transaction.id());
    }
}

#[test]
fn one_bad_signature_and_nothing_is_applied() {
    let mut forged = sign(anchor(2), 1);
    forged.signature[0] ^= 1;
    let error = apply(&State::new(), &Known(vec![]), &[sign(anchor(1), 1), forged]).unwrap_err();
    assert_eq!(error, ApplyError::Signature { index: 1, source: TransactionError::Signature });
}

#[test]
fn the_root_is_the_documented_one() {
    let empty = sha256(&[]);
    let expected = sha256(&[b"lucid.state/v1\n", &[0, 1], &[0, 1], &empty]);
    assert_eq!(State::new().root(), expected);

    let (first, second) = (sign(anchor(1), 1), sign(anchor(2), 1));
    let state = apply(&State::new(), &Known(vec![]), &[first.clone(), second.clone()]).unwrap().state;
    let node = sha256(&[&[1], &sha256(&[&[0], &first.encode()]), &sha256(&[&[0], &second.encode()])]);
    assert_eq!(state.root(), sha256(&[b"lucid.state/v1\n", &[0, 1], &[0, 1], &node]));
}

#[test]
fn how_transactions_fall_into_blocks_does_not_change_the_state() {
    let transactions: Vec<_> = (0..20).map(|number| sign(anchor(number), 1)).collect();
    let whole = apply(&State::new(), &Known(vec![]), &transactions).unwrap().state;
    let mut split = State::new();
    for part in transactions.chunks(3) {
        split = apply(&split, &Known(vec![]), part).unwrap().state;
    }
    assert_eq!(split, whole);
    assert_eq!(State::from_parts(whole.anchors(), whole.anchor_peaks().to_vec()).unwrap(), whole);
    State::from_parts(whole.anchors() + 1, whole.anchor_peaks().to_vec()).unwrap_err();
}
