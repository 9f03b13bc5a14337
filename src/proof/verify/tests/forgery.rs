//! Forgeries: exports that somebody made on purpose, with keys of their own or with parts of honest ones.

use super::*;
use crate::block::{Anchor, Outcome, Receipt};
use crate::export::{CHECKPOINT, MANIFEST};
use crate::fixture::{CHAIN, Chain, key, resign, signer};
use crate::note::Signer;

fn honest() -> Export {
    Recipe::new(1).export()
}

/// An export that another key made from start to end, under the same names.
fn forged() -> Export {
    let mut recipe = Recipe::new(66);
    recipe.chunks[0] = b"what never happened".to_vec();
    recipe.export()
}

#[test]
fn a_complete_forgery_is_wrong_to_who_knows_the_key() {
    let report = check(&forged(), &key_of(&honest()));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, transaction".to_owned()]));
    assert_eq!(check(&forged(), &Trust::None).verdict, Verdict::ConsistentUntrusted);
}

#[test]
fn parts_of_a_forgery_do_not_fit_an_honest_export() {
    for name in
        honest().files.keys().filter(|name| *name != "chunks/00000001.chunk" && *name != "chunks/00000002.chunk")
    {
        let mut mixed = honest();
        *mixed.file(name) = forged().files[name].clone();
        let report = check(&mixed, &key_of(&honest()));
        assert_eq!(report.verdict, Verdict::Wrong, "{name}");
    }
}

#[test]
fn a_key_for_another_chain_does_not_vouch() {
    let other = Trust::Key(Signer::new("another-chain", key(1)).unwrap().verifier().clone());
    let report = check(&honest(), &other);
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, genesis".to_owned()]));
}

#[test]
fn a_manifest_signed_by_another_key_is_wrong_even_if_anchored() {
    let recipe = Recipe::new(1);
    let manifest = recipe.manifest();
    let note = manifest.sign(&signer("recorder", 66)).unwrap();
    let anchor = Recipe::anchor(&manifest, &note);
    let report = check(&recipe.export_with(note, anchor), &Trust::None);
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["manifest".to_owned()]));
}

#[test]
fn a_resigned_manifest_is_not_the_anchored_one() {
    let mut export = honest();
    let note = resign(&export.text(MANIFEST), "another-name", 1);
    *export.file(MANIFEST) = note.into_bytes();
    let report = check(&export, &key_of(&honest()));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["manifest".to_owned()]));
}

#[test]
fn an_anchor_that_contradicts_its_manifest_is_wrong() {
    type Bend = fn(&mut Anchor);
    let fields: [(&str, Bend); 5] = [
        ("id", |anchor| anchor.session[0] ^= 1),
        ("chunks", |anchor| anchor.chunks -= 1),
        ("bytes", |anchor| anchor.bytes += 1),
        ("started", |anchor| anchor.started_ms += 1),
        ("ended", |anchor| anchor.ended_ms += 1),
    ];
    for (field, bend) in fields {
        let recipe = Recipe::new(1);
        let note = recipe.manifest().sign(&signer("recorder", 1)).unwrap();
        let mut anchor = Recipe::anchor(&recipe.manifest(), &note);
        bend(&mut anchor);
        let report = check(&recipe.export_with(note, anchor), &Trust::None);
        assert_eq!(report.verdict, Verdict::Wrong, "{field}");
        let named = report.findings.iter().any(|finding| finding.problem.contains(&format!("`{field}`")));
        assert!(named, "{field}: {report:?}");
    }
}

#[test]
fn an_anchor_that_the_chain_refused_is_wrong() {
    for outcome in [Outcome::AlreadyAnchored, Outcome::NotPermitted] {
        let mut recipe = Recipe::new(1);
        recipe.outcome = outcome;
        let export = recipe.export();
        let report = check(&export, &key_of(&export));
        assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, receipt".to_owned()]));
    }
}

