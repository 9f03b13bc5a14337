//! Keys, documents and small bundles for tests. Key `n` has the seed of 32 bytes `n`.

use std::collections::BTreeMap;
use std::io::Cursor;

use ed25519_dalek::SigningKey;
use lucid_layout::Digest;
use lucid_layout::update::DataFormat;
use zeroize::Zeroizing;

use crate::*;

/// When the tests happen.
pub(crate) const NOW: UnixSeconds = 1_800_000_000;
/// The root keys of root set 1; the threshold is 2.
pub(crate) const ROOTS: [u8; 3] = [1, 2, 3];
/// The release key for both uses.
pub(crate) const BOTH: u8 = 50;
/// The release key for bundles.
pub(crate) const BUNDLES: u8 = 51;
/// The release key for channels.
pub(crate) const CHANNELS: u8 = 52;
/// A release key that has expired.
pub(crate) const OLD: u8 = 53;
/// A release key that is revoked.
pub(crate) const STOLEN: u8 = 54;

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub(crate) fn public(n: u8) -> PublicKey {
    PublicKey(key(n).verifying_key().to_bytes())
}

pub(crate) fn secret(role: Role, n: u8) -> SecretKey {
    SecretKey::from_seed(role, &format!("key-{n}"), &Zeroizing::new([n; 32])).unwrap()
}

/// The document with signatures by `keys`, whether they may or not.
pub(crate) fn signed_by<T: Document>(document: &T, keys: &[u8]) -> Signed {
    signed_bytes(T::KIND, document.encode().unwrap(), keys)
}

pub(crate) fn signed_bytes(kind: DocumentKind, bytes: Vec<u8>, keys: &[u8]) -> Signed {
    let signatures = keys.iter().map(|n| sign(kind, &bytes, &key(*n))).collect();
    Signed { bytes, signatures }
}

pub(crate) fn root_set(version: u64, keys: &[u8]) -> RootSet {
    let keys = keys.iter().map(|n| public(*n)).collect();
    RootSet { version, purpose: Purpose::Release, threshold: 2, keys }
}

pub(crate) fn first_root() -> Signed {
    signed_by(&root_set(1, &ROOTS), &[1, 2])
}

pub(crate) fn image() -> Vec<u8> {
    first_root().to_bytes(DocumentKind::Root).unwrap()
}

pub(crate) fn trust() -> Trust {
    Trust::from_image(&image()).unwrap()
}

pub(crate) fn release_key(n: u8, uses: &[Use]) -> ReleaseKey {
    ReleaseKey { key: public(n), name: format!("build machine {n}"), not_after: NOW + 1000, uses: uses.to_vec() }
}

pub(crate) fn key_list(version: u64) -> KeyList {
    let both = [Use::Bundle, Use::Channel];
    let old = ReleaseKey { not_after: NOW - 1, ..release_key(OLD, &both) };
    let keys = vec![
        release_key(BOTH, &both),
        release_key(BUNDLES, &[Use::Bundle]),
        release_key(CHANNELS, &[Use::Channel]),
        old,
        release_key(STOLEN, &both),
    ];
    KeyList { version, root_version: 1, keys, revoked: vec![public(STOLEN)] }
}

pub(crate) fn authority() -> Authority {
    Authority { roots: vec![first_root()], keys: signed_by(&key_list(1), &[1, 3]) }
}

pub(crate) fn draft() -> Draft {
    Draft {
        version: "1.4.0".to_owned(),
        compatible: "lucid-pi5".to_owned(),
        build_id: Digest([7; 32]),
        epoch: 3,
        eeprom_min: 1_759_881_600,
        data: DataFormat { generation: 2, reads_from: 2 },
        created: NOW - 100,
        notes: "Recordings start faster.\nNothing else.".to_owned(),
        inputs: BTreeMap::from([("linux".to_owned(), "6.12.47".to_owned())]),
    }
}

/// Bytes that compress neither well nor badly, the same for the same seed.
pub(crate) fn payload(seed: u8, length: usize) -> Vec<u8> {
    let mut noise = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut noise);
    noise.iter().enumerate().map(|(at, byte)| if at % 4 == 0 { *byte } else { byte % 8 }).collect()
}

/// A bundle of these payloads, signed by release key [`BOTH`].
pub(crate) fn bundle_of(root: &[u8], boot: &[u8], authority: Authority) -> (Header, Vec<u8>) {
    let (mut root, mut boot, mut out) = (root, boot, Vec::new());
    let sources = Sources { root: &mut root, boot: &mut boot, effort: Effort::Quick };
    let key = secret(Role::Release, BOTH);
    let header = build(draft(), sources, authority, &key, &mut Cursor::new(vec![]), &mut out).unwrap();
    (header, out)
}

/// A bundle of a few kilobytes.
pub(crate) fn small() -> (Header, Vec<u8>) {
    bundle_of(&payload(1, 700), &payload(2, 90), authority())
}

/// The manifest of [`small`].
pub(crate) fn manifest() -> Manifest {
    small().0.manifest_unverified().unwrap()
}

/// A header with any authority, and a manifest that `keys` sign.
pub(crate) fn header(authority: Authority, keys: &[u8]) -> Header {
    Header::new(authority, signed_by(&manifest(), keys)).unwrap()
}

pub(crate) fn channel(sequence: u64) -> Channel {
    let release = ChannelRelease {
        version: "1.4.0".to_owned(),
        build_id: Digest([7; 32]),
        epoch: 3,
        url: "https://updates.example/lucid-1.4.0.bundle".to_owned(),
        bytes: 123_456_789,
        bundle: Digest([8; 32]),
        percent: 20,
        hold: false,
        notes: "Recordings start faster.".to_owned(),
    };
    let compatible = "lucid-pi5".to_owned();
    Channel { sequence, issued: NOW - 10, expires: NOW + 10, compatible, releases: vec![release] }
}

pub(crate) fn channel_file(channel: &Channel, keys: &[u8]) -> Vec<u8> {
    ChannelFile { authority: authority(), channel: signed_by(channel, keys) }.to_bytes().unwrap()
}

/// A whole bundle as an appliance takes it: its manifest and both payloads.
pub(crate) fn install(trust: &mut Trust, mut bundle: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let header = read_header(&mut bundle).map_err(|error| error.to_string())?;
    let manifest = trust.accept(&header, NOW).map_err(|error| error.to_string())?;
    let (mut unpacker, mut piece) = (Unpacker::new(&manifest, bundle), Vec::new());
    let (mut root, mut boot) = (Vec::new(), Vec::new());
    while let Some(place) = unpacker.next(&mut piece).map_err(|error| error.to_string())? {
        let payload = if place.payload == Kind::Root { &mut root } else { &mut boot };
        assert_eq!(place.offset_in_payload, payload.len() as u64);
        payload.extend_from_slice(&piece);
    }
    Ok((root, boot))
}

/// Bytes that must be refused, one after the other: every bit of `bytes` from byte `from` on flipped.
pub(crate) fn flipped(bytes: &[u8], from: usize) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (from * 8..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit, flipped)
    })
}

/// As [`authority`], with as few keys as there can be: what is flipped bit by bit should be short.
pub(crate) fn short_authority() -> Authority {
    let mut list = key_list(1);
    (list.keys, list.revoked) = (vec![release_key(BOTH, &[Use::Bundle, Use::Channel])], vec![]);
    Authority { roots: vec![first_root()], keys: signed_by(&list, &[1, 3]) }
}
