//! The small files: manifest, proof and checkpoint, and everything that binds them to each other.
//!
//! A check runs only where what it rests on holds, so that damage to one file is not blamed on another.

use super::report::Findings;
use super::{Expected, Files, Place, read_text};
use crate::block::{self, Anchor, Outcome, Transaction};
use crate::checkpoint::Checkpoint;
use crate::export::{self, Proof};
use crate::hash::{Hash, Sha256, sha256};
use crate::manifest::Manifest;
use crate::merkle;
use crate::note::{self, Unverified, VerifierKey};

/// What the small files say, as far as they can be read and hold.
pub(super) struct Evidence {
    pub(super) manifest: Option<Manifest>,
    pub(super) proof: Option<Proof>,
    /// The export's checkpoint, once its signatures were checked.
    pub(super) checkpoint: Option<Opened>,
    /// Whether the header commits to the proof's transaction.
    anchored: bool,
}

/// A checkpoint that only validators signed.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) checkpoint: Checkpoint,
    pub(super) signers: Vec<VerifierKey>,
}

impl Evidence {
    /// Reads and checks the small files.
    pub(super) fn read(files: &dyn Files, names: &[String], findings: &mut Findings) -> Self {
        let manifest = read_text(files, names, export::MANIFEST, Place::Manifest, findings);
        let proof = read_text(files, names, export::PROOF, Place::Proof("form"), findings);
        let checkpoint = read_text(files, names, export::CHECKPOINT, Place::Checkpoint, findings);
        let proof = proof.and_then(|text| read_proof(&text, findings));
        let Some(proof) = proof else {
            let manifest = manifest.and_then(|note| read_manifest(&note, findings));
            if let Some(note) = checkpoint {
                read_checkpoint(&note, findings);
            }
            return Self { manifest, proof: None, checkpoint: None, anchored: false };
        };
        let checkpoint = checkpoint.and_then(|note| check_checkpoint(&note, &proof, findings));
        check_log(&proof, checkpoint.as_ref().map(|opened| &opened.checkpoint), findings);
        check_validators(&proof, findings);
        let anchored = check_transaction(&proof, findings);
        let manifest = manifest.and_then(|note| check_manifest(&note, &proof, anchored, findings));
        Self { manifest, proof: Some(proof), checkpoint, anchored }
    }

    /// What the chunks must amount to: the anchor's word counts for more than the manifest's.
    pub(super) fn expected(&self) -> Option<Expected> {
        match (&self.proof, &self.manifest) {
            (Some(proof), _) if self.anchored => Some(Expected::of_transaction(&proof.transaction.tx)),
            (_, Some(manifest)) => Some(Expected::of_manifest(manifest)),
            _ => None,
        }
    }
}

fn read_proof(text: &str, findings: &mut Findings) -> Option<Proof> {
    match Proof::parse(text) {
        Ok(proof) => Some(proof),
        Err(error) => {
            findings.error(Place::Proof(error.part()), &error);
            None
        }
    }
}

/// The manifest without a key to check it by.
fn read_manifest(note: &str, findings: &mut Findings) -> Option<Manifest> {
    let note = Unverified::parse(note).map_err(|error| findings.error(Place::Manifest, &error)).ok()?;
    Manifest::parse(note.text).map_err(|error| findings.error(Place::Manifest, &error)).ok()
}

/// The checkpoint without keys to check it by: only its form.
fn read_checkpoint(note: &str, findings: &mut Findings) {
    match Unverified::parse(note).map(|note| Checkpoint::parse(note.text)) {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => findings.error(Place::Checkpoint, &error),
        Err(error) => findings.error(Place::Checkpoint, &error),
    }
}

/// Whether the proof's genesis is the beginning of the header's chain and names its validators.
fn genesis_holds(proof: &Proof) -> bool {
    proof.genesis.hash() == proof.header.chain_id
        && block::validators_hash(proof.genesis.validators()) == proof.header.validators
}

/// Opens the checkpoint with the validators' keys; without a genesis that holds there are none.
fn check_checkpoint(note: &str, proof: &Proof, findings: &mut Findings) -> Option<Opened> {
    if !genesis_holds(proof) {
        read_checkpoint(note, findings);
        return None;
    }
    match open_checkpoint(note, proof) {
        Ok(opened) => Some(opened),
        Err(problem) => {
            findings.wrong(Place::Checkpoint, problem);
            None
        }
    }
}

/// Opens a checkpoint that only validators may have signed, under the chain's name.
pub(super) fn open_checkpoint(note: &str, proof: &Proof) -> Result<Opened, String> {
    let chain = proof.genesis.chain();
    let keys: Result<Vec<_>, _> =
        proof.genesis.validators().iter().map(|key| VerifierKey::from_bytes(chain, key)).collect();
    let keys = keys.map_err(|error| lucid_error::chain(&error))?;
    let (checkpoint, opened) = Checkpoint::open(note, &keys).map_err(|error| lucid_error::chain(&error))?;
    if let Some(name) = opened.unknown.first() {
        return Err(format!("has a signature by `{name}`, which is no validator of this chain"));
    }
    // The keys bear the chain's name and so does the origin, or the checkpoint would not have opened.
    Ok(Opened { checkpoint, signers: opened.verified_by })
}

/// The header's place in the log.
fn check_log(proof: &Proof, checkpoint: Option<&Checkpoint>, findings: &mut Findings) {
    let Some(checkpoint) = checkpoint else { return };
    if let Err(problem) = check_path(proof, checkpoint, &proof.log_path) {
        findings.wrong(Place::Proof("log"), problem);
    }
    if checkpoint.size != proof.log_size {
        findings.wrong(Place::Proof("log"), "has another size than the checkpoint".to_owned());
    }
}