#[test]
fn a_receipt_of_another_transaction_is_wrong() {
    let mut export = honest();
    let mut proof = export.proof();
    proof.receipt = Receipt { transaction: [0; 32], outcome: Outcome::Anchored };
    export.set_proof(&proof);
    let report = check(&export, &key_of(&honest()));
    assert_eq!(places(&report), ["proof.json, receipt", "proof.json, receipt"]);
}

#[test]
fn an_anchor_by_somebody_who_is_no_validator_is_wrong() {
    let mut recipe = Recipe::new(1);
    recipe.sender = 66;
    let report = check(&recipe.export(), &Trust::None);
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, transaction".to_owned()]));
}

#[test]
fn rules_that_validators_broke_together_are_found() {
    type Break = fn(&mut Recipe);
    let table: [(&str, Break); 3] = [
        ("transaction", |recipe| recipe.bend_transaction = |transaction| transaction.signature[0] ^= 1),
        ("header", |recipe| recipe.bend_header = |header| header.proposer[0] ^= 1),
        ("genesis", |recipe| recipe.bend_header = |header| header.validators[0] ^= 1),
    ];
    for (part, break_rule) in table {
        let mut recipe = Recipe::new(1);
        break_rule(&mut recipe);
        let report = check(&recipe.export(), &Trust::None);
        assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec![format!("proof.json, {part}")]));
    }
}

#[test]
fn another_validators_recording_is_not_the_trusted_ones() {
    let mut recipe = Recipe::new(2);
    recipe.chain = Chain::new(CHAIN, &[1, 2]);
    let export = recipe.export();
    let report = check(&export, &key_of(&honest()));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, transaction".to_owned()]));
    assert_eq!(check(&export, &Trust::None).verdict, Verdict::ConsistentUntrusted);
}

#[test]
fn a_checkpoint_that_the_trusted_validator_did_not_sign_is_wrong() {
    let mut recipe = Recipe::new(1);
    recipe.chain = Chain::new(CHAIN, &[1, 2, 3]);
    let mut export = recipe.export();
    let size = export.proof().log_size;
    let note = export.chain.checkpoint(size).sign(&[&signer(CHAIN, 2)]).unwrap();
    *export.file(CHECKPOINT) = note.into_bytes();
    let report = check(&export, &key_of(&honest()));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["checkpoint".to_owned()]));
}

#[test]
fn a_checkpoint_of_another_log_by_the_same_key_is_wrong() {
    let mut export = honest();
    let mut checkpoint = export.chain.checkpoint(export.proof().log_size);
    checkpoint.origin = "another-chain".to_owned();
    *export.file(CHECKPOINT) = checkpoint.sign(&[&signer("another-chain", 1)]).unwrap().into_bytes();
    let report = check(&export, &key_of(&honest()));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["checkpoint".to_owned()]));
}

#[test]
fn a_checkpoint_of_another_size_needs_its_own_path() {
    for size in [3, 4, 6] {
        let mut export = honest();
        export.chain.grow_to(6);
        *export.file(CHECKPOINT) = export.chain.sign_checkpoint(size).into_bytes();
        let report = check(&export, &key_of(&honest()));
        assert_eq!(report.verdict, Verdict::Wrong);
        assert!(places(&report).iter().all(|place| place == "proof.json, log"), "{report:?}");
    }
}

#[test]
fn a_size_that_shares_its_path_with_another_is_found() {
    // Leaf 0 of 6 has the same path as leaf 0 of 7; only the header's commitment tells them apart.
    let mut recipe = Recipe::new(1);
    recipe.others = (0, 5);
    let mut export = recipe.export();
    let mut proof = export.proof();
    assert_eq!(proof.size, 6);
    proof.size = 7;
    export.set_proof(&proof);
    let report = check(&export, &key_of(&honest()));
    assert_eq!(places(&report), ["proof.json, transaction", "proof.json, receipt"]);
}
