//! Makes a bundle of a release.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use lucid_bundle::limits::NOTES_BYTES_MAX;
use lucid_bundle::{
    Authority, COMPATIBLE, Document as _, DocumentKind, Draft, Effort, Header, KeyList, RootSet, SecretKey, Signed,
    Sources, Trust, UnixSeconds, build,
};

use super::error::{need, of};
use super::look::{self, Checked};
use super::release::{Partitions, Source};
use super::{UpdateError, files, quorum, trusted};
use crate::error::Error;

/// What a bundle is made of. It depends on nothing else but the key.
#[derive(Debug, Clone)]
pub struct BundleInputs {
    /// The release's partitions.
    pub source: Source,
    /// The root sets that it carries, ascending, and the key list: files.
    pub authority: AuthorityFiles,
    /// The version that the release must have; whichever it has if absent.
    pub version: Option<String>,
    /// The epoch that the release must have; whichever it has if absent.
    pub security_epoch: Option<u64>,
    /// Build date of the oldest EEPROM release that can boot it.
    pub eeprom_min_s: UnixSeconds,
    /// When it was built.
    pub created_s: UnixSeconds,
    /// What is new, as a file for the owner.
    pub notes: Option<PathBuf>,
    /// What it was built from: name, and version or SHA-256.
    pub inputs: BTreeMap<String, String>,
    /// How much time compression may take.
    pub effort: Effort,
    /// Where it goes.
    pub out: PathBuf,
}

/// What stands in front of bundles and channels, as files.
#[derive(Debug, Clone)]
pub struct AuthorityFiles {
    /// Root sets, ascending. A box follows them from the one that it trusts.
    pub update_roots: Vec<PathBuf>,
    /// The key list.
    pub keys: PathBuf,
}

impl AuthorityFiles {
    pub(super) fn read(&self) -> Result<Authority, Error> {
        let root = |path: &PathBuf| quorum::read::<RootSet>(path).map(|(signed, _)| signed);
        let roots = self.update_roots.iter().map(root).collect::<Result<Vec<_>, _>>()?;
        let (keys, _) = quorum::read::<KeyList>(&self.keys)?;
        Ok(Authority { roots, keys })
    }
}

/// The trust of a box whose image carries the first of the root sets, for reading back what was just made.
pub(super) fn own_trust(authority: &Authority, path: &Path) -> Result<Trust, Error> {
    let none = || UpdateError::Contradiction("it carries no root set to check it by; give one".to_owned());
    let first = authority.roots.first().ok_or_else(none).map_err(of(path))?;
    trusted::first(first).map(|(_, trust)| trust).map_err(of(path))
}

/// Makes a bundle and checks it as a box would at the time `now_s`.
///
/// # Errors
/// If an input is wrong or they contradict each other, or a box would refuse the result. `out` is as before then.
pub fn bundle(inputs: &BundleInputs, key: &SecretKey, now_s: UnixSeconds) -> Result<Checked, Error> {
    let out = &inputs.out;
    let authority = inputs.authority.read()?;
    let trust = own_trust(&authority, out)?;
    let partitions = Partitions::open(&inputs.source)?;
    let draft = draft(inputs, &partitions)?;
    let new = files::beside(out)?;
    let mut spool = tempfile::tempfile_in(folder(out)).map_err(Error::file("make a file beside", out))?;
    let (mut root, mut boot) = (partitions.open_root()?, partitions.open_boot()?);
    let mut target = BufWriter::new(new.as_file());
    let sources = Sources { root: &mut root, boot: &mut boot, effort: inputs.effort };
    build(draft, sources, authority, key, &mut spool, &mut target).map_err(of(out))?;
    target.flush().map_err(Error::file("write", out))?;
    drop(target);
    let checked = look::check(new.path(), trust, now_s)?;
    files::keep(new, out)?;
    Ok(checked)
}

/// The folder that a file goes into.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn draft(inputs: &BundleInputs, partitions: &Partitions) -> Result<Draft, Error> {
    let release = &partitions.release;
    let is_wanted = inputs.version.as_ref().is_none_or(|version| *version == release.version);
    need(is_wanted, &partitions.boot, || {
        format!("it is version {}, not the one that was asked for; give that one's image", release.version)
    })?;
    need(inputs.security_epoch.is_none_or(|epoch| epoch == release.epoch), &partitions.boot, || {
        format!("it was built for epoch {}, not the one that was asked for; build it anew", release.epoch)
    })?;
    Ok(Draft {
        version: release.version.clone(),
        compatible: COMPATIBLE.to_owned(),
        build_id: release.build_id,
        epoch: release.epoch,
        eeprom_min: inputs.eeprom_min_s,
        data: release.data,
        created: inputs.created_s,
        notes: inputs.notes.as_deref().map_or_else(|| Ok(String::new()), notes)?,
        inputs: inputs.inputs.clone(),
    })
}

fn notes(path: &Path) -> Result<String, Error> {
    let bytes = files::read(path, NOTES_BYTES_MAX)?;
    let no_text = || UpdateError::Contradiction("the notes are no UTF-8; save them as that".to_owned());
    String::from_utf8(bytes).map_err(|_| of(path)(no_text()))
}

/// Writes the bundle `from` with another signature of its manifest to `out`, and, if given, with other root sets and
/// key list.
///
/// # Errors
/// As [`bundle`].
pub fn sign(
    from: &Path,
    key: &SecretKey,
    authority: Option<&AuthorityFiles>,
    now_s: UnixSeconds,
    out: &Path,
) -> Result<Checked, Error> {
    let mut source = File::open(from).map_err(Error::file("open", from))?;
    let old = lucid_bundle::read_header(&mut source).map_err(of(from))?;
    let authority = authority.map_or_else(|| Ok(old.authority().clone()), AuthorityFiles::read)?;
    let trust = own_trust(&authority, from)?;
    let header = signed_anew(&old, authority, key, from)?;
    let mut new = files::beside(out)?;
    new.write_all(header.raw()).map_err(Error::file("write", out))?;
    std::io::copy(&mut source, &mut new).map_err(Error::file("copy to", out))?;
    let checked = look::check(new.path(), trust, now_s)?;
    files::keep(new, out)?;
    Ok(checked)
}

fn signed_anew(old: &Header, authority: Authority, key: &SecretKey, path: &Path) -> Result<Header, Error> {
    old.manifest_unverified().map_err(of(path))?.check().map_err(of(path))?;
    let bytes = old.signed_manifest().bytes.clone();
    let signature = key.sign(DocumentKind::Manifest, &bytes).map_err(of(path))?;
    Header::new(authority, Signed { bytes, signatures: vec![signature] }).map_err(of(path))
}
