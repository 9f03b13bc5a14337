//! The verifier in Python, written from `docs/formats.md` alone, must come to the same verdicts.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::block::{Anchor, Outcome};
use crate::export::{CHECKPOINT, Directory, LEAVES, MANIFEST, PROOF, chunk_name};
use crate::fixture::{CHAIN, Chain, resign, signer};
use crate::note;

/// The Python that has the packages of `independent/requirements.txt`.
fn python() -> PathBuf {
    // Read at compile time: at run time the environment belongs to the binary's configuration alone.
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python");
    let python = option_env!("LUCID_PYTHON").map_or(default, PathBuf::from);
    assert!(
        python.exists(),
        "`{}` is missing: make a virtual environment there with the packages of \
         src/proof/independent/requirements.txt (`make` does), or set LUCID_PYTHON",
        python.display()
    );
    python
}

/// Runs both verifiers on a directory; they must agree. `trust` is the text of a trust file.
fn both(directory: &Path, trust: Option<&str>, what: &str) -> u8 {
    let outside = tempfile::tempdir().unwrap();
    let trust_file = outside.path().join("trust");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/verify.py");
    let mut command = Command::new(python());
    // Without compiled files, so that nothing is written beside the sources.
    command.arg("-B").arg(script).arg(directory);
    if let Some(trust) = trust {
        std::fs::write(&trust_file, trust).unwrap();
        command.arg("--trust").arg(&trust_file);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let ours = match trust.map_or(Ok(Trust::None), Trust::parse) {
        Ok(trust) => {
            let report = verify(&Directory(directory.to_owned()), &trust, &mut |_| {});
            check_same_files(&report, &said, what);
            report.verdict.exit_code()
        }
        Err(_) => Verdict::Unreadable.exit_code(),
    };
    assert_eq!(output.status.code(), Some(i32::from(ours)), "{what}: verify.py said\n{said}");
    ours
}

/// Both blame the same files (the wording is each one's own).
fn check_same_files(report: &Report, said: &str, what: &str) {
    if report.verdict != Verdict::Wrong || report.findings.iter().any(|finding| finding.place == Place::Trust) {
        return;
    }
    for finding in &report.findings {
        let place = finding.place.to_string();
        let file = place.split(',').next().unwrap();
        assert!(said.contains(file) || said.contains("the export: "), "{what}: {finding}; verify.py said\n{said}");
    }
}

fn written(export: &Export) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    export.write_to(directory.path());
    directory
}

fn exported(export: &Export, trust: Option<&str>, what: &str) -> u8 {
    both(written(export).path(), trust, what)
}

#[test]
fn honest_exports_are_proven_by_both() {
    let mut large = Recipe::new(1);
    large.chunks = (0..12).map(|index| vec![index; 100_000]).collect();
    (large.others, large.height, large.log_size, large.also) = ((2, 3), 5, 11, vec![6, 13]);
    let mut several = Recipe::new(1);
    several.chain = Chain::new(CHAIN, &[1, 2, 3, 4]);
    let mut empty = Recipe::new(1);
    (empty.chunks, empty.also) = (Vec::new(), Vec::new());
    for (what, recipe) in [("small", Recipe::new(1)), ("large", large), ("several", several), ("empty", empty)] {
        let export = recipe.export();
        let key = export.chain.verifier().to_string();
        assert_eq!(exported(&export, Some(&key), what), 0, "{what}");
        assert_eq!(exported(&export, None, what), 3, "{what}");
    }
}

#[test]
fn the_bound_of_a_chunk_is_the_same_for_both() {
    const CHUNK_BYTES_MAX: u64 = 64 * 1024 * 1024;
    let key = Recipe::new(1).chain.verifier().to_string();
    for (bytes, expected) in [(3 * CHUNK_BYTES_MAX, 0), (3 * CHUNK_BYTES_MAX + 1, 1)] {
        let recipe = Recipe::new(1);
        let text = recipe.manifest().text().unwrap().replace("\nbytes 12\n", &format!("\nbytes {bytes}\n"));
        let note = note::sign(&text, &[&signer("recorder", 1)]).unwrap();
        let anchor = Anchor { bytes, ..Recipe::anchor(&recipe.manifest(), &note) };
        assert_eq!(exported(&recipe.export_with(note, anchor), Some(&key), "large chunks"), expected, "{bytes}");
    }
}

