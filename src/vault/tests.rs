//! The test bench of this crate, and tests of making and opening keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use crate::disk::cut;
use crate::{Identity, Vault, VaultError, WrappedKey};

/// A boot disk and a data disk.
pub(crate) struct Disks {
    pub(crate) dir: TempDir,
}

impl Disks {
    pub(crate) fn new() -> Self {
        let disks = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(disks.state()).unwrap();
        fs::create_dir(disks.data()).unwrap();
        disks
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data().join("keys").join(name)
    }

    pub(crate) fn open(&self) -> Result<Vault, VaultError> {
        Vault::open(&self.state(), &self.data())
    }

    /// What this appliance signs with.
    pub(crate) fn signing_key(&self) -> SigningKey {
        Identity::open(&self.state()).unwrap().signing_key("chain")
    }

    /// The boot disk of another appliance.
    pub(crate) fn replace_state(&self) {
        fs::remove_dir_all(self.state()).unwrap();
        fs::create_dir(self.state()).unwrap();
    }
}

/// All files below `dir`, with their content.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// A data key and the row that holds it.
pub(crate) fn session(vault: &Vault) -> ([u8; 32], WrappedKey) {
    let (key, wrapped) = vault.new_session_key().unwrap();
    (*key.expose(), wrapped)
}

pub(crate) fn opens(vault: &Vault, session: &([u8; 32], WrappedKey)) {
    assert_eq!(vault.unwrap(&session.1).unwrap().expose(), &session.0);
}

/// The error, which must be one.
pub(crate) fn error_of<T>(result: Result<T, VaultError>) -> VaultError {
    result.err().expect("this must be refused")
}

#[test]
fn keys_are_made_once_and_open_what_they_wrapped() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let (first, second) = (session(&vault), session(&vault));
    assert_ne!(first.0, second.0);
    drop(vault);
    let made = files(disks.dir.path());
    let vault = disks.open().unwrap();
    opens(&vault, &first);
    opens(&vault, &second);
    assert_eq!(files(disks.dir.path()), made, "opening writes nothing");
    assert_eq!(vault.generation().unwrap(), 1);
}

