//! From recording to proof, and to deletion, with the command line alone.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::{Owner, Place, assert_same, eventually, mix, send, text};

/// Three chunks and a bit.
const BYTES: usize = 3_400_000;

/// Records `content`, and gives the id once it is anchored.
pub(crate) fn record(place: &Place, name: &str, content: &[u8]) -> String {
    let file = place.file(name, content);
    place.cli(&["record", text(&file)]).expect(0).text().trim().to_owned()
}

/// Exports a recording into a directory of the place.
pub(crate) fn export(place: &Place, id: &str, name: &str) -> PathBuf {
    let dir = place.path(name);
    place.cli(&["export", id, text(&dir)]).expect(0);
    dir
}

/// Writes the box's verifier key to a file.
pub(crate) fn key(place: &Place, name: &str) -> PathBuf {
    let key = place.cli(&["key"]).expect(0).text();
    place.file(name, key.as_bytes())
}

/// Asserts that the recording comes back as it was.
pub(crate) fn assert_restored(place: &Place, id: &str, original: &Path, name: &str) {
    let restored = place.path(name);
    place.cli(&["restore", id, "--output", text(&restored)]).expect(0);
    assert_same(original, &restored);
}

#[test]
fn a_recording_is_anchored_proven_restored_and_deleted() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let early = place.file("early", place.cli(&["checkpoint"]).expect(0).text().as_bytes());
    let original = place.file("original.bin", &mix(1, BYTES));
    let id = record(&place, "recording.bin", &mix(1, BYTES));

    let session = owner.session(&id).unwrap();
    assert_eq!(session["state"], "anchored", "{session}");
    assert_eq!(session["durable_bytes"], BYTES);
    let listed = place.cli(&["sessions"]).expect(0).text();
    assert!(listed.contains(&id) && listed.contains("anchored") && listed.contains("recording.bin"), "{listed}");
    assert_restored(&place, &id, &original, "restored.bin");
    let again = place.cli(&["restore", &id, "--output", text(&place.path("restored.bin"))]);
    again.expect_error("exists");

    let (exported, key) = (export(&place, &id, "exported"), key(&place, "key"));
    verify(&place, &exported, None, 3, "not trusted");
    verify(&place, &exported, Some(&key), 0, "PROVEN");
    verify(&place, &exported, Some(&early), 3, "older than the block");
    verify(&place, &exported, Some(&foreign_key(&place)), 1, "WRONG");
    one_flipped_bit_is_named(&place, &exported, &key);
    the_chain_extends_the_checkpoint(&place, &early);

    place.cli(&["delete", &id, "--yes"]).expect(0);
    place.cli(&["restore", &id]).expect_error("there is no recording");
    place.cli(&["export", &id, text(&place.path("late"))]).expect_error("there is no recording");
    let chunks = place.data.join("data/session-storage/chunks").join(&id);
    assert!(!chunks.exists(), "{} is still there", chunks.display());
    verify(&place, &exported, Some(&key), 0, "PROVEN");
    owner.validate_chain();
    owner.wait_for_all();
}

#[test]
fn checkpoints_kept_elsewhere_prove_an_export() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(2, BYTES));
    let before = place.cli(&["checkpoint"]).expect(0).text();
    owner.wait_for_block_above(owner.head()["height"].as_u64().unwrap());

    // Taken before the export: the export is asked to hold for it, too.
    let query: String = before.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let archive = owner.get(&format!("/api/sessions/{id}/export?checkpoint={query}")).expect(200).body;
    let exported = place.path("exported");
    tar::Archive::new(&archive[..]).unpack(&exported).unwrap();
    verify(&place, &exported, Some(&place.file("before", before.as_bytes())), 0, "PROVEN");

    // Taken after it: a consistency path leads from one to the other.
    owner.wait_for_block_above(owner.head()["height"].as_u64().unwrap());
    let after = place.cli(&["checkpoint"]).expect(0).text();
    verify(&place, &exported, Some(&place.file("alone", after.as_bytes())), 3, "consistency path");
    let size = |note: &str| note.lines().nth(1).unwrap().to_owned();
    let of_export = std::fs::read_to_string(exported.join("checkpoint")).unwrap();
    let target = format!("/api/chain/consistency?old={}&new={}", size(&of_export), size(&after));
    let path = send(place.dashboard(), "GET", &target, &[], b"").expect(200).json();
    let lines: String = path["path"].as_array().unwrap().iter().map(consistency_line).collect();
    verify(&place, &exported, Some(&place.file("after", format!("{lines}{after}").as_bytes())), 0, "PROVEN");
}

fn consistency_line(hash: &Value) -> String {
    let bytes = data_encoding::HEXLOWER.decode(hash.as_str().unwrap().as_bytes()).unwrap();
    format!("consistency {}\n", data_encoding::BASE64.encode(&bytes))
}

/// Runs `lucid verify`.
#[track_caller]
pub(crate) fn verify(place: &Place, dir: &Path, trust: Option<&Path>, code: i32, words: &str) {
    let trust = trust.map(|path| ["--trust", text(path)]);
    let arguments: Vec<&str> = ["verify", text(dir)].into_iter().chain(trust.into_iter().flatten()).collect();
    let outcome = place.cli(&arguments).expect(code);
    assert!(outcome.all().contains(words), "`{words}` is not in: {}", outcome.all());
}

/// The verifier key of another box.
fn foreign_key(place: &Place) -> PathBuf {
    let other = Place::new();
    let running = other.start();
    let key = eventually("the other box's key", crate::bench::SHORT, || {
        let reply = send(other.dashboard(), "GET", "/api/chain/key", &[], b"");
        if reply.status == 200 { Ok(reply.text()) } else { Err(reply.text()) }
    });
    drop(running);
    place.file("foreign-key", key.as_bytes())
}

/// Flips a bit in each file of an export, and expects the verifier to name that file. Puts it back after.
fn one_flipped_bit_is_named(place: &Place, exported: &Path, key: &Path) {
    for name in ["chunks/00000000.chunk", "chunks/00000003.chunk", "manifest", "leaves", "checkpoint"] {
        let path = exported.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let outcome = place.cli(&["verify", text(exported), "--trust", text(key)]);
        assert_eq!(outcome.code, Some(1), "{name}: {}", outcome.all());
        assert!(outcome.text().contains(name), "{name}: {}", outcome.all());
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
    }
    verify(place, exported, Some(key), 0, "PROVEN");
}

fn the_chain_extends_the_checkpoint(place: &Place, early: &Path) {
    let said = place.cli(&["checkpoint", "--extends", text(early)]).expect(0).text();
    assert!(said.contains("extends"), "{said}");
}
