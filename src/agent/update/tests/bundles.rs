//! Keys, payloads and bundles, made by the writer that makes the real ones. Key `n` has the seed of 32 bytes `n`.

use std::collections::BTreeMap;
use std::io::Cursor;

use lucid_bundle::{
    Authority, Channel, ChannelFile, ChannelRelease, Document, DocumentKind, Draft, Effort, Header, KeyList, PublicKey,
    Purpose, ReleaseKey, Role, RootSet, SecretKey, Signed, Sources, Use, build, read_header,
};
use lucid_layout::update::DATA;
use lucid_layout::{Digest, Release, files};
use zeroize::Zeroizing;

/// When the tests happen, in seconds.
pub(super) const NOW: u64 = 1_800_000_000;
pub(super) const RELEASE: u8 = 50;
pub(super) const EXPIRED: u8 = 51;
pub(super) const STOLEN: u8 = 52;
pub(super) const CHANNELS: u8 = 53;
pub(super) const STRANGER: u8 = 99;

pub(super) fn secret(role: Role, n: u8) -> SecretKey {
    SecretKey::from_seed(role, &format!("key-{n}"), &Zeroizing::new([n; 32])).unwrap()
}

fn public(n: u8) -> PublicKey {
    secret(Role::Root, n).public()
}

pub(super) fn signed<T: Document>(document: &T, keys: &[u8]) -> Signed {
    let mut signed = document.to_unsigned().unwrap();
    let sign = |n: &u8| secret(T::KIND.role(), *n).sign(T::KIND, &signed.bytes).unwrap();
    signed.signatures = keys.iter().map(sign).collect();
    signed
}

pub(super) fn root_set(version: u64, keys: &[u8]) -> RootSet {
    let keys = keys.iter().map(|n| public(*n)).collect();
    RootSet { version, purpose: Purpose::Release, threshold: 2, keys }
}

/// The file of the image.
pub(super) fn update_root() -> Vec<u8> {
    signed(&root_set(1, &[1, 2, 3]), &[1, 2]).to_bytes(DocumentKind::Root).unwrap()
}

/// The list, with these keys revoked.
pub(super) fn key_list(version: u64, root_version: u64, revoked: &[u8]) -> KeyList {
    let key = |n, uses: &[Use], not_after| ReleaseKey {
        key: public(n),
        name: format!("key {n}"),
        not_after,
        uses: uses.to_vec(),
    };
    let keys = vec![
        key(RELEASE, &[Use::Bundle], NOW + 1000),
        key(EXPIRED, &[Use::Bundle], NOW - 1),
        key(STOLEN, &[Use::Bundle], NOW + 1000),
        key(CHANNELS, &[Use::Channel], NOW + 1000),
    ];
    KeyList { version, root_version, keys, revoked: revoked.iter().map(|n| public(*n)).collect() }
}

pub(super) fn authority() -> Authority {
    Authority { roots: vec![], keys: signed(&key_list(1, 1, &[]), &[1, 3]) }
}

/// What a slot holds.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) root: Vec<u8>,
    pub(super) boot: Vec<u8>,
    pub(super) release: Release,
}

/// A release whose payloads have about these sizes.
pub(super) fn content(seed: u8, version: &str, epoch: u64, root: usize, boot: usize) -> Content {
    let (build_id, root_hash, version) = (Digest([seed; 32]), Digest([seed; 32]), version.to_owned());
    let release = Release { version, build_id, root_hash, epoch, data: DATA };
    let json = serde_json::to_vec(&release).unwrap();
    let mut volume = fat_volume("lucid-release.json", b"LUCID-~1JSO", &json, boot);
    // A boot partition holds more than its directory.
    let files = volume.len() / 2;
    noise(seed, &mut volume[files..]);
    let mut content = vec![0; root];
    noise(seed, &mut content);
    Content { root: content, boot: volume, release }
}

/// Bytes that are another for each seed and place, and compress well.
fn noise(seed: u8, bytes: &mut [u8]) {
    for (at, page) in bytes.chunks_mut(64 * 1024).enumerate() {
        let length = page.len().min(1024);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[seed]).update(&at.to_le_bytes());
        hasher.finalize_xof().fill(&mut page[..length]);
    }
}

