//! Keys, root sets and key lists.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use lucid_bundle::{Role, SecretKey, Trust};
use tempfile::TempDir;

use crate::fixture::{fail, lucid_image, succeed};

/// When the keys below end: long after anyone runs this, and before the clocks of the boxes do.
pub(crate) const NOT_AFTER: &str = "2100-01-01T00:00:00Z";

/// A folder with three root keys, of which two must agree, and two release keys: what a project has.
pub(crate) struct Keys {
    folder: TempDir,
}

impl Keys {
    /// Keys alone, nothing signed.
    pub(crate) fn bare() -> Self {
        let keys = Self { folder: TempDir::new().unwrap() };
        for (role, name) in [("root", "r1"), ("root", "r2"), ("root", "r3"), ("release", "work"), ("release", "other")]
        {
            keys.run(&["keygen", role, "--name", name, "--out", &keys.at(&format!("{name}.key"))]);
        }
        keys.write("root.toml", &keys.root_text(1, "test", &["r1", "r2", "r3"]));
        keys.write("keys.toml", &keys.list_text(1, &[("work", NOT_AFTER, &["bundle", "channel"])], &[]));
        keys
    }

    /// With a root set and a key list that are signed by enough.
    pub(crate) fn new(purpose: &str) -> Self {
        let keys = Self::bare();
        keys.write("root.toml", &keys.root_text(1, purpose, &["r1", "r2", "r3"]));
        keys.sign_root("root.toml", "update-root", &["r1", "r2"]);
        keys.sign_keys("keys.toml", "keys", &["r1", "r2"]);
        keys
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.key"))).unwrap();
        SecretKey::parse(&text).unwrap().public().to_string()
    }

    pub(crate) fn root_text(&self, version: u64, purpose: &str, names: &[&str]) -> String {
        let keys: Vec<_> = names.iter().map(|name| self.public(name)).collect();
        format!("version = {version}\npurpose = \"{purpose}\"\nthreshold = 2\nkeys = {keys:?}\n")
    }

    pub(crate) fn list_text(&self, version: u64, keys: &[(&str, &str, &[&str])], revoked: &[&str]) -> String {
        let revoked: Vec<_> = revoked.iter().map(|name| self.public(name)).collect();
        let key = |(name, not_after, uses): &(&str, &str, &[&str])| {
            let key = self.public(name);
            format!("[[keys]]\nkey = \"{key}\"\nname = \"{name}\"\nnot_after = {not_after}\nuses = {uses:?}\n")
        };
        let keys: String = keys.iter().map(key).collect();
        format!("version = {version}\nroot_version = 1\nrevoked = {revoked:?}\n{keys}")
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        lucid_image().args(args).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        succeed(self.output(args))
    }

    fn with_keys(&self, args: &[&str], keys: &[&str]) -> Output {
        let files: Vec<_> = keys.iter().map(|name| self.at(&format!("{name}.key"))).collect();
        let keys = files.iter().flat_map(|file| ["--key", file]);
        self.output(&args.iter().copied().chain(keys).collect::<Vec<_>>())
    }

    pub(crate) fn try_root(&self, description: &str, out: &str, keys: &[&str], more: &[&str]) -> Output {
        let (description, out) = (self.at(description), self.at(out));
        self.with_keys(&[&["sign-root", "--describe", &description, "--out", &out], more].concat(), keys)
    }

    #[track_caller]
    pub(crate) fn sign_root(&self, description: &str, out: &str, keys: &[&str]) -> String {
        succeed(self.try_root(description, out, keys, &[]))
    }

    fn add_to_root(&self, file: &str, keys: &[&str], more: &[&str]) -> Output {
        self.with_keys(&[&["sign-root", "--add", &self.at(file)], more].concat(), keys)
    }

    pub(crate) fn try_keys(&self, description: &str, out: &str, keys: &[&str]) -> Output {
        let (description, out, root) = (self.at(description), self.at(out), self.at("update-root"));
        self.with_keys(&["sign-keys", "--describe", &description, "--out", &out, "--update-root", &root], keys)
    }

    #[track_caller]
    pub(crate) fn sign_keys(&self, description: &str, out: &str, keys: &[&str]) -> String {
        succeed(self.try_keys(description, out, keys))
    }
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(text.contains(words), "`{words}` is not in:\n{text}");
    }
}

