//! What a file of an update says, and whether a box would take it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use lucid_bundle::limits::{BUNDLE_MAGIC, CHANNEL_FILE_BYTES_MAX, CHANNEL_MAGIC};
use lucid_bundle::{
    BundleId, COMPATIBLE, Channel, ChannelFile, Document as _, DocumentKind, KeyList, Kind, Manifest, Purpose, RootSet,
    Signature, Trust, UnixSeconds, Unpacker, Use, read_header,
};
use lucid_layout::EepromRelease;

use super::describe::date;
use super::error::of;
use super::release::Partitions;
use super::{UpdateError, files, quorum};
use crate::error::Error;

/// A bundle that a box would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub id: BundleId,
    /// Its length.
    pub bytes: u64,
    /// What it says.
    pub manifest: Manifest,
    /// Whether test keys have signed it.
    pub is_test: bool,
    /// The EEPROM's release that it carries.
    pub eeprom: Option<EepromRelease>,
}

/// A file of an update, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Bundle,
    Channel,
    Root,
    Keys,
}

/// Which file of an update it is; None for an image, or anything else.
fn kind_of(path: &Path) -> Result<Option<FileKind>, Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut begin = Vec::new();
    file.take(32).read_to_end(&mut begin).map_err(Error::file("read", path))?;
    // A single document begins with its length.
    let is_document = |kind: DocumentKind| {
        begin.get(4..).is_some_and(|json| json.starts_with(format!("{{\"type\":\"{}\"", kind.name()).as_bytes()))
    };
    Ok(if begin.starts_with(BUNDLE_MAGIC) {
        Some(FileKind::Bundle)
    } else if begin.starts_with(CHANNEL_MAGIC) {
        Some(FileKind::Channel)
    } else if is_document(DocumentKind::Root) {
        Some(FileKind::Root)
    } else if is_document(DocumentKind::Keys) {
        Some(FileKind::Keys)
    } else {
        None
    })
}

/// What a file of an update says of itself; nothing of it is checked against anything. None for an image, or anything
/// else.
///
/// # Errors
/// If the file can't be read, or is damaged.
pub fn inspect(path: &Path) -> Result<Option<String>, Error> {
    let said = kind_of(path)?.map(|kind| says(path, kind)).transpose()?;
    Ok(said.map(|said| said + "this is what the file says of itself; `lucid-image verify --update-root` checks it\n"))
}

fn says(path: &Path, kind: FileKind) -> Result<String, Error> {
    Ok(match kind {
        FileKind::Bundle => {
            let file = File::open(path).map_err(Error::file("open", path))?;
            let header = read_header(&mut BufReader::new(file)).map_err(of(path))?;
            let manifest = header.manifest_unverified().map_err(of(path))?;
            let bytes = manifest.bundle_bytes(&header);
            let authority = authority_lines(header.authority(), path)?;
            let signed = signatures(&header.signed_manifest().signatures);
            format!("bundle {}\n{:.1} MiB\n{}{authority}{signed}", header.id, mib(bytes), Shown(&manifest))
        }
        FileKind::Channel => {
            let file = ChannelFile::parse(&files::read(path, CHANNEL_FILE_BYTES_MAX)?).map_err(of(path))?;
            let channel = Channel::decode(&file.channel.bytes).map_err(of(path))?;
            let authority = authority_lines(&file.authority, path)?;
            format!("{}{authority}{}", Shown(&channel), signatures(&file.channel.signatures))
        }
        FileKind::Root => {
            let (signed, set) = quorum::read::<RootSet>(path)?;
            format!("{}{}", Shown(&set), signatures(&signed.signatures))
        }
        FileKind::Keys => {
            let (signed, list) = quorum::read::<KeyList>(path)?;
            format!("{}{}", Shown(&list), signatures(&signed.signatures))
        }
    })
}

fn authority_lines(authority: &lucid_bundle::Authority, path: &Path) -> Result<String, Error> {
    let mut lines = String::new();
    for root in &authority.roots {
        let set = RootSet::decode(&root.bytes).map_err(of(path))?;
        lines += &format!("carries {}", Shown(&set));
    }
    let list = KeyList::decode(&authority.keys.bytes).map_err(of(path))?;
    Ok(format!("{lines}carries {}", Shown(&list)))
}

fn signatures(signatures: &[Signature]) -> String {
    signatures.iter().map(|signature| format!("signature by {}\n", signature.key)).collect()
}

/// Whether a box whose image carries the root set in `root` would take the file at the time `now_s`, every byte of it.
/// Says what it is.
///
/// # Errors
/// Why it would not.
pub fn verify(path: &Path, root: &Path, now_s: UnixSeconds) -> Result<String, Error> {
    let trusted = super::trusted::read(root)?;
    let mut trust = Trust::from_image(&trusted.bytes).map_err(of(root))?;
    let contradiction = |what: &str| Err(of(path)(UpdateError::Contradiction(what.to_owned())));
    match kind_of(path)? {
        None => contradiction("it is no bundle and no channel file; an image is verified without `--update-root`"),
        Some(FileKind::Bundle) => Ok(check(path, trust, now_s)?.to_string()),
        Some(FileKind::Channel) => {
            let bytes = files::read(path, CHANNEL_FILE_BYTES_MAX)?;
            let channel = trust.accept_channel(&bytes, COMPATIBLE, now_s).map_err(of(path))?;
            Ok(format!("{}{}a box with this root set takes it\n", Shown(&channel), test_line(trust.is_test())))
        }
        Some(FileKind::Root | FileKind::Keys) => contradiction(
            "it comes to a box within a bundle; verify that, or add to it with `sign-root` or `sign-keys`",
        ),
    }
}

