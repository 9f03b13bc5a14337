//! Proofs are checked by what outsiders use.

use lucid_proof::{
    block::{Transaction, receipts_commitment, transactions_commitment},
    checkpoint::compare,
    hash::TreeHash,
    merkle::{implied_root, verify_consistency, verify_inclusion},
    note,
};
use tempfile::tempdir;

use super::*;
use crate::tests::{TestChain, anchor, key};

fn open(chain: &ChainStore, note: &str) -> Checkpoint {
    Checkpoint::open(note, std::slice::from_ref(chain.key())).unwrap().0
}

#[test]
fn every_header_is_proved_and_every_growth_is_consistent() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let chain = test.chain();
    let mut heads = vec![open(chain, &chain.checkpoint().unwrap())];
    for _ in 0..20 {
        test.grow(&[0], 0);
        heads.push(open(chain, &chain.checkpoint().unwrap()));
        let head = heads.last().unwrap();
        for height in 0..head.size {
            let proof = chain.log_proof(height).unwrap();
            let leaf = Sha256::leaf(&chain.block(height).unwrap().unwrap().header.encode());
            assert_eq!(open(chain, &proof.checkpoint), *head);
            verify_inclusion::<Sha256>(&leaf, height, proof.size, &proof.path, &head.root).unwrap();
        }
    }
    for (old, new) in heads.iter().flat_map(|old| heads.iter().map(move |new| (old, new))) {
        match chain.consistency(old.size, new.size) {
            Ok(path) => compare(old, new, &path).unwrap(),
            Err(error) => assert!(old.size > new.size && matches!(error, ReadError::OutOfRange(_))),
        }
    }
    let empty = chain.consistency(0, 5).unwrap();
    verify_consistency::<Sha256>(0, 5, &empty, &Sha256::empty(), &heads[4].root).unwrap();
    assert!(matches!(chain.consistency(3, 22), Err(ReadError::OutOfRange(_))));
    assert!(matches!(chain.log_proof(21), Err(ReadError::OutOfRange(_))));
}

#[test]
fn evidence_leads_from_the_anchor_to_the_checkpoint() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    let chain = test.chain();
    let before = chain.checkpoint().unwrap();
    test.grow(&[0, 5], 0);
    let between = chain.checkpoint().unwrap();
    test.grow(&[2, 0, 0], 5);
    assert!(chain.evidence(&anchor(99).session, &[]).unwrap().is_none());

    let also = [before, between.clone()];
    let Evidence { proof, checkpoint } = chain.evidence(&anchor(3).session, &also).unwrap().unwrap();
    let Transaction::Anchor(proved) = &proof.transaction.tx;
    assert_eq!((proved, proof.index, proof.size), (&anchor(3), 3, 5));
    let root = implied_root::<Sha256>(&proof.transaction.leaf(), 3, 5, &proof.transaction_path).unwrap();
    assert_eq!(transactions_commitment(5, &root), proof.header.tx_root);
    let root = implied_root::<Sha256>(&proof.receipt.leaf(), 3, 5, &proof.receipt_path).unwrap();
    assert_eq!(receipts_commitment(5, &root), proof.header.receipts_root);
    proof.certificate.verify(&proof.header.hash(), chain.genesis().validators()).unwrap();
    let head = open(chain, &checkpoint);
    let leaf = proof.header.log_leaf();
    verify_inclusion::<Sha256>(&leaf, 2, head.size, &proof.log_path, &head.root).unwrap();
    let [also] = &proof.also[..] else { panic!("the checkpoint before the block must be left out") };
    assert_eq!(also.checkpoint, between);
    let trusted = open(chain, &between);
    verify_inclusion::<Sha256>(&leaf, 2, trusted.size, &also.path, &trusted.root).unwrap();
    assert_eq!(Proof::parse(&proof.encode().unwrap()).unwrap(), proof);
}

#[test]
fn further_checkpoints_must_be_of_this_chain() {
    let dir = tempdir().unwrap();
    let test = TestChain::begin(dir.path());
    test.grow(&[1, 0], 0);
    let signer = |seed| note::Signer::new("test/chain", key(seed)).unwrap();
    let forked = Checkpoint { origin: "test/chain".to_owned(), size: 2, root: [0; 32], extensions: vec![] };
    let future = Checkpoint { size: 9, ..forked.clone() };
    let cases = [
        "nonsense".to_owned(),
        forked.sign(&[&signer(2)]).unwrap(),
        forked.sign(&[&signer(1)]).unwrap(),
        future.sign(&[&signer(1)]).unwrap(),
    ];
    for note in cases {
        let refused = test.chain().evidence(&anchor(0).session, std::slice::from_ref(&note));
        assert!(matches!(refused, Err(ReadError::OutOfRange(_))), "{note}");
    }
    let many = vec![test.chain().checkpoint().unwrap(); ALSO_MAX + 1];
    assert!(matches!(test.chain().evidence(&anchor(0).session, &many), Err(ReadError::OutOfRange(_))));
}
