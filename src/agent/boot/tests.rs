use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::*;

#[test]
fn ready_resets_the_count_and_keeps_the_rest() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("attempts.json");
    ready(&path).unwrap();
    assert!(!path.exists(), "where nothing is counted, nothing is written");
    fs::write(&path, json!({"boots_without_ready": 2, "boot_id": "b", "slot": "a"}).to_string()).unwrap();
    for _ in 0..2 {
        ready(&path).unwrap();
        let attempts: Attempts = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((attempts.boots_without_ready, attempts.boot_id.as_str()), (0, "b"));
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_damaged_count_is_an_error_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("attempts.json");
    for content in ["", "{", "[]", "{\"boots_without_ready\": -1}"] {
        fs::write(&path, content).unwrap();
        assert!(matches!(ready(&path), Err(BootError::Meaning(_))), "{content}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    fs::write(&path, vec![b' '; 17 * 1024]).unwrap();
    assert!(matches!(ready(&path), Err(BootError::Read(_))));
}

#[test]
fn a_report_is_there_or_not_or_damaged() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("boot.json");
    assert!(report(&path).is_absent());
    fs::write(&path, "{}").unwrap();
    assert!(report(&path).reason().unwrap().contains("makes no sense"));
    let boot = json!({"slot": "b", "boot_count": 1, "first_boot": true, "state": "fresh", "provisioned": true,
        "serial": "10000000abcd1234", "problems": [{"code": "x", "text": "y"}], "of_a_newer_release": 1});
    fs::write(&path, boot.to_string()).unwrap();
    assert_eq!(report(&path).present().unwrap().serial.as_deref(), Some("10000000abcd1234"));
}
