//! The reader in Python, written from `docs/updates-format.md` alone, must come to the same verdicts.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::{Channel, ChannelFile, DocumentKind, KeyList, Signed};

/// The Python that has the packages of both `independent/requirements.txt`.
fn python() -> PathBuf {
    // Read at compile time: at run time the environment belongs to the binary's configuration alone.
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/bin/python");
    let python = option_env!("LUCID_PYTHON").map_or(default, PathBuf::from);
    assert!(
        python.exists(),
        "`{}` is missing: make a virtual environment there with the packages of src/proof/independent/requirements.txt \
         and src/bundle/independent/requirements.txt (`make setup` does), or set LUCID_PYTHON",
        python.display()
    );
    python
}

/// What a fresh appliance says here.
fn ours(file: &[u8]) -> bool {
    match file.starts_with(crate::limits::CHANNEL_MAGIC) {
        true => trust().accept_channel(file, "lucid-pi5", NOW).is_ok(),
        false => install(&mut trust(), file).is_ok(),
    }
}

/// Both look at every file; they must agree. Returns how many are good.
fn both(files: &[(String, Vec<u8>)]) -> usize {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("update-root");
    std::fs::write(&root, image()).unwrap();
    let mut command = Command::new(python());
    // Without compiled files, so that nothing is written beside the sources.
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("independent/read_bundle.py"));
    command.arg("--root").arg(root).args(["--now", &NOW.to_string()]);
    for (nth, (_, bytes)) in files.iter().enumerate() {
        let path = place.path().join(nth.to_string());
        std::fs::write(&path, bytes).unwrap();
        command.arg(path);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.lines().count(), files.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let verdicts = files.iter().zip(said.lines());
    verdicts.fold(0, |good, ((what, bytes), line)| {
        assert_eq!(line.starts_with("ok "), ours(bytes), "{what}: read_bundle.py said: {line}");
        good + usize::from(ours(bytes))
    })
}

fn named(what: &str, bytes: Vec<u8>) -> (String, Vec<u8>) {
    (what.to_owned(), bytes)
}

/// A bundle with no pieces after the header: enough to see whether the header is believed.
fn bundle(what: &str, authority: Authority, manifest: &Signed) -> (String, Vec<u8>) {
    let header = Header::new(authority, manifest.clone()).unwrap();
    let pieces = &small().1[small().0.raw().len()..];
    named(what, [header.raw(), pieces].concat())
}

#[test]
fn good_bundles_and_channels_are_good_to_both() {
    let second = signed_by(&root_set(2, &[3, 4, 5]), &[1, 2, 4, 5]);
    let third = signed_by(&root_set(3, &[5, 6, 7]), &[3, 4, 6, 7]);
    let keys = signed_by(&KeyList { root_version: 3, ..key_list(1) }, &[6, 7]);
    let rotated = Authority { roots: vec![first_root(), second, third], keys };
    let large = bundle_of(&payload(1, PIECE_BYTES as usize + 9), &payload(2, 9), authority()).1;
    let good = [
        named("small", small().1),
        named("two pieces", large),
        named("three root sets", bundle_of(&payload(1, 700), &payload(2, 90), rotated).1),
        named("no root set", bundle_of(b"r", b"b", Authority { roots: vec![], ..authority() }).1),
        named("channel", channel_file(&channel(7), &[CHANNELS])),
    ];
    assert_eq!(both(&good), good.len());
}

/// One bit in every ninth byte, each time another, and every length in larger steps.
#[test]
fn damaged_files_are_refused_by_both() {
    let mut files = Vec::new();
    for (name, whole) in [("bundle", small().1), ("channel", channel_file(&channel(7), &[CHANNELS]))] {
        for (bit, bytes) in flipped(&whole, 0).filter(|(bit, _)| bit / 8 % 9 == 0 && bit % 8 == bit / 72 % 8) {
            files.push(named(&format!("{name}, bit {bit}"), bytes));
        }
        for length in (0..whole.len()).step_by(61) {
            files.push(named(&format!("{name}, cut at {length}"), whole[..length].to_vec()));
        }
        files.push(named(&format!("{name} and a byte"), [&whole[..], &[0]].concat()));
    }
    assert!(files.len() > 300);
    assert_eq!(both(&files), 0);
}

