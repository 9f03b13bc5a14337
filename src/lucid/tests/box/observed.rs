//! What the box tells about itself: logs without secrets, metrics that parse.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bench::{LONG, Owner, PASSWORD, Place, mix},
    crash::assert_no_panic,
    proof::record,
};

#[test]
fn every_service_has_a_log_and_none_holds_a_secret() {
    let mut place = Place::new();
    place.environment.push(("LOG_LEVEL".to_owned(), "debug".to_owned()));
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    let id = record(&place, "recording.bin", &mix(21, 1_500_000));
    place.cli(&["backup", "saved.age"]).expect(0);
    place.cli(&["delete", &id, "--yes"]).expect(0);
    let terminal = running.said();
    assert_no_panic(&running);
    assert!(running.terminate(LONG).success());

    let logs = files_below(&place.data.join("logs"));
    let named: BTreeSet<String> = logs.iter().map(|path| relative(path, &place.data)).collect();
    for name in ["auth-service", "blockchain-engine", "session-storage", "session-pipeline", "admin-interface"] {
        assert!(named.iter().any(|file| file.contains(name)), "no log of {name}: {named:?}");
    }
    for path in &logs {
        let content = std::fs::read_to_string(path).unwrap();
        for line in content.lines() {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(parsed.is_ok_and(|line| line.is_object()), "{}: {line}", path.display());
        }
        assert_no_secret(&owner, &path.display().to_string(), content.as_bytes());
    }
    assert_no_secret(&owner, "the terminal", terminal.as_bytes());
    for path in [files_below(&place.data), files_below(&place.state)].concat() {
        assert_no_secret(&owner, &path.display().to_string(), &std::fs::read(&path).unwrap());
    }
}

/// None of what the owner was told or has told is in `content`.
#[track_caller]
fn assert_no_secret(owner: &Owner, place: &str, content: &[u8]) {
    let plain_code = owner.code.replace('-', "");
    let (_, signature) = owner.access_token.rsplit_once('.').unwrap();
    let (_, refresh_signature) = owner.refresh_token.rsplit_once('.').unwrap();
    let secrets =
        [PASSWORD, &owner.recovery_key, &owner.code, &plain_code, signature, refresh_signature, &owner.access_token];
    for secret in secrets {
        let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{place} holds `{secret}`");
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap().display().to_string()
}

#[test]
fn metrics_parse_and_tell_of_the_recording() {
    let place = Place::new();
    let running = place.start();
    let owner = Owner::claim(&place, &running);
    record(&place, "recording.bin", &mix(22, 1_500_000));
    let metrics = owner.get("/metrics").expect(200);
    assert!(metrics.header("content-type").is_some_and(|value| value.starts_with("text/plain; version=0.0.4")));
    let text = metrics.text();
    for name in ["lucid_recording_bytes_total 1500000", "lucid_chain_height", "lucid_http_requests_total"] {
        assert!(text.contains(name), "`{name}` is not in: {text}");
    }
    let file = place.file("metrics", text.as_bytes());
    let mut promtool = Command::new("promtool");
    let checked = promtool.args(["check", "metrics"]).stdin(std::fs::File::open(file).unwrap()).output();
    let checked = checked.expect("install Debian's package `prometheus`, for `promtool`");
    // 3 stands for advice about names and help texts; anything else for what no scraper takes.
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(matches!(checked.status.code(), Some(0 | 3)), "{said}");
    assert!(!said.contains("error while linting"), "{said}");
    assert_no_panic(&running);
}
