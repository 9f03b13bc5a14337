//! The check of an anchor: a chain of one block made by hand, and everything that can be wrong with it.

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use lucid_ports::{Evidence, Recording};
use lucid_proof::{
    block::{
        Anchor, Certificate, Genesis, Header, Outcome, Receipt, SignedTransaction, Transaction, receipts_root,
        transactions_root, validators_hash,
    },
    checkpoint::Checkpoint,
    export::Proof,
    note::{Signer, VerifierKey},
    time::{TimeTrust, Timestamp},
};

use super::{
    super::verify::check,
    fakes::{NOW_MS, recording},
};

const CHAIN: &str = "lucid-test/chain";

fn made() -> (Recording, Evidence, VerifierKey) {
    let recording = recording("talk", "bob");
    let key = SigningKey::from_bytes(&[7; 32]);
    let public = key.verifying_key().to_bytes();
    let time = Timestamp { unix_ms: NOW_MS, trust: TimeTrust::Synchronized };
    let genesis = Genesis::new(CHAIN, vec![public], time).unwrap();
    let anchor = Anchor {
        session: recording.id.bytes(),
        root: [0xab; 32],
        manifest: [1; 32],
        chunks: recording.chunks,
        bytes: recording.durable_bytes,
        started_ms: NOW_MS,
        ended_ms: NOW_MS + 5000,
    };
    let transaction = SignedTransaction::sign(Transaction::Anchor(anchor), &genesis.hash(), &key);
    let receipt = Receipt { transaction: transaction.id(), outcome: Outcome::Anchored };
    let header = Header {
        chain_id: genesis.hash(),
        height: 0,
        parent: [0; 32],
        time,
        tx_root: transactions_root(std::slice::from_ref(&transaction)),
        receipts_root: receipts_root(&[receipt]),
        state_root: [2; 32],
        validators: validators_hash(genesis.validators()),
        proposer: public,
    };
    let certificate = Certificate::from_signatures(vec![Certificate::sign(&header.hash(), &key)]);
    let signer = Signer::new(CHAIN, key).unwrap();
    let checkpoint = Checkpoint { origin: CHAIN.to_owned(), size: 1, root: header.log_leaf(), extensions: Vec::new() };
    let checkpoint = checkpoint.sign(&[&signer]).unwrap();
    let proof = Proof {
        genesis,
        transaction,
        index: 0,
        size: 1,
        transaction_path: Vec::new(),
        receipt,
        receipt_path: Vec::new(),
        header,
        certificate,
        log_size: 1,
        log_path: Vec::new(),
        also: Vec::new(),
    };
    (recording, Evidence { proof, checkpoint }, signer.verifier().clone())
}

fn failed(recording: &Recording, evidence: &Evidence, key: &VerifierKey) -> Vec<&'static str> {
    let checks = check(recording, Some(evidence), key);
    assert_eq!(checks.len(), 6);
    checks.into_iter().filter(|check| check.outcome.is_err()).map(|check| check.what).collect()
}

#[test]
fn a_good_anchor_passes_every_check() {
    let (recording, evidence, key) = made();
    assert_eq!(recording.root, Some(HEXLOWER.encode(&[0xab; 32])));
    assert_eq!(failed(&recording, &evidence, &key), [""; 0]);
}

#[test]
fn without_evidence_nothing_is_proven() {
    let (recording, _, key) = made();
    let checks = check(&recording, None, &key);
    assert!(checks.len() == 1 && checks[0].outcome.is_err());
}

type Change = fn(&mut Recording, &mut Evidence);

#[test]
fn every_falsehood_is_found_where_it_is() {
    const ANCHOR: &str = "The anchor is this recording's";
    const SIGNED: &str = "The transaction is signed for this chain";
    const HELD: &str = "The block holds the transaction";
    const ACCEPTED: &str = "The chain accepted it";
    const FINAL: &str = "The validators signed the block";
    const LOGGED: &str = "The signed checkpoint holds the block";
    let table: [(Change, &[&str]); 9] = [
        (|recording, _| recording.root = Some("00".repeat(32)), &[ANCHOR]),
        (|recording, _| recording.root = None, &[ANCHOR]),
        (|recording, _| recording.chunks += 1, &[ANCHOR]),
        (|recording, _| recording.id = lucid_ports::SessionId::generate(), &[ANCHOR]),
        (|_, evidence| evidence.proof.transaction.signature[0] ^= 1, &[SIGNED, HELD, ACCEPTED]),
        (|_, evidence| evidence.proof.receipt.outcome = Outcome::AlreadyAnchored, &[ACCEPTED]),
        (|_, evidence| evidence.proof.certificate = Certificate::default(), &[FINAL]),
        (|_, evidence| evidence.proof.header.state_root[0] ^= 1, &[FINAL, LOGGED]),
        (|_, evidence| evidence.checkpoint = evidence.checkpoint.replace("\n1\n", "\n2\n"), &[LOGGED]),
    ];
    for (index, (change, expected)) in table.into_iter().enumerate() {
        let (mut recording, mut evidence, key) = made();
        change(&mut recording, &mut evidence);
        assert_eq!(failed(&recording, &evidence, &key), expected, "case {index}");
    }
}

#[test]
fn a_checkpoint_by_another_key_is_not_believed() {
    let (recording, evidence, _) = made();
    let stranger = Signer::new(CHAIN, SigningKey::from_bytes(&[8; 32])).unwrap();
    assert_eq!(failed(&recording, &evidence, stranger.verifier()), ["The signed checkpoint holds the block"]);
}