/// That the header is of this chain, that its validators made it final, and that further checkpoints have it.
fn check_validators(proof: &Proof, findings: &mut Findings) {
    let header = &proof.header;
    if !genesis_holds(proof) {
        findings.wrong(Place::Proof("genesis"), "is not the genesis of the header's chain and validators".to_owned());
        return;
    }
    if let Err(error) = proof.certificate.verify(&header.hash(), proof.genesis.validators()) {
        findings.error(Place::Proof("certificate"), &error);
    }
    if !proof.genesis.validators().contains(&header.proposer) {
        findings.wrong(Place::Proof("header"), "was proposed by a key that is not a validator".to_owned());
    }
    for also in &proof.also {
        let checked = open_checkpoint(&also.checkpoint, proof)
            .and_then(|opened| check_path(proof, &opened.checkpoint, &also.path));
        if let Err(problem) = checked {
            findings.wrong(Place::Proof("also"), problem);
        }
    }
}

fn check_path(proof: &Proof, checkpoint: &Checkpoint, path: &[Hash]) -> Result<(), String> {
    let header = &proof.header;
    merkle::verify_inclusion::<Sha256>(&header.log_leaf(), header.height, checkpoint.size, path, &checkpoint.root)
        .map_err(|error| format!("does not lead from the header to the checkpoint: {error}"))
}

/// The transaction and its receipt; true if the header commits to the transaction.
fn check_transaction(proof: &Proof, findings: &mut Findings) -> bool {
    let transaction = &proof.transaction;
    let root = implied_root(&transaction.leaf(), proof, &proof.transaction_path);
    let included = root.map(|root| block::transactions_commitment(proof.size, &root)) == Ok(proof.header.tx_root);
    if !included {
        findings.wrong(Place::Proof("transaction"), "is not among the transactions of the header".to_owned());
    }
    if let Err(error) = transaction.verify(&proof.header.chain_id) {
        findings.error(Place::Proof("transaction"), &error);
    }
    if genesis_holds(proof) && !proof.genesis.validators().contains(&transaction.sender) {
        findings.wrong(Place::Proof("transaction"), "was sent by a key that is not a validator".to_owned());
    }
    check_receipt(proof, findings);
    included
}

fn check_receipt(proof: &Proof, findings: &mut Findings) {
    let receipt = &proof.receipt;
    let mut wrong = |problem: &str| findings.wrong(Place::Proof("receipt"), problem.to_owned());
    let root = implied_root(&receipt.leaf(), proof, &proof.receipt_path);
    if root.map(|root| block::receipts_commitment(proof.size, &root)) != Ok(proof.header.receipts_root) {
        wrong("is not among the receipts of the header");
    }
    if receipt.transaction != proof.transaction.id() {
        wrong("is for another transaction");
    }
    match receipt.outcome {
        Outcome::Anchored => {}
        Outcome::AlreadyAnchored => wrong("says that the session had been anchored before: this anchor is void"),
        Outcome::NotPermitted => wrong("says that the chain refused the anchor"),
    }
}

fn implied_root(leaf: &Hash, proof: &Proof, path: &[Hash]) -> Result<Hash, merkle::MerkleError> {
    merkle::implied_root::<Sha256>(leaf, proof.index, proof.size, path)
}

/// The manifest against the anchor, if the anchor holds; otherwise only its form.
fn check_manifest(note: &str, proof: &Proof, anchored: bool, findings: &mut Findings) -> Option<Manifest> {
    let Transaction::Anchor(anchor) = &proof.transaction.tx;
    if !anchored {
        return read_manifest(note, findings);
    }
    if sha256(&[note.as_bytes()]) != anchor.manifest {
        findings.wrong(Place::Manifest, "is not the manifest that was anchored: its SHA-256 differs".to_owned());
        return None;
    }
    if let Err(problem) = check_signature(note, &proof.transaction.sender) {
        findings.wrong(Place::Manifest, problem);
    }
    let manifest = read_manifest(note, findings)?;
    if let Some(field) = first_difference(&manifest, anchor) {
        let problem = format!("says something else about `{field}` than the manifest it anchors");
        findings.wrong(Place::Proof("transaction"), problem);
    }
    Some(manifest)
}

/// The manifest must bear one signature: by the sender of the anchor, under whatever name.
fn check_signature(note: &str, sender: &[u8; 32]) -> Result<(), String> {
    let text = |error| lucid_error::chain(&error);
    let unverified = Unverified::parse(note).map_err(text)?;
    let mut names = unverified.names();
    let (Some(name), None) = (names.next(), names.next()) else {
        return Err("has more than one signature".to_owned());
    };
    let key = VerifierKey::from_bytes(name, sender).map_err(text)?;
    note::open(note, &[key])
        .map(|_| ())
        .map_err(|error| format!("is not signed by the key that anchored it: {}", lucid_error::chain(&error)))
}

fn first_difference(manifest: &Manifest, anchor: &Anchor) -> Option<&'static str> {
    let fields = [
        ("id", manifest.id == anchor.session),
        ("root", manifest.root == anchor.root),
        ("chunks", manifest.chunks == anchor.chunks),
        ("bytes", manifest.bytes == anchor.bytes),
        ("started", manifest.started_ms == anchor.started_ms),
        ("ended", manifest.ended_ms == anchor.ended_ms),
    ];
    fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
