use std::convert::Infallible;

use super::*;
use crate::block::Receipt;
use crate::fixture::{Chain, Export, Recipe};
use crate::merkle::{FromNodesError, MerkleError};

fn export() -> Export {
    Recipe::new(1).export()
}

#[test]
fn chunk_names_are_one_to_one() {
    for (index, name) in [(0, "chunks/00000000.chunk"), (99_999_999, "chunks/99999999.chunk")] {
        assert_eq!(chunk_name(index), name);
        assert_eq!(chunk_index(name), Some(index));
    }
    assert_eq!(chunk_index("chunks/100000000.chunk"), Some(100_000_000));
    let wrong = [
        "00000000.chunk",
        "chunks/0.chunk",
        "chunks/000000000.chunk",
        "chunks/+0000001.chunk",
        "chunks/00000000.chunk~",
        "chunks/00000000",
        "chunks/.chunk",
        "chunks/99999999999999999999999.chunk",
        "chunks//00000000.chunk",
    ];
    for name in wrong {
        assert_eq!(chunk_index(name), None, "{name}");
    }
}

#[test]
fn leaf_lines_are_strict() {
    let line = leaf_line(&[0xff; 32]);
    assert_eq!(line, "//////////////////////////////////////////8=\n");
    assert_eq!(parse_leaf_line(line.as_bytes()), Some([0xff; 32]));
    for wrong in
        ["", "\n", line.trim_end(), &line[1..], &line.replace('8', "9"), &format!("{line}\n"), &format!(" {line}")]
    {
        assert_eq!(parse_leaf_line(wrong.as_bytes()), None, "{wrong:?}");
    }
}

#[test]
fn proofs_are_read_as_written() {
    let export = export();
    let text = export.text(PROOF);
    let proof = Proof::parse(&text).unwrap();
    assert_eq!(proof.encode().unwrap(), text);
    assert_eq!(proof.index, 1);
    assert_eq!(proof.also.len(), 1);
}

#[test]
fn other_forms_of_the_same_proof_are_refused() {
    let text = export().text(PROOF);
    let compact = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
    let table = [
        ("no last newline", text.trim_end().to_owned()),
        ("two last newlines", format!("{text}\n")),
        ("compact", compact),
        ("indented by tabs", text.replace("  ", "\t")),
        ("upper case", text.replace("\"bytes\": \"01", "\"bytes\": \"0A")),
        ("a member more", text.replacen("{\n", "{\n  \"more\": 1,\n", 1)),
        ("a member twice", text.replacen("{\n", "{\n  \"format\": \"lucid.proof/v1\",\n", 1)),
        ("an escaped letter", text.replace("lucid.proof", "\\u006cucid.proof")),
        ("an escaped dash", text.replace('\u{2014}', "\\u2014")),
        ("a fraction", text.replace("\"index\": 1,", "\"index\": 1.0,")),
        ("a negative index", text.replace("\"index\": 1,", "\"index\": -1,")),
        ("another version", text.replace("proof/v1", "proof/v2")),
        ("another height", text.replace("\"index\": 2,", "\"index\": 3,")),
        ("too large", format!("{text}{}", " ".repeat(PROOF_BYTES_MAX))),
        ("nothing", String::new()),
        ("null", "null\n".to_owned()),
        ("a deep nest", "[".repeat(100_000)),
    ];
    for (what, wrong) in table {
        assert_ne!(wrong, text, "{what}");
        assert!(Proof::parse(&wrong).is_err(), "{what}");
    }
}

#[test]
fn members_that_are_wrong_are_named() {
    let text = export().text(PROOF);
    let header = export().proof().header.encode();
    let hex = data_encoding::HEXLOWER.encode(&header);
    let error = Proof::parse(&text.replace(&hex, &hex[2..])).unwrap_err();
    assert!(matches!(error, ProofError::Decode { part: "header", .. }), "{error:?}");
    let error = Proof::parse(&text.replace(&hex, "xyz")).unwrap_err();
    assert!(matches!(error, ProofError::Member { part: "header", .. }), "{error:?}");
    let error = Proof::parse(&text.replace("\"index\": 2,", "\"index\": 3,")).unwrap_err();
    assert!(matches!(error, ProofError::Member { part: "log", .. }), "{error:?}");
}

#[test]
fn paths_and_checkpoints_are_limited() {
    let mut proof = export().proof();
    proof.log_path = vec![[0; 32]; 65];
    proof.encode().unwrap_err();
    let mut proof = export().proof();
    proof.also = vec![proof.also[0].clone(); 101];
    assert!(matches!(Proof::parse(&proof.encode().unwrap()), Err(ProofError::Member { part: "also", .. })));
}

#[test]
fn parts_that_do_not_fit_are_not_assembled() {
    let mut chain = Chain::new("a", &[1]);
    let transaction = export().proof().transaction;
    let receipt = Receipt { transaction: transaction.id(), outcome: crate::block::Outcome::Anchored };
    let block = chain.append(vec![transaction], &[receipt]);
    let assemble = |receipts: &[Receipt], index, size| {
        Proof::assemble(&chain.genesis, &block, receipts, index, &chain.log, size).unwrap_err()
    };
    assert!(matches!(assemble(&[], 0, 1), AssembleError::Transaction { index: 0, .. }));
    assert!(matches!(assemble(&[receipt], 1, 1), AssembleError::Transaction { index: 1, .. }));
    let error: AssembleError<Infallible> = assemble(&[receipt], 0, 0);
    let range = FromNodesError::Range(MerkleError::OutOfRange { index: 0, size: 0 });
    assert!(matches!(error, AssembleError::Log { source, .. } if source == range));
}

#[test]
fn a_directory_lists_and_reads_what_lies_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let export = export();
    export.write_to(directory.path());
    let files = Directory(directory.path().to_owned());
    let mut names = files.list().unwrap();
    names.sort();
    assert_eq!(names, export.files.keys().cloned().collect::<Vec<_>>());
    let mut text = String::new();
    files.open(MANIFEST).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, export.text(MANIFEST));
}

#[test]
fn a_directory_opens_plain_files_inside_only() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let outside = tempfile::NamedTempFile::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let files = Directory(directory.path().to_owned());
    symlink(outside.path(), directory.path().join("link")).unwrap();
    symlink(directory.path(), directory.path().join("chunks")).unwrap();
    let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    for name in ["link", "socket", "folder", "missing", "../link", "/etc/hostname", "chunks/link"] {
        assert!(files.open(name).is_err(), "{name}");
    }
    // All of them are listed, so that they can be reported; the linked folder is not looked into.
    let mut names = files.list().unwrap();
    names.sort();
    assert_eq!(names, ["chunks", "folder", "link", "socket"]);
    let missing = Directory(directory.path().join("missing")).list().unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}
