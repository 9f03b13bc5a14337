//! Copies of everything, and new hardware.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    bench::{LONG, Outcome, Owner, PASSWORD, Place, Program, login, mix, require_success, text},
    crash::{Pour, announced, assert_no_panic, durable_beyond},
    proof::{assert_restored, export, key, record, verify},
};

const BYTES: usize = 2_500_000;
/// Where `age` comes from.
const AGE: &str = "install Debian's package `age`";

#[test]
fn a_backup_taken_while_a_recording_runs_brings_everything_back() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "first.bin", &mix(5, BYTES));
    let verifier = key(&place, "key");
    let mut client = Program::start(place.lucid().args(["record", "-"]), Stdio::piped());
    let source = Pour::start(&mut client, &place, 6);
    let open = announced(&client);
    let saved_at_least = durable_beyond(&owner, &open, 1_000_000);
    let saved = place.path("saved.age");
    let height = owner.head()["height"].as_u64().unwrap();
    place.cli(&["backup", text(&saved)]).expect(0);
    let durable = durable_beyond(&owner, &open, 0);
    source.allow(durable + 20_000_000);
    durable_beyond(&owner, &open, durable + 1_000_000);
    source.finish();
    client.end(LONG).expect(0);
    drop(running);

    opens_with_age(&place, &saved, &owner.recovery_key);
    damaged_or_foreign_is_refused(&place, &saved, &owner.recovery_key);
    put_back(&place, &saved, "data-2", "state-2", &owner.recovery_key).expect(0);
    let again = put_back(&place, &saved, "data-2", "state-2", &owner.recovery_key);
    again.expect_error("must be empty or not there yet");

    let restored = place.moved("data-2", "state-2");
    let running = restored.start();
    crate::bench::wait_for_health(restored.port("session-api"), "healthy");
    let owner = Owner::enter(&restored);
    owner.wait_for_all();
    login(&restored, &running);
    assert_restored(&restored, &id, &place.path("first.bin"), "first.bin");
    let session = owner.session(&open).unwrap();
    assert_eq!(session["state"], "recording", "{session}");
    assert!(session["durable_bytes"].as_u64() >= Some(saved_at_least), "{session}");
    restored.cli(&["record", "--resume", &open, text(&place.path("poured.bin"))]).expect(0);
    assert_restored(&restored, &open, &place.path("poured.bin"), "second.bin");
    assert!(owner.head()["height"].as_u64() > Some(height));
    owner.validate_chain();
    verify(&restored, &export(&restored, &id, "exported"), Some(&verifier), 0, "PROVEN");
    assert_no_panic(&running);
}

/// What an owner without this program can do: the format is age's and tar's.
fn opens_with_age(place: &Place, saved: &Path, recovery_key: &str) {
    let identity = place.file("recovery-key", recovery_key.as_bytes());
    let archive = place.path("saved.tar");
    require_success("age", &["--decrypt", "-i", text(&identity), "-o", text(&archive), text(saved)], AGE);
    let listed = require_success("tar", &["--list", "-f", text(&archive)], "install `tar`");
    let names: Vec<&str> = listed.lines().collect();
    assert_eq!(names.first(), Some(&"backup.json"), "{listed}");
    for store in ["state/auth-service/auth-service", "data/session-storage/session-storage"] {
        assert!(names.contains(&format!("{store}.redb.snapshot").as_str()), "{store} is not in: {listed}");
    }
    assert!(!names.iter().any(|name| name.contains("device.key")), "{listed}");
}

fn damaged_or_foreign_is_refused(place: &Place, saved: &Path, recovery_key: &str) {
    let bytes = std::fs::read(saved).unwrap();
    let mut garbled = bytes.clone();
    let middle = garbled.len() / 2;
    garbled[middle] ^= 0x10;
    let cases: [(&str, &[u8], &str); 6] = [
        ("half of it", &bytes[..middle], recovery_key),
        ("all but its last byte", &bytes[..bytes.len() - 1], recovery_key),
        ("one bit flipped", &garbled, recovery_key),
        ("nothing", b"", recovery_key),
        ("something else", b"not a backup at all", recovery_key),
        ("another key", &bytes, &foreign_recovery_key()),
    ];
    for (what, content, key) in cases {
        let file = place.file("damaged.age", content);
        let outcome = put_back(place, &file, "data-x", "state-x", key);
        assert_eq!(outcome.code, Some(1), "{what}: {}", outcome.all());
        assert!(outcome.stderr.contains("because:"), "{what}: {}", outcome.all());
        for left in ["data-x", "state-x", "data-x.restoring", "state-x.restoring"] {
            assert!(!place.path(left).exists(), "{what}: `{left}` was left behind");
        }
    }
}

fn put_back(place: &Place, saved: &Path, data: &str, state: &str, key: &str) -> Outcome {
    let (data, state): (PathBuf, PathBuf) = (place.path(data), place.path(state));
    let arguments = ["restore", "--backup", text(saved), "--data-dir", text(&data), "--state-dir", text(&state)];
    place.cli_with(&arguments, &format!("{key}\n"))
}

/// A key in the right form that opens nothing of ours.
fn foreign_recovery_key() -> String {
    let output = Command::new("age-keygen").output().expect(AGE);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap().to_owned()
}

#[test]
fn a_data_disk_opens_on_new_hardware_with_the_recovery_key() {
    let mut place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(7, BYTES));
    let verifier = key(&place, "key");
    let height = owner.head()["height"].as_u64().unwrap();
    running.kill();

    let state = place.path("state-2");
    let (data, new) = (text(&place.data).to_owned(), text(&state).to_owned());
    let recover =
        |key: &str| place.cli_with(&["recover", "--data-dir", &data, "--state-dir", &new], &format!("{key}\n"));
    recover(&foreign_recovery_key()).expect_error("recover");
    recover("not a key").expect_error("recover");
    recover(&owner.recovery_key).expect(0);

    place.state = state;
    let running = place.start();
    place.cli(&["logout"]);
    let owner = Owner::claim(&place, &running);
    owner.wait_for_all();
    assert_restored(&place, &id, &place.path("recording.bin"), "restored.bin");
    owner.wait_for_block_above(height + 1);
    owner.validate_chain();
    verify(&place, &export(&place, &id, "exported"), Some(&verifier), 0, "PROVEN");
    assert!(!running.said().contains(PASSWORD));
    assert_no_panic(&running);
}
