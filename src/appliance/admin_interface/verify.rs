//! The check of one session's anchor, as the appliance can make it itself. Pure.
//!
//! From the recording's root through transaction, block and certificate to the signed checkpoint, each step by its own
//! hashes and signatures. What it can't replace is a check without trust in the appliance: that is `lucid verify`.

use lucid_ports::{Evidence, Recording};
use lucid_proof::{
    block::{Outcome, Transaction, receipts_commitment, transactions_commitment, validators_hash},
    checkpoint::Checkpoint,
    export::Proof,
    hash::{Hash, Sha256},
    merkle,
    note::VerifierKey,
};

use super::format;

/// One step and what came of it.
pub(super) struct Check {
    pub(super) what: &'static str,
    /// What was found, or what is wrong.
    pub(super) outcome: Result<String, String>,
}

/// All steps, in the order in which trust travels. `key` is the one that signs checkpoints.
pub(super) fn check(recording: &Recording, evidence: Option<&Evidence>, key: &VerifierKey) -> Vec<Check> {
    let Some(Evidence { proof, checkpoint }) = evidence else {
        let outcome = Err("the recording is in no block yet: wait until it is anchored".to_owned());
        return vec![Check { what: "Anchor", outcome }];
    };
    vec![
        Check { what: "The anchor is this recording's", outcome: anchor(recording, proof) },
        Check { what: "The transaction is signed for this chain", outcome: signature(proof) },
        Check { what: "The block holds the transaction", outcome: inclusion(proof) },
        Check { what: "The chain accepted it", outcome: receipt(proof) },
        Check { what: "The validators signed the block", outcome: certificate(proof) },
        Check { what: "The signed checkpoint holds the block", outcome: log(proof, checkpoint, key) },
    ]
}

fn anchor(recording: &Recording, proof: &Proof) -> Result<String, String> {
    let Transaction::Anchor(anchor) = &proof.transaction.tx;
    let root = data_encoding::HEXLOWER.encode(&anchor.root);
    if anchor.session != recording.id.bytes() {
        return Err("it names another session".to_owned());
    }
    if recording.root.as_ref() != Some(&root) {
        return Err(format!("the chain has root {root}, the recording has another one"));
    }
    if anchor.chunks != recording.chunks {
        return Err(format!("the chain has {} chunks, the recording {}", anchor.chunks, recording.chunks));
    }
    let plural = if anchor.chunks == 1 { "" } else { "s" };
    Ok(format!("{} chunk{plural}, {}", anchor.chunks, format::bytes(anchor.bytes)))
}

fn signature(proof: &Proof) -> Result<String, String> {
    proof.transaction.verify(&proof.genesis.hash()).map_err(|error| error.to_string())?;
    Ok(format!("chain {}", proof.genesis.chain()))
}

fn inclusion(proof: &Proof) -> Result<String, String> {
    let root = implied_root(&proof.transaction.leaf(), proof, &proof.transaction_path)?;
    if transactions_commitment(proof.size, &root) != proof.header.tx_root {
        return Err("the transaction is not among those of the block".to_owned());
    }
    Ok(format!("block {}, transaction {} of {}", proof.header.height, proof.index + 1, proof.size))
}

fn receipt(proof: &Proof) -> Result<String, String> {
    let root = implied_root(&proof.receipt.leaf(), proof, &proof.receipt_path)?;
    if receipts_commitment(proof.size, &root) != proof.header.receipts_root {
        return Err("the block has another receipt".to_owned());
    }
    if proof.receipt.transaction != proof.transaction.id() {
        return Err("the receipt is another transaction's".to_owned());
    }
    match proof.receipt.outcome {
        Outcome::Anchored => Ok("anchored".to_owned()),
        Outcome::AlreadyAnchored => Err("the session had been anchored before by another transaction".to_owned()),
        Outcome::NotPermitted => Err("the sender had no right to anchor".to_owned()),
    }
}

fn implied_root(leaf: &Hash, proof: &Proof, path: &[Hash]) -> Result<Hash, String> {
    merkle::implied_root::<Sha256>(leaf, proof.index, proof.size, path).map_err(|error| error.to_string())
}

fn certificate(proof: &Proof) -> Result<String, String> {
    let validators = proof.genesis.validators();
    if proof.header.chain_id != proof.genesis.hash() || proof.header.validators != validators_hash(validators) {
        return Err("the block belongs to another chain or other validators".to_owned());
    }
    proof.certificate.verify(&proof.header.hash(), validators).map_err(|error| error.to_string())?;
    Ok(format!("{} of {}", proof.certificate.signatures.len(), validators.len()))
}

fn log(proof: &Proof, checkpoint: &str, key: &VerifierKey) -> Result<String, String> {
    let (checkpoint, _) = Checkpoint::open(checkpoint, std::slice::from_ref(key)).map_err(|error| error.to_string())?;
    if checkpoint.size != proof.log_size {
        return Err("the proof is for a log of another size".to_owned());
    }
    let (leaf, height) = (proof.header.log_leaf(), proof.header.height);
    merkle::verify_inclusion::<Sha256>(&leaf, height, checkpoint.size, &proof.log_path, &checkpoint.root)
        .map_err(|error| error.to_string())?;
    Ok(format!("{} blocks, signed as {}", checkpoint.size, checkpoint.origin))
}
