//! Damage: every change to an honest export is found, and blamed on the right file.

use super::*;
use crate::export::{CHECKPOINT, LEAVES, MANIFEST, PROOF, chunk_name, leaf_line};
use crate::fixture::CHAIN;
use crate::hash::{Blake3, TreeHash};
use crate::note;

/// The export that damage is done to: small, because every bit of it is flipped once.
fn small() -> Export {
    let mut recipe = Recipe::new(1);
    recipe.chunks = vec![b"first".to_vec(), b"second".to_vec()];
    (recipe.height, recipe.log_size, recipe.others) = (1, 3, (0, 1));
    recipe.export()
}

/// Asserts that a changed file is found wrong, and nothing else is.
fn blames(export: &Export, file: &str, what: &str) {
    let report = check(export, &key_of(export));
    assert_eq!(report.verdict, Verdict::Wrong, "{what}");
    for place in places(&report) {
        let named = place == file || place.starts_with(&format!("{file}, "));
        assert!(named, "{what}: `{place}` was blamed for damage to `{file}`: {report:?}");
    }
}

/// Flips every bit of a file, in two threads.
fn flip_every_bit(file: &str) {
    let export = small();
    let bits = export.files[file].len() * 8;
    std::thread::scope(|scope| {
        for half in 0..2 {
            let mut export = export.clone();
            scope.spawn(move || {
                for bit in (half..bits).step_by(2) {
                    export.file(file)[bit / 8] ^= 1 << (bit % 8);
                    blames(&export, file, &format!("bit {bit} of {file}"));
                    export.file(file)[bit / 8] ^= 1 << (bit % 8);
                }
            });
        }
    });
}

#[test]
fn every_bit_of_the_manifest_counts() {
    flip_every_bit(MANIFEST);
}

#[test]
fn every_bit_of_the_leaves_counts() {
    flip_every_bit(LEAVES);
}

#[test]
fn every_bit_of_the_checkpoint_counts() {
    flip_every_bit(CHECKPOINT);
}

#[test]
fn every_bit_of_the_proof_counts() {
    flip_every_bit(PROOF);
}

#[test]
fn every_bit_of_a_chunk_counts() {
    flip_every_bit(&chunk_name(0));
    flip_every_bit(&chunk_name(1));
}

#[test]
fn random_bits_of_larger_chunks_count() {
    let mut recipe = Recipe::new(1);
    recipe.chunks = (1..=9).map(|index| vec![index; 200_000]).collect();
    let mut export = recipe.export();
    // A fixed walk through positions, the same on every run.
    let mut position: usize = 1;
    for _ in 0..60 {
        position = position.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chunk = chunk_name((position >> 40) as u64 % 9);
        let bit = (position >> 8) % (200_000 * 8);
        export.file(&chunk)[bit / 8] ^= 1 << (bit % 8);
        blames(&export, &chunk, &format!("bit {bit} of {chunk}"));
        export.file(&chunk)[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn files_cut_or_extended_anywhere_are_blamed() {
    let export = small();
    for (name, bytes) in &export.files {
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let mut cut = export.clone();
            cut.file(name).truncate(length);
            blames(&cut, name, &format!("{name} cut to {length} bytes"));
        }
        for more in [&b"\n"[..], b"x", b"\0", b"\xff"] {
            let mut longer = export.clone();
            longer.file(name).extend(more);
            blames(&longer, name, &format!("{name} with {more:?} at the end"));
        }
    }
}

#[test]
fn missing_files_are_named() {
    let export = small();
    for name in export.files.keys() {
        let mut missing = export.clone();
        missing.files.remove(name);
        blames(&missing, name, &format!("{name} missing"));
    }
}

#[test]
fn files_that_do_not_belong_are_named() {
    for name in ["readme", "chunks", "chunks/00000002.chunk", "chunks/0.chunk", "chunks/00000000.chunk~", "MANIFEST"] {
        let mut export = small();
        export.files.insert(name.to_owned(), Vec::new());
        blames(&export, name, name);
    }
    let mut export = small();
    export.files.insert("a\u{1b}[2Jb".to_owned(), Vec::new());
    let report = check(&export, &Trust::None);
    assert!(!report.findings[0].to_string().contains('\u{1b}'), "{}", report.findings[0]);
}

#[test]
fn what_can_not_be_read_is_not_called_wrong() {
    let export = small();
    for name in export.files.keys() {
        let mut broken = export.clone();
        broken.unreadable = Some(name.clone());
        let report = check(&broken, &key_of(&broken));
        assert_eq!(report.verdict, Verdict::Unreadable, "{name}: {report:?}");
        assert!(places(&report).iter().all(|place| place.starts_with(name.as_str())), "{name}: {report:?}");
        assert!(report.findings[0].problem.contains("input/output error"), "{report:?}");
    }
}

#[test]
fn what_is_no_export_is_unreadable() {
    let mut export = small();
    export.files.clear();
    assert_eq!(check(&export, &Trust::None).verdict, Verdict::Unreadable);
    export.files.insert("holiday.jpg".to_owned(), vec![1, 2, 3]);
    let report = check(&export, &Trust::None);
    assert_eq!((report.verdict, places(&report)), (Verdict::Unreadable, vec!["the directory".to_owned()]));
}

#[test]
fn swapped_chunks_are_both_named() {
    let mut export = Recipe::new(1).export();
    let first = export.files[&chunk_name(0)].clone();
    let second = std::mem::replace(export.file(&chunk_name(1)), first);
    *export.file(&chunk_name(0)) = second;
    let report = check(&export, &key_of(&export));
    assert_eq!(places(&report), ["chunks/00000000.chunk", "chunks/00000001.chunk"]);
}

#[test]
fn swapped_lines_are_both_named() {
    let mut export = Recipe::new(1).export();
    let leaves = export.file(LEAVES);
    let second = leaves.split_off(45);
    leaves.splice(0..0, second[..45].iter().copied());
    leaves.extend(&second[45..]);
    let report = check(&export, &key_of(&export));
    assert_eq!(places(&report), ["leaves, line 1", "leaves, line 2"]);
}

#[test]
fn missing_and_doubled_lines_are_blamed_on_leaves() {
    let honest = Recipe::new(1).export();
    for edit in [0..45, 45..90, 90..135] {
        let mut missing = honest.clone();
        missing.file(LEAVES).drain(edit.clone());
        blames(&missing, LEAVES, &format!("without bytes {edit:?}"));
        let mut doubled = honest.clone();
        let line = doubled.file(LEAVES)[edit.clone()].to_vec();
        doubled.file(LEAVES).splice(edit.start..edit.start, line);
        blames(&doubled, LEAVES, &format!("with bytes {edit:?} twice"));
    }
}

#[test]
fn a_chunk_replaced_with_its_line_is_found_by_the_root() {
    let mut export = small();
    *export.file(&chunk_name(1)) = b"other".to_vec();
    let line = leaf_line(&Blake3::leaf(b"other"));
    export.file(LEAVES).splice(45.., line.into_bytes());
    let report = check(&export, &key_of(&export));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["leaves".to_owned()]));
}

