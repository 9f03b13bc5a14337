use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _};

use super::*;

/// A state directory with a certificate in it, and the fingerprint of its authority.
fn state() -> (TempDir, String) {
    let state = tempfile::tempdir().unwrap();
    let clock = SystemClock::new(state.path());
    let listening = Listening::everywhere("former-name.local".to_owned());
    let certificate = listening.certificate(&state.path().join("tls"), &clock).unwrap();
    let fingerprint = certificate.ca_fingerprint_sha256().to_owned();
    (state, fingerprint)
}

fn files(state: &TempDir) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let entries = fs::read_dir(state.path().join("tls")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn open(state: &TempDir) -> Shown {
    Shown::open(state.path(), "name.local".to_owned()).unwrap()
}

#[test]
fn the_boxs_own_is_shown_and_left_as_it_is() {
    let (state, fingerprint) = state();
    let before = files(&state);
    // As the unit has it: nothing can be written there.
    fs::set_permissions(state.path().join("tls"), fs::Permissions::from_mode(0o500)).unwrap();
    let shown = open(&state);
    assert_eq!((shown.certificate.ca_fingerprint_sha256(), shown.problem.as_deref()), (fingerprint.as_str(), None));
    assert_eq!(files(&state), before, "the name has changed, so the leaf was issued anew: elsewhere");
}

#[test]
fn one_that_is_missing_or_damaged_is_replaced_for_this_start_and_that_is_said() {
    let damages: [fn(&Path); 5] = [
        |tls| fs::remove_dir_all(tls).unwrap(),
        |tls| fs::remove_file(tls.join("ca.pem")).unwrap(),
        |tls| fs::remove_file(tls.join("ca.key")).unwrap(),
        |tls| fs::write(tls.join("ca.pem"), "garbage").unwrap(),
        |tls| fs::write(tls.join("ca.key"), vec![b'x'; 100_000]).unwrap(),
    ];
    for (index, damage) in damages.iter().enumerate() {
        let (state, fingerprint) = state();
        damage(&state.path().join("tls"));
        let shown = open(&state);
        assert_ne!(shown.certificate.ca_fingerprint_sha256(), fingerprint, "{index}");
        let problem = shown.problem.expect("it is said");
        assert!(problem.contains("made for this start") && !problem.contains('\n'), "{index}: {problem}");
        assert_eq!(state.path().join("tls").exists(), index > 0, "nothing is made there");
    }
}