#[test]
fn a_key_is_secret_and_never_overwritten() {
    let keys = Keys::bare();
    let file = keys.path("r1.key");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read_to_string(&file).unwrap();
    let key = SecretKey::parse(&before).unwrap();
    assert_eq!((key.role(), key.name()), (Role::Root, "r1"));
    says(&fail(keys.output(&["keygen", "root", "--name", "x", "--out", &keys.at("r1.key")])), &["there already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    let said = keys.run(&["keygen", "release", "--name", "new", "--out", &keys.at("new.key")]);
    assert_eq!(said, format!("{}\n", keys.public("new")), "the public key, and nothing of the secret");
    assert_ne!(keys.public("new"), keys.public("work"));
}

#[test]
fn names_and_places_that_are_none() {
    let keys = Keys::bare();
    let long = "x".repeat(129);
    for name in ["", "a b", "a\nb", "a/b", "ä", &long] {
        says(&fail(keys.output(&["keygen", "root", "--name", name, "--out", &keys.at("new")])), &["name of a key"]);
        assert!(!keys.path("new").exists(), "{name}");
    }
    for out in [keys.at("none/new"), keys.at(".")] {
        fail(keys.output(&["keygen", "root", "--name", "x", "--out", &out]));
    }
    let usage = keys.output(&["keygen", "admin", "--name", "x", "--out", &keys.at("new")]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_key_that_others_may_read_or_that_is_none_signs_nothing() {
    let keys = Keys::bare();
    let try_it = || fail(keys.try_root("root.toml", "update-root", &["r1"], &[]));
    fs::set_permissions(keys.path("r1.key"), fs::Permissions::from_mode(0o640)).unwrap();
    says(&try_it(), &["may be read by others", "chmod 600"]);
    fs::set_permissions(keys.path("r1.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["", "lucid-key-1 root r1 12", "lucid-key-2 root r1", &"x".repeat(513)] {
        keys.write("r1.key", text);
        let said = try_it();
        says(&said, &["r1.key"]);
    }
    fs::write(keys.path("r1.key"), [0xff; 40]).unwrap();
    says(&try_it(), &["no key file"]);
    assert!(!keys.path("update-root").exists());
}

#[test]
fn a_root_set_is_signed_by_one_after_the_other_in_any_order() {
    let keys = Keys::bare();
    let first = keys.sign_root("root.toml", "one", &["r2"]);
    says(&first, &["root set 1 for TESTS, 2 of 3", &keys.public("r3"), "1 of the 2 signatures", "not complete"]);
    assert!(Trust::from_image(&fs::read(keys.path("one")).unwrap()).is_err(), "one is not enough");
    says(&succeed(keys.add_to_root("one", &["r1"], &[])), &["2 of the 2 signatures", "\ncomplete"]);
    let trust = Trust::from_image(&fs::read(keys.path("one")).unwrap()).unwrap();
    assert!(trust.is_test() && trust.root_version() == 1 && trust.keys().is_empty());
    keys.sign_root("root.toml", "other", &["r1", "r2"]);
    assert_eq!(fs::read(keys.path("one")).unwrap(), fs::read(keys.path("other")).unwrap());
    // Again, by one who has signed: nothing changes, and nobody counts twice.
    says(&succeed(keys.add_to_root("other", &["r1", "r1"], &[])), &["2 of the 2"]);
    assert_eq!(fs::read(keys.path("one")).unwrap(), fs::read(keys.path("other")).unwrap());
    says(&keys.sign_root("root.toml", "twice", &["r1", "r1"]), &["1 of the 2", "not complete"]);
}

#[test]
fn root_sets_that_are_refused() {
    let keys = Keys::bare();
    let good = fs::read_to_string(keys.path("root.toml")).unwrap();
    for (from, to, wanted) in [
        ("threshold = 2", "threshold = 1", "threshold"),
        ("threshold = 2", "threshold = 4", "threshold"),
        ("threshold = 2", "threshold = 300", "description"),
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = 2", "root set 1; give that one"),
        ("\"test\"", "\"toast\"", "toast"),
        ("keys = [", "more = 1\nkeys = [", "more"),
        ("keys = [", "keys = [\"00\", ", "hexadecimal"),
        ("keys = [", &format!("keys = [\"{}\", ", "0".repeat(64)), "no key"),
        ("keys = [", &format!("keys = [\"{}\", ", keys.public("r1")), "twice"),
    ] {
        keys.write("bad.toml", &good.replacen(from, to, 1));
        says(&fail(keys.try_root("bad.toml", "bad", &["r1", "r2"], &[])), &[wanted]);
        assert!(!keys.path("bad").exists(), "{to}");
    }
    says(&fail(keys.try_root("root.toml", "bad", &["work"], &[])), &["release key signs no root set"]);
    keys.run(&["keygen", "root", "--name", "r4", "--out", &keys.at("r4.key")]);
    says(&fail(keys.try_root("root.toml", "bad", &["r1", "r4"], &[])), &["`r4`", "none of those that sign"]);
    assert!(!keys.path("bad").exists());
    keys.sign_root("root.toml", "update-root", &["r1"]);
    says(&fail(keys.try_root("root.toml", "update-root", &["r1", "r2"], &[])), &["there already"]);
}

#[test]
fn a_file_that_was_changed_gets_no_further_signature() {
    let keys = Keys::bare();
    keys.sign_root("root.toml", "update-root", &["r1"]);
    let good = fs::read(keys.path("update-root")).unwrap();
    // In the number of keys that must agree, in the signature, and behind the end.
    let threshold = String::from_utf8_lossy(&good).find("\"threshold\":2").unwrap() + 12;
    for at in [threshold, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(keys.path("update-root"), &bad).unwrap();
        fail(keys.add_to_root("update-root", &["r2"], &[]));
        assert_eq!(fs::read(keys.path("update-root")).unwrap(), bad);
    }
    for bad in [&good[..good.len() - 1], &[&good[..], b"x"].concat(), b"", b"\xff\xff\xff\xff"] {
        fs::write(keys.path("update-root"), bad).unwrap();
        fail(keys.add_to_root("update-root", &["r2"], &[]));
    }
}

#[test]
fn new_root_keys_need_the_old_and_the_new() {
    let keys = Keys::new("test");
    keys.run(&["keygen", "root", "--name", "r4", "--out", &keys.at("r4.key")]);
    keys.write("root-2.toml", &keys.root_text(2, "test", &["r3", "r4"]));
    let former = ["--former", &keys.at("update-root")];
    says(&fail(keys.try_root("root-2.toml", "root-2", &["r4"], &[])), &["root set 1; give that one"]);
    let said = succeed(keys.try_root("root-2.toml", "root-2", &["r3", "r4"], &former));
    says(&said, &["2 of the 2 signatures that root set 2", "1 of the 2 signatures that root set 1", "not complete"]);
    says(&succeed(keys.add_to_root("root-2", &["r1"], &former)), &["\ncomplete"]);
    for (version, purpose, wanted) in
        [(3, "test", "does not follow"), (1, "test", "does not follow"), (2, "release", "purpose")]
    {
        keys.write("bad.toml", &keys.root_text(version, purpose, &["r3", "r4"]));
        says(&fail(keys.try_root("bad.toml", "bad", &["r3"], &former)), &[wanted]);
    }
    // A set that nobody has agreed to is followed by none.
    keys.sign_root("root.toml", "half", &["r1"]);
    says(&fail(keys.try_root("root-2.toml", "bad", &["r3"], &["--former", &keys.at("half")])), &["too few"]);
}

#[test]
fn a_key_list_is_signed_by_root_keys_alone() {
    let keys = Keys::bare();
    keys.sign_root("root.toml", "update-root", &["r1"]);
    says(&fail(keys.try_keys("keys.toml", "keys", &["r1"])), &["too few", "signed first"]);
    succeed(keys.add_to_root("update-root", &["r2"], &[]));
    let said = keys.sign_keys("keys.toml", "keys", &["r3"]);
    says(&said, &["key list 1 under root set 1", "`work` signs bundles and channels until 2100", "not complete"]);
    let root = keys.at("update-root");
    let add = |key: &str| keys.with_keys(&["sign-keys", "--add", &keys.at("keys"), "--update-root", &root], &[key]);
    says(&fail(add("work")), &["release key signs no key list"]);
    says(&succeed(add("r1")), &["\ncomplete"]);
    let good = fs::read_to_string(keys.path("keys.toml")).unwrap();
    for (from, to, wanted) in [
        ("root_version = 1", "root_version = 2", "correct `root_version`"),
        ("version = 1\nroot", "version = 0\nroot", "version is 0"),
        ("uses = [\"bundle\", \"channel\"]", "uses = []", "no use"),
        ("name = \"work\"", "name = \"\"", "name of a key"),
    ] {
        keys.write("bad.toml", &good.replacen(from, to, 1));
        says(&fail(keys.try_keys("bad.toml", "bad", &["r1"])), &[wanted]);
        assert!(!keys.path("bad").exists());
    }
}

#[test]
fn arguments_that_exclude_each_other() {
    let keys = Keys::new("test");
    let (toml, root, key) = (keys.at("root.toml"), keys.at("update-root"), keys.at("r1.key"));
    for args in [
        &["sign-root", "--key", &key][..],
        &["sign-root", "--describe", &toml, "--key", &key],
        &["sign-root", "--describe", &toml, "--add", &root, "--key", &key],
        &["sign-root", "--add", &root, "--out", &root, "--key", &key],
        &["sign-root", "--add", &root],
        &["sign-keys", "--add", &root, "--key", &key],
    ] {
        assert_eq!(keys.output(args).status.code(), Some(2), "{args:?}");
    }
}