#[test]
fn forged_files_are_refused_by_both() {
    let manifest = |keys: &[u8]| signed_by(&manifest(), keys);
    let list = |list: &KeyList, keys: &[u8]| Authority { roots: vec![], keys: signed_by(list, keys) };
    let mut with_root_key = key_list(1);
    with_root_key.keys[0].key = public(3);
    let mut of_second = key_list(1);
    of_second.root_version = 2;
    let next =
        |keys: &[u8], set| Authority { roots: vec![signed_by(&set, keys)], keys: signed_by(&of_second, &[4, 5]) };
    let second = || root_set(2, &[3, 4, 5]);
    let over = Channel { expires: NOW - 1, ..channel(7) };
    let other = Channel { compatible: "lucid-pi6".to_owned(), ..channel(7) };
    let mut files: Vec<_> = [99, 1, OLD, STOLEN, CHANNELS]
        .iter()
        .map(|key| bundle(&format!("key {key}"), authority(), &manifest(&[*key])))
        .collect();
    files.extend([
        bundle("two signatures", authority(), &manifest(&[BOTH, BUNDLES])),
        bundle("one root key", list(&key_list(1), &[1]), &manifest(&[BOTH])),
        bundle("a stranger", list(&key_list(1), &[1, 2, 9]), &manifest(&[BOTH])),
        bundle("release keys list themselves", list(&key_list(1), &[BOTH, BUNDLES]), &manifest(&[BOTH])),
        bundle("a root key is listed", list(&with_root_key, &[1, 2]), &manifest(&[BUNDLES])),
        bundle("a list of another root set", list(&of_second, &[1, 2]), &manifest(&[BOTH])),
        bundle("without the old threshold", next(&[1, 4, 5], second()), &manifest(&[BOTH])),
        bundle("without the new threshold", next(&[1, 2, 4], second()), &manifest(&[BOTH])),
        bundle("a root set is skipped", next(&[1, 2, 4, 5], root_set(3, &[3, 4, 5])), &manifest(&[BOTH])),
        bundle("a manifest as key list", Authority { roots: vec![], keys: manifest(&[BOTH]) }, &manifest(&[BOTH])),
        named("a channel that is over", channel_file(&over, &[CHANNELS])),
        named("a channel for other hardware", channel_file(&other, &[CHANNELS])),
        named("a channel by a key for bundles", channel_file(&channel(7), &[BUNDLES])),
    ]);
    assert_eq!(both(&files), 0);
    let follows = bundle("control: this one follows", next(&[1, 2, 4, 5], second()), &manifest(&[BOTH]));
    assert_eq!(both(&[follows]), 1);
}

/// Signed by the right key, and not in the one form: the readers of JSON must agree on what that is.
#[test]
fn documents_in_other_forms_are_refused_by_both() {
    let text = String::from_utf8(channel(4).encode().unwrap()).unwrap();
    let file = |text: String| {
        let channel = signed_bytes(DocumentKind::Channel, text.into_bytes(), &[BOTH]);
        ChannelFile { authority: authority(), channel }.to_bytes().unwrap()
    };
    let changes = [
        ("\"sequence\":4,", "\"sequence\":4.0,"),
        ("\"sequence\":4,", "\"sequence\":-0,"),
        ("\"sequence\":4,", "\"sequence\":18446744073709551616,"),
        ("\"sequence\":4,", "\"sequence\":true,"),
        ("\"sequence\":4,", "\"sequence\":4, "),
        ("\"sequence\":4,", "\"sequence\":3,\"sequence\":4,"),
        ("\"sequence\":4,", "\"sequence\":NaN,"),
        ("\"hold\":false", "\"hold\":0"),
        ("\"percent\":20", "\"percent\":101"),
        ("\"type\":\"channel\"", "\"type\":\"manifest\""),
        ("Recordings", "\\ud800"),
        ("Recordings", "\\u0052ecordings"),
        ("Recordings", "\\u001brecordings"),
        ("Recordings", "\u{7f}"),
        ("Recordings", "\u{85}"),
        ("Recordings", "\\trecordings"),
        ("https://updates", "ftp://updates"),
        ("1.4.0\"", "1 4\""),
    ];
    let files: Vec<_> = changes
        .iter()
        .map(|(from, to)| {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            named(to, file(changed))
        })
        .collect();
    assert_eq!(both(&files), 0);
    let fine = ["Ünd\u{2028}so", "a\\nb", "\\\"\\\\/", "\u{a0}\u{10ffff}"];
    let files: Vec<_> = fine.iter().map(|notes| named(notes, file(text.replacen("Recordings", notes, 1)))).collect();
    assert_eq!(both(&files), files.len());
}
