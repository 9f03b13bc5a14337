//! From recording to proof, and to deletion, with the command line alone.

use std::path::{Path, PathBuf};

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

/// Whatever checkpoint somebody holds, commands lead from it to `PROVEN`; the verifier's answer names them.
#[test]
fn a_checkpoint_kept_elsewhere_proves_an_export() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let old = checkpoint(&place, "old");
    let id = record(&place, "recording.bin", &mix(2, BYTES));
    owner.wait_for_block_above(owner.session(&id).unwrap()["block_height"].as_u64().unwrap());
    let before = checkpoint(&place, "before");
    owner.wait_for_block_above(owner.head()["height"].as_u64().unwrap());

    // Held when the export is made: the export is made for it.
    let exported = place.path("for-before");
    place.cli(&["export", &id, text(&exported), "--checkpoint", text(&before)]).expect(0);
    verify(&place, &exported, Some(&before), 0, "PROVEN");

    // Older than the recording: it can't know of it, and both commands say how to go on from it.
    let dir = place.path("for-old");
    place.cli(&["export", &id, text(&dir), "--checkpoint", text(&old)]).expect_error("lucid checkpoint --extends");
    assert!(!dir.exists());
    place.file("newer", &place.cli(&["checkpoint", "--extends", text(&old)]).expect(0).stdout);
    place.cli(&["export", &id, text(&dir), "--checkpoint", "newer"]).expect(0);
    verify(&place, &dir, Some(Path::new("newer")), 0, "PROVEN");
    let exported = export(&place, &id, "exported");
    follow(&place, &exported, &old, "older than the block");

    // Taken after the export was made, or before it and not named then.
    owner.wait_for_block_above(owner.head()["height"].as_u64().unwrap());
    let after = checkpoint(&place, "after");
    for kept in [&before, &after] {
        follow(&place, &exported, kept, "no consistency path");
    }
    foreign_checkpoints_lead_nowhere(&place, &exported, &after);
}

/// Verifies in vain, runs the commands that the answer names, the last of which is `lucid verify`, and expects
/// `PROVEN`.
fn follow(place: &Place, exported: &Path, kept: &Path, doubt: &str) {
    let said = place.cli(&["verify", text(exported), "--trust", text(kept)]).expect(3).text();
    assert!(said.contains(doubt), "{said}");
    let mut commands: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("    lucid ")).collect();
    let last = commands.pop().unwrap_or_else(|| panic!("no command is named: {said}"));
    for command in commands {
        let (command, name) = command.split_once(" > ").unwrap_or_else(|| panic!("{command}"));
        let said = place.cli(&command.split(' ').collect::<Vec<_>>()).expect(0).stdout;
        // Relative, as the next command names it: the command line runs in the place.
        place.file(name, &said);
    }
    let proven = place.cli(&last.split(' ').collect::<Vec<_>>()).expect(0).text();
    assert!(proven.contains("PROVEN"), "{proven}");
}

/// A checkpoint of another box, and one that this box has not signed.
fn foreign_checkpoints_lead_nowhere(place: &Place, exported: &Path, own: &Path) {
    let other = Place::new();
    let running = other.start();
    Owner::claim(&other, &running);
    let foreign = checkpoint(&other, "foreign");
    let own = std::fs::read_to_string(own).unwrap();
    let size = own.lines().nth(1).unwrap();
    let forged = place.file("forged", own.replacen(&format!("\n{size}\n"), &format!("\n{size}0\n"), 1).as_bytes());
    for path in [&foreign, &forged] {
        let refused = place.cli(&["checkpoint", "--extends", text(path)]);
        assert!(refused.text().is_empty(), "{}", refused.text());
        refused.expect_error("find the key of this appliance");
    }
    let refused = place.cli(&["consistency", text(&foreign), text(exported)]);
    assert!(refused.text().is_empty(), "{}", refused.text());
    refused.expect_error("NOT the same chain");
    place.cli(&["consistency", text(&key(place, "key")), text(exported)]).expect_error("is a key");
}

/// Keeps the present checkpoint in a file of the place.
fn checkpoint(place: &Place, name: &str) -> PathBuf {
    let note = place.cli(&["checkpoint"]).expect(0).text();
    place.file(name, note.as_bytes())
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
    let outcome = place.cli(&["checkpoint", "--extends", text(early)]).expect(0);
    assert!(outcome.stderr.contains("extends"), "{}", outcome.stderr);
    place.file("newer", &outcome.stdout);
    place.cli(&["checkpoint", "--extends", "newer"]).expect(0);
}
