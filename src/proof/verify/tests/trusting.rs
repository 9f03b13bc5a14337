//! What vouches for an export and what does not: keys, checkpoints, further checkpoints, consistency paths.

use data_encoding::BASE64;

use super::*;
use crate::fixture::{CHAIN, Chain, resign, signer};

/// An export at height 2 with checkpoints of 5 and 3 headers, from a chain that has 9.
fn export() -> Export {
    let mut export = Recipe::new(1).export();
    export.chain.grow_to(9);
    export
}

fn verdict(export: &Export, trust: &str) -> Verdict {
    check(export, &Trust::parse(trust).unwrap()).verdict
}

fn consistency(export: &Export, old: u64, new: u64) -> String {
    let path = export.chain.consistency(old, new);
    path.iter().map(|hash| format!("consistency {}\n", BASE64.encode(hash))).collect()
}

#[test]
fn the_appliances_key_vouches() {
    let export = export();
    let key = export.chain.verifier().to_string();
    for text in [key.clone(), format!("{key}\n")] {
        assert_eq!(Trust::parse(&text).unwrap(), key_of(&export));
        assert_eq!(verdict(&export, &text), Verdict::Proven);
    }
}

#[test]
fn the_exports_own_and_further_checkpoints_vouch() {
    let export = export();
    for size in [5, 3] {
        let note = export.chain.sign_checkpoint(size);
        assert_eq!(verdict(&export, &note), Verdict::Proven, "{size}");
        assert_eq!(verdict(&export, &format!("key {}\n{note}", export.chain.verifier())), Verdict::Proven, "{size}");
        // Who signed does not matter where the text itself is trusted.
        assert_eq!(verdict(&export, &resign(&note, "newspaper", 9)), Verdict::Proven, "{size}");
    }
}

#[test]
fn other_checkpoints_vouch_by_consistency_only() {
    let export = export();
    for (size, path) in [(9, consistency(&export, 5, 9)), (4, consistency(&export, 4, 5))] {
        let note = export.chain.sign_checkpoint(size);
        let report = check(&export, &Trust::parse(&note).unwrap());
        assert_eq!(report.verdict, Verdict::ConsistentUntrusted, "{size}");
        assert_eq!(report.doubt, Some(Doubt::NotConnected { trusted: size, exported: 5 }));
        assert_eq!(verdict(&export, &format!("{path}{note}")), Verdict::Proven, "{size}");
        let key = export.chain.verifier();
        for text in [note.clone(), format!("key {key}\n{note}"), format!("key {key}\n{path}{note}")] {
            let Ok(Trust::Checkpoint(trusted)) = Trust::parse(&text) else { panic!("{text}") };
            assert_eq!(trusted.note(), note);
            let (old, new) = (size.min(5), size.max(5));
            let connected = trusted.with_consistency(&export.chain.consistency(old, new));
            assert_eq!(connected, text.replace(&path, "").replace(&note, &format!("{path}{note}")));
            assert_eq!(verdict(&export, &connected), Verdict::Proven, "{size}");
        }
        assert_eq!(verdict(&export, &format!("key {key}\n{path}{note}")), Verdict::Proven, "{size}");
        let wrong = consistency(&export, 6, 9);
        assert_eq!(verdict(&export, &format!("{wrong}{note}")), Verdict::Wrong, "{size}");
    }
}

#[test]
fn a_checkpoint_from_before_the_block_says_nothing_about_it() {
    let export = export();
    for size in [1, 2] {
        let text = format!("{}{}", consistency(&export, size, 5), export.chain.sign_checkpoint(size));
        let report = check(&export, &Trust::parse(&text).unwrap());
        assert_eq!(report.verdict, Verdict::ConsistentUntrusted);
        assert_eq!(report.doubt, Some(Doubt::TooOld { trusted: size, height: 2 }));
    }
}

#[test]
fn a_fork_is_found() {
    let export = export();
    let mut fork = Chain::new(CHAIN, &[1]);
    fork.grow_to(9);
    for size in [3, 5] {
        assert_eq!(verdict(&export, &fork.sign_checkpoint(size)), Verdict::Wrong, "{size}");
    }
    let path: String = consistency(&export, 5, 9);
    assert_eq!(verdict(&export, &format!("{path}{}", fork.sign_checkpoint(9))), Verdict::Wrong);
    let elsewhere = Chain::new("elsewhere", &[1]);
    assert_eq!(verdict(&export, &elsewhere.sign_checkpoint(0)), Verdict::Wrong);
}

#[test]
fn a_forgery_with_the_stolen_key_does_not_pass_an_older_checkpoint() {
    let honest = export();
    let mut recipe = Recipe::new(1);
    recipe.chunks[0] = b"what never happened".to_vec();
    let forged = recipe.export();
    assert_eq!(verdict(&forged, &honest.chain.verifier().to_string()), Verdict::Proven);
    for size in [3, 5] {
        assert_eq!(verdict(&forged, &honest.chain.sign_checkpoint(size)), Verdict::Wrong);
    }
    let path = consistency(&honest, 5, 9);
    assert_eq!(verdict(&forged, &format!("{path}{}", honest.chain.sign_checkpoint(9))), Verdict::Wrong);
}

#[test]
fn texts_that_are_nothing_to_trust_are_refused() {
    let export = export();
    let (note, key) = (export.chain.sign_checkpoint(5), export.chain.verifier().to_string());
    let stranger = signer(CHAIN, 9).verifier().to_string();
    let many = "consistency AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n".repeat(66);
    let table = [
        ("nothing", String::new()),
        ("a word", "trust me".to_owned()),
        ("a garbled key", key.replace('+', "-")),
        ("two keys", format!("{key}\n{key}\n")),
        ("a checkpoint without signature", export.chain.checkpoint(5).text().unwrap()),
        ("a manifest", export.text(crate::export::MANIFEST)),
        ("the key of a stranger", format!("key {stranger}\n{note}")),
        ("a garbled key line", format!("key x\n{note}")),
        ("a key line alone", format!("key {key}\n")),
        ("a garbled consistency line", format!("consistency x\n{note}")),
        ("too much consistency", format!("{many}{note}")),
        ("lines in the wrong order", format!("consistency {}\nkey {key}\n{note}", BASE64.encode(&[1; 32]))),
        ("too large", "x\n".repeat(NOTE_BYTES_MAX)),
    ];
    for (what, text) in table {
        assert!(Trust::parse(&text).is_err(), "{what}");
    }
    // A flipped bit in a note that comes with its key never goes unseen.
    let text = format!("key {key}\n{note}");
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(flipped) = String::from_utf8(flipped) {
            assert!(Trust::parse(&flipped).is_err(), "bit {bit}");
        }
    }
}