#[test]
fn damage_on_both_sides_is_said_to_be_undecided() {
    let mut export = Recipe::new(1).export();
    export.file(&chunk_name(0))[0] ^= 1;
    let line = leaf_line(&Blake3::leaf(b"other"));
    export.file(LEAVES).splice(45..90, line.into_bytes());
    let report = check(&export, &key_of(&export));
    assert_eq!(places(&report), ["chunks/00000000.chunk", "chunks/00000001.chunk"]);
    assert!(report.findings[0].problem.contains("neither"), "{report:?}");
}

#[test]
fn damage_to_several_files_is_named_file_by_file() {
    let mut export = Recipe::new(1).export();
    export.file(&chunk_name(1))[0] ^= 1;
    export.file(MANIFEST)[0] ^= 1;
    export.file(CHECKPOINT)[0] ^= 1;
    export.files.remove(&chunk_name(2));
    let report = check(&export, &key_of(&export));
    assert_eq!(places(&report), ["checkpoint", "manifest", "chunks/00000002.chunk", "chunks/00000001.chunk"]);
}

#[test]
fn without_manifest_and_anchor_leaves_and_chunks_still_check_each_other() {
    let mut export = Recipe::new(1).export();
    export.file(MANIFEST)[0] ^= 1;
    export.file(PROOF)[0] ^= 1;
    assert_eq!(places(&check(&export, &Trust::None)), ["proof.json, form", "manifest"]);
    export.file(&chunk_name(1))[0] ^= 1;
    let report = check(&export, &Trust::None);
    assert_eq!(places(&report), ["proof.json, form", "manifest", "chunks/00000001.chunk"]);
    // How many chunks there should be is not known, so none is called superfluous.
    export.files.remove(LEAVES);
    assert_eq!(places(&check(&export, &Trust::None)), ["proof.json, form", "manifest", "leaves"]);
}

#[test]
fn a_chunk_missing_together_with_its_line_blames_nothing_else() {
    let mut export = Recipe::new(1).export();
    export.files.remove(&chunk_name(1));
    export.file(LEAVES)[50] = b'!';
    assert_eq!(places(&check(&export, &Trust::None)), ["leaves, line 2", "chunks/00000001.chunk"]);
}

#[test]
fn very_many_findings_are_counted_not_kept() {
    let mut recipe = Recipe::new(1);
    recipe.chunks = vec![vec![1]; FINDINGS_MAX + 500];
    let mut export = recipe.export();
    export.files.retain(|name, _| !name.starts_with("chunks/"));
    let report = check(&export, &key_of(&export));
    assert_eq!((report.findings.len(), report.omitted), (FINDINGS_MAX, 500));
}

#[test]
fn a_signature_of_a_stranger_on_the_checkpoint_is_found() {
    let mut export = small();
    let size = export.proof().log_size;
    let signers = [crate::fixture::signer(CHAIN, 1), crate::fixture::signer("witness", 7)];
    let note = export.chain.checkpoint(size).sign(&[&signers[0], &signers[1]]).unwrap();
    *export.file(CHECKPOINT) = note.into_bytes();
    blames(&export, CHECKPOINT, "a witness");
}

#[test]
fn a_second_signature_on_the_manifest_is_found() {
    // Even if it is anchored like that: nobody could tell whether the second one is right.
    let recipe = Recipe::new(1);
    let manifest = recipe.manifest();
    let signers = [crate::fixture::signer("recorder", 1), crate::fixture::signer("other", 7)];
    let note = note::sign(&manifest.text().unwrap(), &[&signers[0], &signers[1]]).unwrap();
    let anchor = Recipe::anchor(&manifest, &note);
    blames(&recipe.export_with(note, anchor), MANIFEST, "two signatures");
}
