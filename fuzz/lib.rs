//! The world in which the fuzz targets play: fixed keys, one small bundle, one channel.
//!
//! The secret keys are known to everybody and for nothing else. The targets use them to sign what libFuzzer comes up
//! with, because no mutation hits a valid signature by chance, and what lies behind it would never be reached.

use std::collections::BTreeMap;
use std::io::Cursor;

use ed25519_dalek::SigningKey;
use lucid_bundle::*;
use lucid_layout::Digest;
use lucid_layout::update::DataFormat;

/// When it all happens.
pub const NOW: UnixSeconds = 1_800_000_000;

/// The seed of the release key, of 32 such bytes. The root keys' are 1, 2 and 3.
pub const RELEASE: u8 = 50;

/// The payloads of the bundle.
pub const ROOT: &[u8] = &[b'r'; 300];
/// The payloads of the bundle.
pub const BOOT: &[u8] = b"boot boot boot boot boot";

/// Key `n`.
#[must_use]
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Public key `n`.
#[must_use]
pub fn public(n: u8) -> PublicKey {
    PublicKey(key(n).verifying_key().to_bytes())
}

/// Any bytes, signed as a document of `kind`.
#[must_use]
pub fn signed(kind: DocumentKind, bytes: &[u8], keys: &[u8]) -> Signed {
    Signed { bytes: bytes.to_vec(), signatures: keys.iter().map(|n| sign(kind, bytes, &key(*n))).collect() }
}

fn document<T: Document>(document: &T, keys: &[u8]) -> Signed {
    signed(T::KIND, &document.encode().expect("the world is within its limits"), keys)
}

/// Root set `version`.
#[must_use]
pub fn root_set(version: u64) -> RootSet {
    RootSet { version, purpose: Purpose::Test, threshold: 2, keys: [1, 2, 3].map(public).to_vec() }
}

/// The image's root set.
#[must_use]
pub fn first_root() -> Signed {
    document(&root_set(1), &[1, 2])
}

/// The image's file.
///
/// # Panics
/// Never: it is always the same.
#[must_use]
pub fn image() -> Vec<u8> {
    first_root().to_bytes(DocumentKind::Root).expect("the world is within its limits")
}

/// The key list.
#[must_use]
pub fn key_list() -> KeyList {
    let uses = vec![Use::Bundle, Use::Channel];
    let key = ReleaseKey { key: public(RELEASE), name: "a build machine".to_owned(), not_after: NOW + 1, uses };
    KeyList { version: 5, root_version: 1, keys: vec![key], revoked: vec![public(60)] }
}

/// Root sets and key list.
#[must_use]
pub fn authority() -> Authority {
    Authority { roots: vec![first_root()], keys: document(&key_list(), &[1, 2]) }
}

/// A whole bundle.
///
/// # Panics
/// Never: it is always the same.
#[must_use]
pub fn bundle() -> (Header, Vec<u8>) {
    let draft = Draft {
        version: "1.0.0".to_owned(),
        compatible: "lucid-pi5".to_owned(),
        build_id: Digest([7; 32]),
        epoch: 1,
        eeprom_min: 1,
        data: DataFormat { generation: 1, reads_from: 1 },
        created: NOW,
        notes: "New.".to_owned(),
        inputs: BTreeMap::from([("linux".to_owned(), "6.12".to_owned())]),
    };
    let sources = Sources { root: &mut { ROOT }, boot: &mut { BOOT }, effort: Effort::Quick };
    let file = format!("lucid-key-1 release fuzz {}", format!("{RELEASE:02x}").repeat(32));
    let (key, mut out) = (SecretKey::parse(&file).expect("this is its form"), Vec::new());
    let header = build(draft, sources, authority(), &key, &mut Cursor::new(vec![]), &mut out);
    (header.expect("the world is within its limits"), out)
}

/// A channel file.
///
/// # Panics
/// Never: it is always the same.
#[must_use]
pub fn channel_file() -> Vec<u8> {
    let release = ChannelRelease {
        version: "1.0.0".to_owned(),
        build_id: Digest([7; 32]),
        epoch: 1,
        url: "https://updates.example/1".to_owned(),
        bytes: 1000,
        bundle: Digest([8; 32]),
        percent: 50,
        hold: false,
        notes: "New.".to_owned(),
    };
    let compatible = "lucid-pi5".to_owned();
    let channel = Channel { sequence: 3, issued: NOW, expires: NOW + 1, compatible, releases: vec![release] };
    let file = ChannelFile { authority: authority(), channel: document(&channel, &[RELEASE]) };
    file.to_bytes().expect("the world is within its limits")
}

/// An appliance that has never seen anything.
///
/// # Panics
/// Never: it is always the same.
#[must_use]
pub fn trust() -> Trust {
    Trust::from_image(&image()).expect("the image is valid")
}

/// A document of type `T` is read from these bytes, or not; whatever is read is written the same.
///
/// # Panics
/// If not: that is a finding.
pub fn round_trip<T: Document>(bytes: &[u8]) -> Option<T> {
    let document = T::decode(bytes).ok()?;
    assert_eq!(document.encode().expect("what was read can be written"), bytes);
    Some(document)
}
