use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use super::{RecoveryWriter, decrypt_with_recovery, parse};
use crate::VaultError;
use crate::tests::Disks;

/// More than one piece of the age format (64 KiB).
const CLEAR_BYTES: usize = 200_000;

fn clear() -> Vec<u8> {
    (0..CLEAR_BYTES).map(|at| (at * 31 % 251) as u8).collect()
}

/// A recovery key, its recipient, and a stream to it.
fn encrypted() -> (String, String, Vec<u8>) {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    assert!(matches!(vault.encrypt_to_recovery(Vec::new()), Err(VaultError::NoRecovery)));
    let key = vault.issue_recovery().unwrap().into_text().to_string();
    let mut writer = vault.encrypt_to_recovery(Vec::new()).unwrap();
    writer.write_all(&clear()).unwrap();
    (key, vault.recovery_recipient().unwrap(), writer.finish().unwrap())
}

/// Decrypts all, or gives the error of any stage as text.
fn decrypt(stream: &[u8], key: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut reader = decrypt_with_recovery(stream, key).map_err(|error| error.to_string())?;
    reader.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Runs Debian's `age`, which the tests need.
fn age(arguments: &[&str], dir: &Path) -> Output {
    let output = Command::new("age").args(arguments).current_dir(dir).output();
    let output = output.expect("the `age` tool is missing: install it (apt-get install age), these tests need it");
    assert!(output.status.success(), "age {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn what_is_encrypted_opens_with_the_recovery_key_alone() {
    let (key, _, stream) = encrypted();
    assert!(key.starts_with("AGE-SECRET-KEY-1"));
    let clear_start = &clear()[..64];
    assert!(!stream.windows(64).any(|window| window == clear_start));
    assert_eq!(decrypt(&stream, &key).unwrap(), clear());
    assert_eq!(decrypt(&stream, &format!(" {}\n", key.to_lowercase())).unwrap(), clear());
}

#[test]
fn debians_age_opens_our_streams() {
    let (key, _, stream) = encrypted();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key.txt"), format!("# the owner's\n{key}\n")).unwrap();
    std::fs::write(dir.path().join("backup.age"), &stream).unwrap();
    assert_eq!(age(&["--decrypt", "-i", "key.txt", "backup.age"], dir.path()).stdout, clear());
}

#[test]
fn we_open_the_streams_of_debians_age() {
    let (key, recipient, _) = encrypted();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("clear"), clear()).unwrap();
    let stream = age(&["--encrypt", "-r", &recipient, "clear"], dir.path()).stdout;
    assert_eq!(decrypt(&stream, &key).unwrap(), clear());
}

#[test]
fn debians_age_opens_the_master_key_in_the_document() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let key = vault.issue_recovery().unwrap();
    let json = std::fs::read(disks.file("master.json")).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let sealed = data_encoding::BASE64.decode(document["wrapped_by_recovery"].as_str().unwrap().as_bytes()).unwrap();
    std::fs::write(disks.dir.path().join("key.txt"), key.expose()).unwrap();
    std::fs::write(disks.dir.path().join("master.age"), sealed).unwrap();
    let opened = age(&["--decrypt", "-i", "key.txt", "master.age"], disks.dir.path()).stdout;
    assert_eq!(opened, vault.inner.master.bytes());
}

#[test]
fn truncated_garbled_and_foreign_streams_are_refused() {
    let (key, _, stream) = encrypted();
    for length in [0, 1, 20, 100, 200, 1000, 65_536, stream.len() - 1] {
        assert!(decrypt(&stream[..length], &key).is_err(), "{length}");
    }
    for at in (0..stream.len()).step_by(997).chain([stream.len() - 1]) {
        let mut garbled = stream.clone();
        garbled[at] ^= 1;
        assert!(decrypt(&garbled, &key).is_err(), "{at}");
    }
    assert!(decrypt(&[stream.as_slice(), b"x"].concat(), &key).is_err());
    assert!(decrypt(b"text", &key).is_err());
    let (other, ..) = encrypted();
    assert_eq!(decrypt(&stream, &other).unwrap_err(), VaultError::WrongRecoveryKey.to_string());
}

#[test]
fn a_stream_that_was_not_finished_is_refused() {
    let (key, recipient, _) = encrypted();
    let mut stream = Vec::new();
    let mut writer = RecoveryWriter::new(&recipient, &mut stream).unwrap();
    writer.write_all(&clear()).unwrap();
    drop(writer);
    assert!(decrypt(&stream, &key).is_err());
}

#[test]
fn texts_that_are_no_recovery_key_are_refused() {
    let (key, recipient, stream) = encrypted();
    let swapped = key.replace(&key[20..22], if &key[20..22] == "QQ" { "PP" } else { "QQ" });
    for text in
        ["", "AGE-SECRET-KEY-1", &key[..key.len() - 1], &recipient, &swapped, &key[16..], "ä", &"A".repeat(10_000)]
    {
        assert!(matches!(parse(text), Err(VaultError::BadRecoveryKey)), "{text}");
        assert_eq!(decrypt(&stream, text).unwrap_err(), VaultError::BadRecoveryKey.to_string());
    }
}