#[test]
fn damage_is_found_by_both() {
    let honest = Recipe::new(1).export();
    let key = honest.chain.verifier().to_string();
    for (name, bytes) in &honest.files {
        let positions = [0, bytes.len() / 3, bytes.len() / 2, bytes.len().saturating_sub(2)];
        for position in positions.into_iter().filter(|position| *position < bytes.len()) {
            let mut damaged = honest.clone();
            damaged.file(name)[position] ^= 1;
            let what = format!("{name}, byte {position}");
            assert_eq!(exported(&damaged, Some(&key), &what), 1, "{what}");
        }
        let mut longer = honest.clone();
        longer.file(name).push(b'\n');
        assert_eq!(exported(&longer, Some(&key), name), 1, "{name} longer");
        let mut missing = honest.clone();
        missing.files.remove(name);
        assert_eq!(exported(&missing, Some(&key), name), 1, "{name} missing");
    }
}

#[test]
fn random_damage_is_judged_alike() {
    let honest = Recipe::new(1).export();
    let key = honest.chain.verifier().to_string();
    // A fixed walk through the hexadecimal of the proof, where a digit becomes another one.
    let mut position: usize = 7;
    for _ in 0..25 {
        position = position.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = honest.clone();
        let proof = damaged.file(PROOF);
        let at = (position >> 16) % proof.len();
        proof[at] = if proof[at] == b'0' { b'1' } else { b'0' };
        let what = format!("digit at {at} of the proof");
        assert_eq!(exported(&damaged, Some(&key), &what), 1, "{what}");
    }
}

#[test]
fn forgeries_are_found_by_both() {
    let honest = Recipe::new(1).export();
    let key = honest.chain.verifier().to_string();
    let forged = Recipe::new(66).export();
    assert_eq!(exported(&forged, Some(&key), "forged"), 1);
    assert_eq!(exported(&forged, None, "forged"), 3);

    let mut refused = Recipe::new(1);
    refused.outcome = Outcome::AlreadyAnchored;
    assert_eq!(exported(&refused.export(), Some(&key), "refused"), 1);

    let mut stranger = Recipe::new(1);
    stranger.sender = 66;
    assert_eq!(exported(&stranger.export(), None, "stranger"), 1);

    let mut unsigned = Recipe::new(1);
    unsigned.bend_transaction = |transaction| transaction.signature[0] ^= 1;
    assert_eq!(exported(&unsigned.export(), None, "unsigned"), 1);
    let mut proposer = Recipe::new(1);
    proposer.bend_header = |header| header.proposer[0] ^= 1;
    assert_eq!(exported(&proposer.export(), None, "proposer"), 1);
    let mut validators = Recipe::new(1);
    validators.bend_header = |header| header.validators[0] ^= 1;
    assert_eq!(exported(&validators.export(), None, "validators"), 1);

    let recipe = Recipe::new(1);
    let note = recipe.manifest().sign(&signer("recorder", 1)).unwrap();
    let mut anchor = Recipe::anchor(&recipe.manifest(), &note);
    anchor.ended_ms += 1;
    assert_eq!(exported(&recipe.export_with(note, anchor), Some(&key), "contradiction"), 1);

    // Validly signed again by the same key under another name: only the anchored hash tells.
    let mut resigned = Recipe::new(1).export();
    *resigned.file(MANIFEST) = resign(&resigned.text(MANIFEST), "another-name", 1).into_bytes();
    assert_eq!(exported(&resigned, Some(&key), "resigned"), 1);

    let mut recipe = Recipe::new(1);
    recipe.others = (0, 5);
    let mut export = recipe.export();
    let mut proof = export.proof();
    proof.size = 7;
    export.set_proof(&proof);
    assert_eq!(exported(&export, Some(&key), "a size that shares its path"), 1);

    let mut export = Recipe::new(1).export();
    let signers = [signer(CHAIN, 1), signer("witness", 7)];
    let checkpoint = export.chain.checkpoint(5).sign(&[&signers[0], &signers[1]]).unwrap();
    *export.file(CHECKPOINT) = checkpoint.into_bytes();
    assert_eq!(exported(&export, Some(&key), "a witness"), 1);
}

