use super::*;
use crate::fixture::{CHAIN, Chain, signer};

fn chain(blocks: usize) -> Chain {
    let mut chain = Chain::new(CHAIN, &[1]);
    chain.grow_to(blocks);
    chain
}

#[test]
fn the_text_is_as_specified() {
    let checkpoint = Checkpoint {
        origin: "example.com/log".to_owned(),
        size: 20_852_163,
        root: [0xff; 32],
        extensions: vec!["extra line".to_owned()],
    };
    let text = "example.com/log\n20852163\n//////////////////////////////////////////8=\nextra line\n";
    assert_eq!(checkpoint.text().unwrap(), text);
    assert_eq!(Checkpoint::parse(text).unwrap(), checkpoint);
}

#[test]
fn other_texts_are_refused() {
    let root = "//////////////////////////////////////////8=";
    let table = [
        String::new(),
        "\n".to_owned(),
        "log\n".to_owned(),
        "log\n5\n".to_owned(),
        format!("log\n5\n{root}"),
        format!("\n5\n{root}\n"),
        format!("a log\n5\n{root}\n"),
        format!("log\n05\n{root}\n"),
        format!("log\n+5\n{root}\n"),
        format!("log\n-5\n{root}\n"),
        format!("log\n5 \n{root}\n"),
        format!("log\n18446744073709551616\n{root}\n"),
        format!("log\n5\n{}\n", &root[..40]),
        format!("log\n5\n{}9=\n", &root[..42]),
        format!("log\n5\n{root}\n\n"),
        format!("log\n5\n{root}\n\nextra\n"),
    ];
    for text in table {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
}

#[test]
fn extensions_can_not_smuggle_lines() {
    for line in ["", "two\nlines"] {
        let mut checkpoint = chain(1).checkpoint(1);
        checkpoint.extensions = vec![line.to_owned()];
        assert!(checkpoint.text().is_err(), "{line:?}");
    }
}

#[test]
fn only_the_logs_own_name_signs() {
    let checkpoint = chain(3).checkpoint(3);
    let (log, witness) = (signer(CHAIN, 1), signer("witness", 2));
    let note = checkpoint.sign(&[&log, &witness]).unwrap();
    let (opened, by) = Checkpoint::open(&note, &[log.verifier().clone()]).unwrap();
    assert_eq!((opened, by.unknown), (checkpoint.clone(), vec!["witness".to_owned()]));
    let not_by_origin = CheckpointError::NotByOrigin { origin: CHAIN.to_owned() };
    assert_eq!(Checkpoint::open(&note, &[witness.verifier().clone()]).unwrap_err(), not_by_origin);
    assert_eq!(checkpoint.sign(&[&witness]).unwrap_err(), not_by_origin);
    assert_eq!(checkpoint.sign(&[]).unwrap_err(), not_by_origin);
}

#[test]
fn growth_is_told_from_a_fork() {
    let honest = chain(9);
    let mut forked = chain(4);
    let other = crate::block::Receipt { transaction: [0; 32], outcome: crate::block::Outcome::Anchored };
    forked.append(Vec::new(), &[other]);
    forked.grow_to(9);
    for (old, new) in [(0, 9), (1, 9), (4, 9), (5, 9), (9, 9)] {
        let path = honest.consistency(old, new);
        compare(&honest.checkpoint(old), &honest.checkpoint(new), &path).unwrap();
    }
    // Up to the fork both tell the same story.
    compare(&honest.checkpoint(4), &forked.checkpoint(9), &forked.consistency(4, 9)).unwrap();
    for path in [honest.consistency(5, 9), forked.consistency(5, 9)] {
        let error = compare(&honest.checkpoint(5), &forked.checkpoint(9), &path).unwrap_err();
        assert!(matches!(error, Fork::NotExtended { old: 5, new: 9, .. }), "{error:?}");
    }
    assert!(compare(&honest.checkpoint(9), &forked.checkpoint(9), &[]).is_err());
    assert!(compare(&honest.checkpoint(9), &honest.checkpoint(5), &honest.consistency(5, 9)).is_err());
    let mut elsewhere = honest.checkpoint(9);
    elsewhere.origin = "elsewhere".to_owned();
    assert!(matches!(compare(&honest.checkpoint(9), &elsewhere, &[]), Err(Fork::Origin { .. })));
}
