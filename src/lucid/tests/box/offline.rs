//! Commands that need no box.

use std::path::Path;

use crate::bench::{Place, text};
use crate::proof::verify;

#[test]
fn the_service_table_is_the_one_that_was_reviewed() {
    let place = Place::new();
    let table = place.cli(&["services"]).expect(0).text();
    assert_eq!(table, include_str!("../../table/services.txt"));
}

#[test]
fn every_error_of_the_settings_is_told_at_once() {
    let place = Place::new();
    let check = |content: &str| {
        let file = place.file("settings.toml", content.as_bytes());
        place.cli(&["config", "check", "--config", text(&file)])
    };
    check("").expect(0);
    let outcome =
        check("[blockchain-engine]\nblock_interval_s = 0\nblok = 1\n[session-api]\nport = \"many\"\n").expect(1);
    for words in ["block_interval_s", "from 1 to 600", "blok", "session-api.port", "settings.toml:2"] {
        assert!(outcome.stderr.contains(words), "`{words}` is not in: {}", outcome.stderr);
    }
    check("[[[").expect_error("settings.toml");
    let missing = place.path("missing.toml");
    place.cli(&["config", "check", "--config", text(&missing)]).expect_error("missing.toml");
    place.cli(&["dev", "--config", text(&missing)]).expect_error("missing.toml");

    let mut command = place.lucid();
    command.args(["config", "show"]).env("CHUNK_SIZE_MB", "16").env("MONGODB_URL", "mongodb://user:hunter2@db/");
    let shown = crate::bench::Program::run(&mut command, "").expect(0);
    assert!(shown.stderr.contains("MONGODB_URL"), "{}", shown.stderr);
    assert!(shown.text().contains("16") && shown.text().contains("CHUNK_SIZE_MB"), "{}", shown.text());
    assert!(!shown.all().contains("hunter2"), "{}", shown.all());
    command.env("CHUNK_SIZE_MB", "65");
    crate::bench::Program::run(&mut command, "").expect_error("CHUNK_SIZE_MB");
}

#[test]
fn what_is_no_export_is_unreadable_and_never_proven() {
    let place = Place::new();
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let garbage = place.path("garbage");
    std::fs::create_dir_all(garbage.join("chunks")).unwrap();
    for name in ["manifest", "leaves", "proof.json", "checkpoint", "chunks/00000000.chunk"] {
        std::fs::write(garbage.join(name), [0xff; 512]).unwrap();
    }
    let file = place.file("file", b"not a directory");
    for dir in [&empty, &file, &place.path("missing")] {
        verify(&place, dir, None, 2, "UNREADABLE");
    }
    let outcome = place.cli(&["verify", text(&garbage)]);
    assert!(matches!(outcome.code, Some(1 | 2)), "{}", outcome.all());
    for trust in ["", "nothing to trust", "a+b+c", "\n\n\n"] {
        let trust = place.file("trust", trust.as_bytes());
        verify(&place, &garbage, Some(&trust), 2, "trust");
    }
    verify(&place, &garbage, Some(Path::new("/nonexistent")), 2, "/nonexistent");
}

#[test]
fn a_command_that_finds_no_box_says_what_to_do() {
    let place = Place::new();
    place.cli(&["sessions"]).expect_error("lucid login");
    place.cli(&["sessions", "--server", &place.server()]).expect_error("lucid login --server");
    place.cli_with(&["login", "--server", &place.server(), "--password-stdin", "owner"], "x\n").expect_error("reach");
    place.cli(&["login", "--server", "http://192.0.2.1", "owner"]).expect_error("use https");
    place.cli(&["verify"]).expect_error("Usage");
}
