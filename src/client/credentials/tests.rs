//! Credential files: private, whole, one per server.

use super::*;
use crate::bench;

fn store() -> (tempfile::TempDir, CredentialStore, Server) {
    let folder = tempfile::tempdir().unwrap();
    let store = CredentialStore::new(folder.path().join("config/lucid"));
    (folder, store, "https://lucid.local:8083".parse().unwrap())
}

#[test]
fn what_is_saved_is_loaded_and_private() {
    let (_folder, store, server) = store();
    assert!(store.load(&server).unwrap().is_none());
    store.save(&server, &bench::credentials(&server)).unwrap();
    let loaded = store.load(&server).unwrap().unwrap();
    assert_eq!((loaded.name.as_str(), loaded.access_token.expose()), ("ada", "access-0"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&store.path(&server)), mode(&store.folder)), (0o600, 0o700));
    assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 1, "no temporary file is left");
    store.forget(&server).unwrap();
    store.forget(&server).unwrap();
    assert!(store.load(&server).unwrap().is_none());
}

#[test]
fn tokens_do_not_show_in_debug() {
    let server: Server = "https://h".parse().unwrap();
    assert!(!format!("{:?}", bench::credentials(&server)).contains("access-0"));
}

#[test]
fn each_server_has_its_own_file_and_is_listed() {
    let (_folder, store, _) = store();
    assert!(store.servers().unwrap().is_empty());
    let addresses = ["http://[::1]:80", "https://a.b:1", "https://a_b:1", "https://lucid.local"];
    for address in addresses {
        let server: Server = address.parse().unwrap();
        store.save(&server, &bench::credentials(&server)).unwrap();
    }
    for name in ["readme.txt", "%zz.json", "%.json", "ftp%3a%2f%2fx.json", "x.lock"] {
        fs::write(store.folder.join(name), b"").unwrap();
    }
    let listed: Vec<_> = store.servers().unwrap().iter().map(Server::to_string).collect();
    assert_eq!(listed, ["http://[::1]", "https://a.b:1", "https://a_b:1", "https://lucid.local"]);
}

#[test]
fn files_that_others_read_or_that_hold_something_else_are_refused() {
    let (_folder, store, server) = store();
    store.save(&server, &bench::credentials(&server)).unwrap();
    let path = store.path(&server);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(store.load(&server).unwrap_err(), ClientError::CredentialsExposed { .. }));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    for garbage in [&b""[..], b"{}", b"[1", &[b' '; 100_000]] {
        fs::write(&path, garbage).unwrap();
        let error = store.load(&server).unwrap_err();
        assert!(matches!(error, ClientError::CredentialsGarbled { .. } | ClientError::Credentials { .. }), "{error}");
    }
}

#[test]
fn the_folder_follows_the_xdg_rules() {
    let folder = |xdg: Option<&str>, home: Option<&str>| credential_folder(xdg.map(OsStr::new), home.map(OsStr::new));
    assert_eq!(folder(Some("/x"), Some("/h")), Some("/x/lucid".into()));
    assert_eq!(folder(None, Some("/h")), Some("/h/.config/lucid".into()));
    assert_eq!(folder(Some("relative"), Some("/h")), Some("/h/.config/lucid".into()));
    assert_eq!(folder(Some(""), None), None);
}

#[test]
fn the_lock_keeps_a_second_holder_waiting() {
    let (_folder, store, server) = store();
    let held = store.lock(&server).unwrap();
    let second = File::open(store.path(&server).with_extension("lock")).unwrap();
    assert!(second.try_lock().is_err());
    drop(held);
    second.try_lock().unwrap();
}