#[test]
fn key_files_are_for_the_service_alone() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    vault.issue_recovery().unwrap();
    vault.follow_state().unwrap();
    for (path, _) in files(disks.dir.path()) {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(disks.data().join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn no_key_lies_in_clear_on_the_data_disk() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let recovery = vault.issue_recovery().unwrap();
    vault.follow_state().unwrap();
    let seed = vault.inner.identity.seed().clone();
    let wrapping = vault.inner.ring().current().unwrap().key.clone();
    for (path, content) in files(&disks.data()) {
        for secret in
            [vault.inner.master.bytes().as_slice(), wrapping.bytes(), seed.bytes(), recovery.expose().as_bytes()]
        {
            assert!(!content.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[test]
fn a_data_disk_that_is_not_mounted_gets_no_keys() {
    let disks = Disks::new();
    let absent = disks.dir.path().join("absent");
    let error = error_of(Vault::open(&disks.state(), &absent));
    assert!(matches!(error, VaultError::Io { .. }), "{error:?}");
    assert!(!absent.exists());
    error_of(Vault::open(&absent, &disks.data()));
    assert!(files(&disks.data()).is_empty());
}

#[test]
fn a_new_data_disk_gets_new_keys_under_the_same_device_secret() {
    let disks = Disks::new();
    drop(disks.open().unwrap());
    let device = fs::read(disks.state().join("device.key")).unwrap();
    fs::rename(disks.data(), disks.dir.path().join("old")).unwrap();
    fs::create_dir(disks.data()).unwrap();
    disks.open().unwrap();
    assert_eq!(fs::read(disks.state().join("device.key")).unwrap(), device);
}

#[test]
fn damaged_keys_are_said_and_never_replaced() {
    type Garble = fn(&mut Vec<u8>);
    let garble: [(&str, Garble); 4] = [
        ("empty", Vec::clear),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("too long", |bytes| bytes.resize(100_000, b' ')),
        ("garbled", |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x5A)),
    ];
    for name in ["keys/master.json", "keys/wrapping-a", "device.key", "identity.key"] {
        for (how, garble) in garble {
            let disks = Disks::new();
            drop(disks.open().unwrap().issue_recovery().unwrap());
            let dir = if name.starts_with("keys") { disks.data() } else { disks.state() };
            let mut bytes = fs::read(dir.join(name)).unwrap();
            garble(&mut bytes);
            fs::write(dir.join(name), &bytes).unwrap();
            let before = files(disks.dir.path());
            let error = error_of(disks.open());
            // Another device secret looks like another appliance's.
            let expected = matches!(error, VaultError::Corrupt { .. })
                || (name == "device.key" && how == "garbled" && matches!(error, VaultError::NeedsRecovery { .. }));
            assert!(expected, "{name} {how}: {error:?}");
            assert_eq!(files(disks.dir.path()), before, "{name} {how}");
        }
    }
}

#[test]
fn missing_keys_are_said_and_never_made_anew() {
    for name in ["master.json", "wrapping-a", "wrapping-b"] {
        let disks = Disks::new();
        drop(disks.open().unwrap());
        fs::remove_file(disks.file(name)).unwrap();
        let error = error_of(disks.open());
        assert!(matches!(error, VaultError::Corrupt { .. }), "{name}: {error:?}");
        assert!(!disks.file(name).exists());
    }
    let disks = Disks::new();
    drop(disks.open().unwrap());
    fs::remove_dir_all(disks.data().join("keys")).unwrap();
    let error = error_of(disks.open());
    assert!(matches!(error, VaultError::KeysMissing { .. }), "{error:?}");
    fs::remove_file(disks.data().join("keys.id")).unwrap();
    disks.open().unwrap();
}

#[test]
fn fields_of_the_document_can_not_be_exchanged() {
    let (disks, other) = (Disks::new(), Disks::new());
    drop((disks.open().unwrap().issue_recovery().unwrap(), other.open().unwrap().issue_recovery().unwrap()));
    let read = |disks: &Disks| -> serde_json::Value {
        serde_json::from_slice(&fs::read(disks.file("master.json")).unwrap()).unwrap()
    };
    for field in ["wrapped_by_device", "check", "version"] {
        let mut document = read(&disks);
        document[field] = if field == "version" { 2.into() } else { read(&other)[field].clone() };
        let original = fs::read(disks.file("master.json")).unwrap();
        fs::write(disks.file("master.json"), document.to_string()).unwrap();
        let error = error_of(disks.open());
        assert!(matches!(error, VaultError::Corrupt { .. }), "{field}: {error:?}");
        fs::write(disks.file("master.json"), original).unwrap();
    }
}

/// Cuts the power before each step of `act` in turn; `check` sees what is left. Ends when nothing was cut.
pub(crate) fn cut_everywhere(
    prepare: impl Fn() -> Disks,
    act: impl Fn(&Disks) -> Result<(), VaultError>,
    check: impl Fn(&Disks, bool),
) {
    for steps in 0.. {
        let disks = prepare();
        cut::after(steps, 0);
        let result = act(&disks);
        cut::never();
        check(&disks, result.is_ok());
        if result.is_ok() {
            assert!(steps > 0, "there was something to cut");
            return;
        }
    }
}

#[test]
fn a_first_start_that_was_cut_anywhere_is_made_good_by_the_next() {
    let check = |disks: &Disks, _| {
        let vault = disks.open().unwrap();
        let kept = session(&vault);
        drop(vault);
        opens(&disks.open().unwrap(), &kept);
        assert!(!disks.data().join("keys.new").exists());
    };
    cut_everywhere(Disks::new, |disks| disks.open().map(drop), check);
}

#[test]
fn nothing_prints_a_secret() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let (key, _) = vault.new_session_key().unwrap();
    let recovery = vault.issue_recovery().unwrap();
    let printed = format!("{vault:?} {key:?} {recovery:?} {:?}", vault.inner.master);
    assert!(
        printed.contains("SessionKey(..)") && printed.contains("RecoveryKey(..)") && printed.contains("Secret(..)")
    );
    assert!(!printed.contains("AGE-SECRET-KEY"));
    assert!(!printed.contains(&format!("{:?}", key.expose())[1..20]));
}
