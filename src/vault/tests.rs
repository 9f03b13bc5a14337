//! The test bench of this crate, and tests of making, opening and recovering keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::disk::cut;
use crate::{Vault, VaultError, WrappedKey};

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

    /// The boot disk of another appliance.
    fn replace_state(&self) {
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
fn session(vault: &Vault) -> ([u8; 32], WrappedKey) {
    let (key, wrapped) = vault.new_session_key().unwrap();
    (*key.expose(), wrapped)
}

fn opens(vault: &Vault, session: &([u8; 32], WrappedKey)) {
    assert_eq!(vault.unwrap(&session.1).unwrap().expose(), &session.0);
}

/// The error, which must be one.
fn error_of<T>(result: Result<T, VaultError>) -> VaultError {
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
    disks.open().unwrap().issue_recovery().unwrap();
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
    let wrapping = vault.inner.ring().current().unwrap().key.clone();
    for (path, content) in files(&disks.data()) {
        for secret in [vault.inner.master.bytes().as_slice(), wrapping.bytes(), recovery.expose().as_bytes()] {
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
fn another_boot_disk_needs_the_recovery_key() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let kept = session(&vault);
    disks.replace_state();
    let none = error_of(disks.open());
    assert!(matches!(none, VaultError::Unrecoverable { .. }), "{none:?}");
    assert!(!disks.state().join("device.key").exists(), "a refusal makes no secret");
    let recovery = vault.issue_recovery().unwrap();
    drop(vault);
    let before = files(&disks.data());
    let refused = error_of(disks.open());
    assert!(matches!(refused, VaultError::NeedsRecovery { .. }), "{refused:?}");
    assert!(refused.to_string().contains("lucid recover"), "{refused}");
    assert_eq!(files(&disks.data()), before);
    let typed = format!("  {}\n", recovery.expose().to_lowercase());
    opens(&Vault::recover(&disks.state(), &disks.data(), &typed).unwrap(), &kept);
    opens(&disks.open().unwrap(), &kept);
    opens(&Vault::recover(&disks.state(), &disks.data(), recovery.expose()).unwrap(), &kept);
}

#[test]
fn an_appliance_with_a_secret_of_its_own_takes_a_disk_over() {
    let (disks, other) = (Disks::new(), Disks::new());
    drop(other.open().unwrap());
    let device = fs::read(other.state().join("device.key")).unwrap();
    let vault = disks.open().unwrap();
    let (kept, recovery) = (session(&vault), vault.issue_recovery().unwrap());
    drop(vault);
    let refused = error_of(Vault::open(&other.state(), &disks.data()));
    assert!(matches!(refused, VaultError::NeedsRecovery { .. }), "{refused:?}");
    opens(&Vault::recover(&other.state(), &disks.data(), recovery.expose()).unwrap(), &kept);
    assert_eq!(fs::read(other.state().join("device.key")).unwrap(), device);
    error_of(disks.open());
}

#[test]
fn only_the_recovery_key_issued_last_is_taken() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let none = Vault::recover(&disks.state(), &disks.data(), "AGE-SECRET-KEY-1");
    assert!(matches!(error_of(none), VaultError::BadRecoveryKey));
    let well_formed = crate::recovery::RecoveryKey::of(&age::x25519::Identity::generate());
    let none = Vault::recover(&disks.state(), &disks.data(), well_formed.expose());
    assert!(matches!(error_of(none), VaultError::NoRecovery));
    let first = vault.issue_recovery().unwrap();
    let recipient = vault.recovery_recipient().unwrap();
    let second = vault.issue_recovery().unwrap();
    assert_ne!(vault.recovery_recipient().unwrap(), recipient);
    let before = files(disks.dir.path());
    for (text, wrong) in [(first.expose(), true), (well_formed.expose(), true), ("", false), ("age1xyz", false)] {
        let error = error_of(Vault::recover(&disks.state(), &disks.data(), text));
        let expected = if wrong {
            matches!(error, VaultError::WrongRecoveryKey)
        } else {
            matches!(error, VaultError::BadRecoveryKey)
        };
        assert!(expected, "{error:?}");
    }
    assert_eq!(files(disks.dir.path()), before, "refusals write nothing");
    Vault::recover(&disks.state(), &disks.data(), second.expose()).unwrap();
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
fn cut_everywhere(
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
fn a_recovery_that_was_cut_anywhere_can_be_repeated() {
    let donor = Disks::new();
    let vault = donor.open().unwrap();
    let (kept, recovery) = (session(&vault), vault.issue_recovery().unwrap());
    let prepare = || {
        let disks = Disks::new();
        for (path, content) in files(&donor.data()) {
            let copy = disks.data().join(path.strip_prefix(donor.data()).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::write(copy, content).unwrap();
        }
        disks
    };
    let recover = |disks: &Disks| Vault::recover(&disks.state(), &disks.data(), recovery.expose());
    let check = |disks: &Disks, done: bool| {
        if done {
            opens(&disks.open().unwrap(), &kept);
        }
        opens(&recover(disks).unwrap(), &kept);
    };
    cut_everywhere(prepare, |disks| recover(disks).map(drop), check);
}

#[test]
fn an_issue_that_was_cut_leaves_the_former_recovery_key_in_force() {
    let disks = Disks::new();
    let vault = disks.open().unwrap();
    let former = vault.issue_recovery().unwrap();
    let recipient = vault.recovery_recipient();
    cut::after(0, 0);
    let cut_short = vault.issue_recovery();
    cut::never();
    error_of(cut_short);
    assert_eq!(vault.recovery_recipient(), recipient);
    Vault::recover(&disks.state(), &disks.data(), former.expose()).unwrap();
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
