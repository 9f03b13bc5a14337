//! Channel files.

use std::fs;
use std::process::Output;

use lucid_bundle::Trust;

use crate::fixture::{EPOCH, Inputs, fail, lucid_image, succeed};
use crate::keys::{Keys, NOT_AFTER};

const TIMES: &str = "issued = 2026-01-01T00:00:00Z\nexpires = 2099-01-01T00:00:00Z\n";

/// Keys, and a bundle beside them.
fn release() -> (Keys, String) {
    let (inputs, keys) = (Inputs::new(), Keys::new("test"));
    let image = inputs.build();
    let args = [
        "bundle",
        "--profile",
        "test",
        "--image",
        image.to_str().unwrap(),
        "--key",
        &keys.at("work.key"),
        "--keys",
        &keys.at("keys"),
    ];
    let more = ["--update-root", &keys.at("update-root"), "--source-date-epoch", EPOCH, "--out", &keys.at("bundle")];
    keys.run(&[&args[..], &more].concat());
    let text = format!(
        "sequence = 7\n{TIMES}[[releases]]\nbundle = \"bundle\"\nurl = \"https://example.org/bundle\"\npercent = 25\n\
         notes = \"Faster\"\n"
    );
    (keys, text)
}

fn channel(keys: &Keys, text: &str, key: &str, more: &[&str]) -> Output {
    keys.write("channel.toml", text);
    let args = ["channel", "--describe", &keys.at("channel.toml"), "--key", &keys.at(key), "--keys", &keys.at("keys")];
    let out = ["--update-root", &keys.at("update-root"), "--out", &keys.at("channel")];
    keys.output(&[&args[..], &out, more].concat())
}

#[test]
fn a_box_takes_it_and_learns_what_the_bundle_says() {
    let (keys, text) = release();
    succeed(channel(&keys, &text, "work.key", &[]));
    let bytes = fs::read(keys.path("channel")).unwrap();
    let mut trust = Trust::from_image(&fs::read(keys.path("update-root")).unwrap()).unwrap();
    let taken = trust.accept_channel(&bytes, "lucid-pi5", 1_800_000_000).unwrap();
    assert_eq!((taken.sequence, taken.compatible.as_str(), taken.releases.len()), (7, "lucid-pi5", 1));
    let release = &taken.releases[0];
    assert_eq!((release.version.as_str(), release.epoch, release.percent, release.hold), ("1.2.3", 1, 25, false));
    assert_eq!(release.bytes, keys.path("bundle").metadata().unwrap().len());
    let header = lucid_bundle::read_header(&mut &fs::read(keys.path("bundle")).unwrap()[..]).unwrap();
    assert_eq!(release.bundle, header.id.digest());
    succeed(channel(&keys, &text, "work.key", &[]));
    assert_eq!(fs::read(keys.path("channel")).unwrap(), bytes, "equal inputs, equal bytes");
    let said = keys.run(&["inspect", &keys.at("channel")]);
    assert!(said.contains("channel 7") && said.contains("for 25 %") && said.contains("carries key list 1"), "{said}");
    let root = keys.at("update-root");
    keys.run(&["verify", &keys.at("channel"), "--update-root", &root]);
    let late = keys.output(&["verify", &keys.at("channel"), "--update-root", &root, "--at", "2099-01-02"]);
    assert!(fail(late).contains("channel ended"));
}

#[test]
fn what_a_box_would_refuse_is_not_written() {
    let (keys, text) = release();
    for (from, to, wanted) in [
        ("sequence = 7", "sequence = -7", "not understood"),
        ("percent = 25", "percent = 101", "percentage"),
        ("percent = 25", "percent = 256", "not understood"),
        ("https://", "file://", "address"),
        ("example.org", "example.org/\\r\\nX: y", "address"),
        ("\"bundle\"", "\"none\"", "none"),
        ("\"bundle\"", "\"keys\"", "no update bundle"),
        ("2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "ends before it begins"),
        ("2099-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "ended"),
        ("\"Faster\"", "\"Fast\\u001ber\"", "control characters"),
        ("[[releases]]", "surprise = 1\n[[releases]]", "surprise"),
    ] {
        let said = fail(channel(&keys, &text.replacen(from, to, 1), "work.key", &["--at", "2027-01-01"]));
        assert!(said.contains(wanted), "{to}: {said}");
        assert!(!keys.path("channel").exists(), "{to}");
    }
    for key in ["other.key", "r1.key"] {
        fail(channel(&keys, &text, key, &[]));
    }
    let long = "x".repeat(10_200);
    assert!(fail(channel(&keys, &text.replacen("Faster", &long, 1), "work.key", &[])).contains("too long"));
    let cut = fs::read(keys.path("bundle")).unwrap();
    fs::write(keys.path("bundle"), &cut[..cut.len() - 1]).unwrap();
    assert!(fail(channel(&keys, &text, "work.key", &[])).contains("bytes where its manifest says"));
    assert!(!keys.path("channel").exists());
}

#[test]
fn a_key_for_bundles_alone_signs_no_channel_and_one_for_channels_vouches_for_no_bundle() {
    let (keys, text) = release();
    keys.write(
        "2.toml",
        &keys.list_text(2, &[("work", NOT_AFTER, &["bundle"]), ("other", NOT_AFTER, &["channel"])], &[]),
    );
    keys.sign_keys("2.toml", "keys-2", &["r1", "r2"]);
    fs::rename(keys.path("keys-2"), keys.path("keys")).unwrap();
    assert!(fail(channel(&keys, &text, "work.key", &[])).contains("may not sign this"));
    succeed(channel(&keys, &text, "other.key", &[]));
}

#[test]
fn garbage_is_inspected_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("garbage");
    let cases: [&[u8]; 8] = [
        b"",
        b"LUCIDUP1",
        b"LUCIDUP1\xff\xff\xff\xff",
        b"LUCIDCH1\x01",
        b"\x10\0\0\0{\"type\":\"root\"",
        b"\xff\xff\xff\xff{\"type\":\"keys\"",
        b"\0\0\0\0{\"type\":\"manifest\"",
        &[0; 4096],
    ];
    for bytes in cases {
        fs::write(&path, bytes).unwrap();
        fail(lucid_image().arg("inspect").arg(&path).output().unwrap());
    }
}
