//! Makes channel files: which releases there are, and how many boxes take each by themselves.

use std::fs::File;
use std::path::Path;

use lucid_bundle::{
    COMPATIBLE, Channel, ChannelFile, ChannelRelease, Document as _, DocumentKind, SecretKey, Trust, UnixSeconds,
    read_header,
};

use super::bundle::{AuthorityFiles, own_trust};
use super::describe::{self, ChannelText, ReleaseText};
use super::error::{need, of};
use super::files;
use crate::error::Error;

/// Signs the channel that `description` describes, and checks it as a box would at the time `now_s`. What a release is
/// called, where it begins and how long it is comes from its bundle.
///
/// # Errors
/// If the description is wrong, or a box would refuse the channel or one of its bundles. `out` is as before then.
pub fn channel(
    description: &Path,
    authority: &AuthorityFiles,
    key: &SecretKey,
    now_s: UnixSeconds,
    out: &Path,
) -> Result<Channel, Error> {
    let authority = authority.read()?;
    let mut trust = own_trust(&authority, out)?;
    let ChannelText { sequence, issued, expires, releases } = describe::channel(description)?;
    let folder = description.parent().unwrap_or(Path::new(""));
    let releases = releases.into_iter().map(|release| offered(release, folder, &trust, now_s));
    let releases = releases.collect::<Result<_, _>>()?;
    let channel =
        Channel { sequence, issued: issued.0, expires: expires.0, compatible: COMPATIBLE.to_owned(), releases };
    let mut signed = channel.to_unsigned().map_err(of(description))?;
    signed.signatures.push(key.sign(DocumentKind::Channel, &signed.bytes).map_err(of(description))?);
    let bytes = ChannelFile { authority, channel: signed }.to_bytes().map_err(of(description))?;
    let read_back = trust.accept_channel(&bytes, COMPATIBLE, now_s).map_err(of(description))?;
    files::replace(out, &bytes)?;
    Ok(read_back)
}

/// What a channel says of a bundle that a box would take.
fn offered(text: ReleaseText, folder: &Path, trust: &Trust, now_s: UnixSeconds) -> Result<ChannelRelease, Error> {
    let path = folder.join(&text.bundle);
    let mut file = File::open(&path).map_err(Error::file("open", &path))?;
    let header = read_header(&mut file).map_err(of(&path))?;
    let manifest = trust.clone().accept(&header, now_s).map_err(of(&path))?;
    let bytes = file.metadata().map_err(Error::file("look at", &path))?.len();
    let whole = manifest.bundle_bytes(&header);
    need(bytes == whole, &path, || format!("it has {bytes} bytes where its manifest says {whole}; get it again"))?;
    Ok(ChannelRelease {
        version: manifest.version,
        build_id: manifest.build_id,
        epoch: manifest.epoch,
        url: text.url,
        bytes,
        bundle: header.id.digest(),
        percent: text.percent,
        hold: text.hold,
        notes: text.notes,
    })
}
