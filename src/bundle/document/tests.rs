use proptest::prelude::*;

use super::*;
use crate::fixture::{channel, key_list, manifest, root_set};
use crate::{Channel, KeyList, Manifest, RootSet};

/// Reads a document and writes it again.
type Again = fn(&[u8]) -> Result<Vec<u8>, Malformed>;

/// What makes a document wrong, and in which way.
type Change<T> = (&'static str, fn(&mut T));

/// One valid document of each kind, and how it is read.
fn all() -> [(Vec<u8>, Again); 4] {
    fn again<T: Document>(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        T::decode(bytes).map(|document| document.encode().unwrap())
    }
    [
        (root_set(1, &[1, 2, 3]).encode().unwrap(), again::<RootSet>),
        (key_list(4).encode().unwrap(), again::<KeyList>),
        (manifest().encode().unwrap(), again::<Manifest>),
        (channel(4).encode().unwrap(), again::<Channel>),
    ]
}

#[test]
fn documents_are_read_as_they_were_written_and_by_their_own_kind_alone() {
    for (at, (bytes, _)) in all().iter().enumerate() {
        for (reader, (_, again)) in all().iter().enumerate() {
            let read = again(bytes);
            assert_eq!(read.is_ok(), at == reader);
            assert!(read.is_err() || read.as_ref() == Ok(bytes));
        }
    }
}

#[test]
fn a_document_has_one_form() {
    for (bytes, again) in all() {
        let text = String::from_utf8(bytes).unwrap();
        let comma = text.find(',').unwrap() + 1;
        let (first, rest) = text.split_at(comma);
        let member = &rest[..rest.find(',').unwrap() + 1];
        for (what, wrong) in [
            ("a blank after it", format!("{text} ")),
            ("a line break after it", format!("{text}\n")),
            ("a blank before it", format!(" {text}")),
            ("a blank within", format!("{first} {rest}")),
            ("a member twice", format!("{first}{member}{rest}")),
            ("a member more", format!("{first}\"new\":1,{rest}")),
            ("a member less", format!("{first}{}", &rest[member.len()..])),
            ("its type twice", format!("{first}{}{rest}", &first[1..])),
            (
                "its type last",
                format!("{{{}{}}}", &rest[..rest.len() - 1], &format!(",{}", &first[1..first.len() - 1])),
            ),
            ("nothing after its type", format!("{}}}", &first[..first.len() - 1])),
            ("an escape where none is needed", text.replacen("\"type\"", "\"\\u0074ype\"", 1)),
            ("a byte order mark", format!("\u{feff}{text}")),
            ("a list around it", format!("[{text}]")),
            ("deep nesting", format!("{first}\"keys\":{}", "[".repeat(4000))),
        ] {
            assert!(again(wrong.as_bytes()).is_err(), "{what}: {wrong}");
        }
        for length in 0..text.len() {
            assert!(again(&text.as_bytes()[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn numbers_and_texts_have_one_form() {
    let bytes = String::from_utf8(channel(4).encode().unwrap()).unwrap();
    assert!(bytes.contains("\"sequence\":4,") && bytes.contains("Recordings"));
    for (from, to) in [
        ("\"sequence\":4,", "\"sequence\":4.0,"),
        ("\"sequence\":4,", "\"sequence\":04,"),
        ("\"sequence\":4,", "\"sequence\":4e0,"),
        ("\"sequence\":4,", "\"sequence\":-0,"),
        ("\"sequence\":4,", "\"sequence\":-4,"),
        ("\"sequence\":4,", "\"sequence\":18446744073709551616,"),
        ("\"sequence\":4,", "\"sequence\":\"4\","),
        ("\"sequence\":4,", "\"sequence\":null,"),
        ("\"sequence\":4,", "\"sequence\":NaN,"),
        ("Recordings", "\\u0052ecordings"),
        ("Recordings", "\\ud800ecordings"),
        ("Recordings", "\\/ecordings"),
        ("Recordings", "\u{1b}[2Jecordings"),
        ("Recordings", "\\u001b[2Jecordings"),
        ("\"hold\":false", "\"hold\":0"),
    ] {
        let wrong = bytes.replacen(from, to, 1);
        assert_ne!(wrong, bytes);
        assert!(Channel::decode(wrong.as_bytes()).is_err(), "{to}");
    }
    let highest = bytes.replacen("\"sequence\":4,", "\"sequence\":18446744073709551615,", 1);
    assert_eq!(Channel::decode(highest.as_bytes()).unwrap().sequence, u64::MAX);
    let not_utf8 =
        bytes.into_bytes().into_iter().map(|byte| if byte == b'R' { 0xff } else { byte }).collect::<Vec<_>>();
    assert!(Channel::decode(&not_utf8).is_err());
}

#[test]
fn a_document_that_is_too_long_is_refused_unread() {
    for (bytes, again) in all() {
        let long = [bytes, vec![b' '; 256 * 1024]].concat();
        assert!(again(&long).unwrap_err().problem.contains("too long"));
    }
}

#[test]
fn what_a_stranger_wrote_does_not_fill_the_message() {
    let strange = format!("{{\"type\":\"root\",\"{}\":1}}", "ä".repeat(1000));
    assert!(RootSet::decode(strange.as_bytes()).unwrap_err().to_string().len() < 400);
}

#[test]
fn root_sets_are_checked() {
    let good = root_set(1, &[1, 2, 3]);
    let wrong: [Change<RootSet>; 8] = [
        ("version 0", |set| set.version = 0),
        ("threshold 0", |set| set.threshold = 0),
        ("threshold 1", |set| set.threshold = 1),
        ("threshold above the keys", |set| set.threshold = 4),
        ("a key twice", |set| set.keys[1] = set.keys[0]),
        ("no keys", |set| set.keys.clear()),
        ("no point", |set| set.keys[0].0 = [0; 32]),
        ("too many keys", |set| set.keys = (1..=17).map(crate::fixture::public).collect()),
    ];
    check(&good, &wrong);
}

#[test]
fn key_lists_are_checked() {
    let wrong: [Change<KeyList>; 11] = [
        ("version 0", |list| list.version = 0),
        ("root version 0", |list| list.root_version = 0),
        ("a key twice", |list| list.keys[1].key = list.keys[0].key),
        ("revoked twice", |list| list.revoked = vec![list.keys[0].key; 2]),
        ("no use", |list| list.keys[0].uses.clear()),
        ("a use twice", |list| list.keys[0].uses = vec![crate::Use::Bundle; 2]),
        ("uses out of order", |list| list.keys[0].uses.reverse()),
        ("no name", |list| list.keys[0].name.clear()),
        ("a name of two lines", |list| list.keys[0].name = "a\nb".to_owned()),
        ("no point", |list| list.keys[0].key.0 = [0; 32]),
        ("too many revoked", |list| list.revoked = (0..65).map(|n| crate::PublicKey([n; 32])).collect()),
    ];
    check(&key_list(1), &wrong);
}

#[test]
fn channels_are_checked() {
    let wrong: [Change<Channel>; 9] = [
        ("ends before it begins", |channel| channel.expires = channel.issued - 1),
        ("no hardware", |channel| channel.compatible.clear()),
        ("a version with a slash", |channel| channel.releases[0].version = "1/2".to_owned()),
        ("101 of 100", |channel| channel.releases[0].percent = 101),
        ("a file", |channel| channel.releases[0].url = "file:///etc/passwd".to_owned()),
        ("no host", |channel| channel.releases[0].url = "https://".to_owned()),
        ("a line break in the address", |channel| channel.releases[0].url = "https://a\r\nb".to_owned()),
        ("a long address", |channel| channel.releases[0].url = format!("https://{}", "a".repeat(1024))),
        ("17 releases", |channel| channel.releases = vec![channel.releases[0].clone(); 17]),
    ];
    check(&channel(1), &wrong);
}

/// `good` can be written, and with each change neither written nor read.
fn check<T: Document + Clone + std::fmt::Debug>(good: &T, wrong: &[Change<T>]) {
    good.encode().unwrap();
    for (what, change) in wrong {
        let mut changed = good.clone();
        change(&mut changed);
        assert!(changed.encode().is_err(), "{what} was written");
        assert!(T::decode(&render(&changed).unwrap()).is_err(), "{what} was read");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read is written the same: near misses of real documents, and garbage.
    #[test]
    fn no_bytes_are_read_as_what_is_not_written_so(
        cut in any::<proptest::sample::Index>(), length in 0..12_usize,
        new in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        for (bytes, again) in all() {
            let from = cut.index(bytes.len());
            let to = (from + length).min(bytes.len());
            let changed = [&bytes[..from], &new, &bytes[to..]].concat();
            if let Ok(written) = again(&changed) {
                prop_assert_eq!(written, changed);
            }
            prop_assert!(again(&new).is_err());
        }
    }
}