/// A FAT32 volume with one file in its root directory: one table, one sector a cluster.
pub(super) fn fat_volume(name: &str, short: &[u8; 11], content: &[u8], bytes: usize) -> Vec<u8> {
    const RESERVED: usize = 32;
    let bytes = bytes.next_multiple_of(512);
    let table_sectors = (bytes / 512 * 4).div_ceil(512);
    let mut volume = vec![0; bytes];
    let mut put = |at: usize, value: &[u8]| volume[at..at + value.len()].copy_from_slice(value);
    put(11, &512_u16.to_le_bytes());
    put(13, &[1]);
    put(14, &(RESERVED as u16).to_le_bytes());
    put(16, &[1]);
    put(32, &((bytes / 512) as u32).to_le_bytes());
    put(36, &(table_sectors as u32).to_le_bytes());
    put(44, &2_u32.to_le_bytes());
    put(510, &[0x55, 0xaa]);
    let clusters = content.len().div_ceil(512) as u32;
    let table = RESERVED * 512;
    [0x0fff_fff8, 0x0fff_ffff, 0x0fff_ffff].iter().enumerate().for_each(|(at, entry): (_, &u32)| {
        put(table + 4 * at, &entry.to_le_bytes());
    });
    for cluster in 3..3 + clusters {
        let next = if cluster + 1 < 3 + clusters { cluster + 1 } else { 0x0fff_ffff };
        put(table + 4 * cluster as usize, &next.to_le_bytes());
    }
    let data = (RESERVED + table_sectors) * 512;
    let mut directory = long_name(name, short);
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(short);
    entry[26..28].copy_from_slice(&3_u16.to_le_bytes());
    entry[28..32].copy_from_slice(&(content.len() as u32).to_le_bytes());
    directory.extend(entry);
    put(data, &directory);
    put(data + 512, content);
    volume
}

/// The entries before the short one that carry the long name; none for a name that is short.
fn long_name(name: &str, short: &[u8; 11]) -> Vec<u8> {
    if name.len() <= 12 {
        return Vec::new();
    }
    let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.len().div_ceil(13);
    units.push(0);
    units.resize(13 * parts.max(units.len().div_ceil(13)), 0xffff);
    let entry = |(number, part): (usize, &[u16])| {
        let mut entry = [0; 32];
        entry[0] = number as u8 + 1 + if number + 1 == parts { 0x40 } else { 0 };
        (entry[11], entry[13]) = (0x0f, sum);
        for (at, unit) in (1..11).chain(14..26).chain(28..32).step_by(2).zip(part) {
            entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        entry
    };
    let entries: Vec<_> = units.chunks(13).take(parts).enumerate().map(entry).collect();
    entries.into_iter().rev().flatten().collect()
}

pub(super) fn draft(release: &Release) -> Draft {
    Draft {
        version: release.version.clone(),
        compatible: "lucid-pi5".to_owned(),
        build_id: release.build_id,
        epoch: release.epoch,
        eeprom_min: 1_759_881_600,
        data: release.data,
        created: NOW - 100,
        notes: "What is new.".to_owned(),
        inputs: BTreeMap::new(),
    }
}

/// A whole bundle.
#[derive(Clone)]
pub(super) struct Bundle {
    pub(super) bytes: Vec<u8>,
    pub(super) header: Header,
}

pub(super) fn bundle(content: &Content) -> Bundle {
    bundle_by(draft(&content.release), content, authority(), RELEASE)
}

pub(super) fn bundle_by(draft: Draft, content: &Content, authority: Authority, key: u8) -> Bundle {
    let (mut root, mut boot, mut bytes) = (&*content.root, &*content.boot, Vec::new());
    let sources = Sources { root: &mut root, boot: &mut boot, effort: Effort::Quick };
    let key = secret(Role::Release, key);
    let header = build(draft, sources, authority, &key, &mut Cursor::new(Vec::new()), &mut bytes).unwrap();
    Bundle { bytes, header }
}

impl Bundle {
    /// One of whatever bytes have a header.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let header = read_header(&mut &*bytes).unwrap();
        Self { bytes, header }
    }

    /// The same pieces behind another authority, signed by another key.
    pub(super) fn signed_anew(&self, authority: Authority, key: u8) -> Self {
        let manifest = self.header.manifest_unverified().unwrap();
        let header = Header::new(authority, signed(&manifest, &[key])).unwrap();
        let pieces = &self.bytes[usize::try_from(self.header.bytes).unwrap()..];
        Self { bytes: [header.raw(), pieces].concat(), header }
    }

    pub(super) fn id(&self) -> Digest {
        self.header.id.digest()
    }
}

pub(super) fn channel(sequence: u64, offers: &[(&Release, &str)]) -> Vec<u8> {
    let release = |(release, version): &(&Release, &str)| ChannelRelease {
        version: (*version).to_owned(),
        build_id: release.build_id,
        epoch: release.epoch,
        url: "https://updates.example/bundle".to_owned(),
        bytes: 1,
        bundle: Digest([8; 32]),
        percent: 100,
        hold: false,
        notes: String::new(),
    };
    let releases = offers.iter().map(release).collect();
    let (issued, expires, compatible) = (NOW - 10, NOW + 10, "lucid-pi5".to_owned());
    let channel = Channel { sequence, issued, expires, compatible, releases };
    ChannelFile { authority: authority(), channel: signed(&channel, &[CHANNELS]) }.to_bytes().unwrap()
}

/// The first partition.
pub(super) fn autoboot_volume(sector: &[u8]) -> Vec<u8> {
    fat_volume(files::AUTOBOOT_TXT, b"AUTOBOOTTXT", sector, 64 * 1024)
}