#[test]
fn swapped_and_missing_parts_are_judged_alike() {
    let honest = Recipe::new(1).export();
    let key = honest.chain.verifier().to_string();
    let mut swapped = honest.clone();
    let first = honest.files[&chunk_name(0)].clone();
    *swapped.file(&chunk_name(0)) = std::mem::replace(swapped.file(&chunk_name(1)), first);
    assert_eq!(exported(&swapped, Some(&key), "swapped chunks"), 1);
    let mut short = honest.clone();
    short.file(LEAVES).truncate(90);
    assert_eq!(exported(&short, Some(&key), "a line missing"), 1);
    let mut bare = honest.clone();
    bare.files.retain(|name, _| name == LEAVES || name.starts_with("chunks/"));
    assert_eq!(exported(&bare, Some(&key), "no proof at all"), 2);
    let mut more = honest.clone();
    more.files.insert("readme".to_owned(), Vec::new());
    assert_eq!(exported(&more, Some(&key), "a file more"), 1);
}

#[test]
fn what_can_not_be_read_is_judged_alike() {
    use std::os::unix::fs::symlink;
    let honest = Recipe::new(1).export();
    let key = honest.chain.verifier().to_string();
    for name in honest.files.keys() {
        let directory = written(&honest);
        let moved = tempfile::tempdir().unwrap();
        let target = moved.path().join("moved");
        std::fs::copy(directory.path().join(name), &target).unwrap();
        std::fs::remove_file(directory.path().join(name)).unwrap();
        symlink(&target, directory.path().join(name)).unwrap();
        assert_eq!(both(directory.path(), Some(&key), name), 2, "{name} as a link");
    }
    let directory = written(&honest);
    let moved = tempfile::tempdir().unwrap();
    std::fs::rename(directory.path().join("chunks"), moved.path().join("chunks")).unwrap();
    symlink(moved.path().join("chunks"), directory.path().join("chunks")).unwrap();
    assert_eq!(both(directory.path(), Some(&key), "chunks as a link"), 1);
    assert_eq!(both(&directory.path().join("missing"), Some(&key), "no directory"), 2);
}

#[test]
fn trust_is_judged_alike() {
    let mut export = Recipe::new(1).export();
    export.chain.grow_to(9);
    let chain = &export.chain;
    let key = chain.verifier();
    let path = |old, new| -> String {
        let path = chain.consistency(old, new);
        path.iter().map(|hash| format!("consistency {}", export::leaf_line(hash))).collect()
    };
    let mut fork = Chain::new(CHAIN, &[1]);
    fork.grow_to(9);
    let table = [
        ("its checkpoint", chain.sign_checkpoint(5), 0),
        ("a further checkpoint, with its key", format!("key {key}\n{}", chain.sign_checkpoint(3)), 0),
        ("a later checkpoint", chain.sign_checkpoint(9), 3),
        ("a later checkpoint, consistent", path(5, 9) + &chain.sign_checkpoint(9), 0),
        ("an earlier checkpoint, consistent", path(4, 5) + &chain.sign_checkpoint(4), 0),
        ("a later checkpoint, wrong path", path(6, 9) + &chain.sign_checkpoint(9), 1),
        ("a checkpoint before the block", path(2, 5) + &chain.sign_checkpoint(2), 3),
        ("a fork", fork.sign_checkpoint(5), 1),
        ("a later fork", path(5, 9) + &fork.sign_checkpoint(9), 1),
        ("another chain", Chain::new("elsewhere", &[1]).sign_checkpoint(0), 1),
        ("a key for another chain", signer("elsewhere", 1).verifier().to_string(), 1),
        ("another key", signer(CHAIN, 2).verifier().to_string(), 1),
        ("a stranger's key line", format!("key {}\n{}", signer(CHAIN, 9).verifier(), chain.sign_checkpoint(5)), 2),
        ("a manifest", export.text(MANIFEST), 2),
        ("a word", "trust me".to_owned(), 2),
        ("nothing", String::new(), 2),
    ];
    let directory = written(&export);
    for (what, trust, expected) in table {
        assert_eq!(both(directory.path(), Some(&trust), what), expected, "{what}");
    }
}