/// Reads a bundle as a box does, to its last byte, and looks into both payloads.
pub(super) fn check(path: &Path, mut trust: Trust, now_s: UnixSeconds) -> Result<Checked, Error> {
    let file = File::open(path).map_err(Error::file("open", path))?;
    let mut reader = BufReader::new(file);
    let header = read_header(&mut reader).map_err(of(path))?;
    let manifest = trust.accept(&header, now_s).map_err(of(path))?;
    manifest.check_compatible(COMPATIBLE).map_err(of(path))?;
    let folder = tempfile::tempdir().map_err(Error::file("make a folder for", path))?;
    let place = |kind: Kind| folder.path().join(kind.to_string());
    unpack(&manifest, reader, path, &place)?;
    let (boot, root) = (place(Kind::Boot), place(Kind::Root));
    let partitions = Partitions::check(boot, root, Some(folder))?;
    partitions.compare(&manifest, path)?;
    let bytes = manifest.bundle_bytes(&header);
    Ok(Checked { id: header.id, bytes, manifest, is_test: trust.is_test(), eeprom: partitions.eeprom })
}

/// Writes both payloads to files.
fn unpack(
    manifest: &Manifest,
    reader: BufReader<File>,
    path: &Path,
    place: &dyn Fn(Kind) -> std::path::PathBuf,
) -> Result<(), Error> {
    let mut unpacker = Unpacker::new(manifest, reader);
    let mut piece = Vec::new();
    while let Some(at) = unpacker.next(&mut piece).map_err(of(path))? {
        let to = place(at.payload);
        let file = OpenOptions::new().create(true).append(true).open(&to);
        file.and_then(|mut file| file.write_all(&piece)).map_err(Error::file("write", &to))?;
    }
    Ok(())
}

/// As it is shown to people.
struct Shown<'a, T>(&'a T);

impl fmt::Display for Shown<'_, RootSet> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_root(f, self.0)
    }
}

impl fmt::Display for Shown<'_, KeyList> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_keys(f, self.0)
    }
}

impl fmt::Display for Shown<'_, Channel> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Channel { sequence, issued, expires, compatible, releases } = self.0;
        writeln!(f, "channel {sequence} for {compatible}, of {}, until {}", date(*issued), date(*expires))?;
        for release in releases {
            let hold = if release.hold { ", on hold" } else { "" };
            let (version, percent, url) = (&release.version, release.percent, &release.url);
            writeln!(f, "  version {version}, epoch {}, for {percent} %{hold}: {url}", release.epoch)?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown<'_, Manifest> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = self.0;
        writeln!(f, "version {} for {}, epoch {}", manifest.version, manifest.compatible, manifest.epoch)?;
        writeln!(f, "build {}, of {}", manifest.build_id, date(manifest.created))?;
        writeln!(f, "EEPROM of {} or later", date(manifest.eeprom_min))?;
        let data = manifest.data;
        writeln!(f, "writes data of generation {}, reads from {}", data.generation, data.reads_from)?;
        for payload in &manifest.payloads {
            let (kind, pieces) = (payload.kind, payload.pieces.len());
            let compressed: u64 = payload.pieces.iter().map(|piece| u64::from(piece.compressed)).sum();
            writeln!(f, "{kind}: {:.1} MiB, {:.1} compressed, {pieces} pieces", mib(payload.bytes), mib(compressed))?;
        }
        manifest.inputs.iter().try_for_each(|(name, value)| writeln!(f, "made of {name} {value}"))?;
        if manifest.notes.is_empty() { Ok(()) } else { writeln!(f, "notes:\n{}", manifest.notes.trim_end()) }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "bundle {}\n{:.1} MiB", self.id, mib(self.bytes))?;
        write!(f, "{}{}", Shown(&self.manifest), test_line(self.is_test))?;
        if let Some(release) = &self.eeprom {
            writeln!(f, "{}", crate::eeprom::line(release))?;
        }
        writeln!(f, "every byte is what it should be, and a box with this root set takes it")
    }
}

/// What has to be said of test keys.
fn test_line(is_test: bool) -> &'static str {
    if is_test { "signed under TEST keys: no release trusts it\n" } else { "" }
}

pub(super) fn write_root(f: &mut fmt::Formatter<'_>, set: &RootSet) -> fmt::Result {
    let purpose = match set.purpose {
        Purpose::Release => "for releases",
        Purpose::Test => "for TESTS",
    };
    writeln!(f, "root set {} {purpose}, {} of {} keys must agree", set.version, set.threshold, set.keys.len())?;
    set.keys.iter().try_for_each(|key| writeln!(f, "  root key {key}"))
}

pub(super) fn write_keys(f: &mut fmt::Formatter<'_>, list: &KeyList) -> fmt::Result {
    writeln!(f, "key list {} under root set {}", list.version, list.root_version)?;
    for key in &list.keys {
        let uses: Vec<_> =
            key.uses.iter().map(|wanted| if *wanted == Use::Bundle { "bundles" } else { "channels" }).collect();
        writeln!(f, "  key {} `{}` signs {} until {}", key.key, key.name, uses.join(" and "), date(key.not_after))?;
    }
    list.revoked.iter().try_for_each(|key| writeln!(f, "  REVOKED {key}"))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
