//! What the provisioning changes, as a list: one file after the other, then the marker.
//!
//! Every action can be done again after a cut with the same result. Must never take away what the supervisor has made:
//! it runs before the provisioning only where the file had a mistake.

use lucid_layout::{Provisioning, paths};
use serde::Serialize;
use zeroize::Zeroizing;

use super::area::Area;
use crate::error::Error;
use crate::file::{self, Access};
use crate::root::Root;

/// Folder of the certificates.
const TLS: &str = "/state/lucid/tls";
/// What the supervisor issues from the authority in force.
const LEAF: [&str; 2] = ["/state/lucid/tls/leaf.key", "/state/lucid/tls/leaf.pem"];

/// The marker's content, for whoever looks.
const MARKER: &str = "version = 1\n";

/// One change.
pub(super) enum Action {
    /// A directory is there.
    Directory(&'static str, Access),
    /// A file holds this.
    Write(&'static str, Zeroizing<Vec<u8>>, Access),
    /// A file is not there.
    Remove(&'static str),
    /// The provisioning file is overwritten.
    Erase,
}

impl Action {
    fn perform(&self, root: &Root, area: Option<&Area>) -> Result<(), Error> {
        match self {
            Self::Directory(path, access) => file::make_directory(&root.at(path), *access),
            Self::Write(path, content, access) => file::replace(&root.at(path), content, *access),
            Self::Remove(path) => file::remove(&root.at(path)),
            Self::Erase => area.map_or(Ok(()), Area::erase),
        }
    }
}

/// Does one action after the other, and stops at the first that fails.
pub(super) fn run(root: &Root, area: Option<&Area>, actions: &[Action]) -> Result<(), Error> {
    actions.iter().try_for_each(|action| action.perform(root, area))
}

/// Everything that is kept of a provisioning, in place of what an earlier one may have left, then the marker.
pub(super) fn apply(root: &Root, wanted: &Provisioning) -> Result<Vec<Action>, Error> {
    let public = Access { mode: 0o644, uid: root.root_uid };
    let line = |text: &str| format!("{text}\n").into_bytes();
    let network = wanted.network.as_ref().map(|network| toml_of(paths::NETWORK, network)).transpose()?;
    let code = wanted.claim_code.as_ref().map(|code| code.expose().as_bytes().to_vec());
    let mut actions = vec![
        file_or_none(paths::HOSTNAME, wanted.hostname.as_ref().map(|name| line(name.as_str())), public),
        file_or_none(paths::TIMEZONE, wanted.timezone.as_ref().map(|zone| line(zone.as_str())), public),
        file_or_none(paths::NETWORK, network, public),
        file_or_none(paths::SSD, Some(toml_of(paths::SSD, &wanted.ssd)?), public),
        file_or_none(paths::CLAIM_CODE, code, Access { mode: 0o600, uid: root.supervisor_uid }),
    ];
    actions.extend(authority(root, wanted));
    actions.push(mark(root));
    Ok(actions)
}

/// The certificate authority. One that was not asked for is a cut's leftover, unless the supervisor issued from it.
fn authority(root: &Root, wanted: &Provisioning) -> Vec<Action> {
    let uid = root.supervisor_uid;
    let Some(tls) = &wanted.tls else {
        let is_in_use = LEAF.iter().any(|path| root.at(path).exists());
        let leftovers = [Action::Remove(paths::CA_KEY), Action::Remove(paths::CA_CERTIFICATE)];
        return if is_in_use { Vec::new() } else { leftovers.into() };
    };
    let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    let [leaf_key, leaf_certificate] = LEAF.map(Action::Remove);
    vec![
        Action::Directory(TLS, Access { mode: 0o700, uid }),
        leaf_key,
        leaf_certificate,
        Action::Write(paths::CA_KEY, bytes(tls.ca_key.expose()), Access { mode: 0o600, uid }),
        Action::Write(paths::CA_CERTIFICATE, bytes(&tls.ca_certificate), Access { mode: 0o644, uid }),
    ]
}

/// Nothing of any provisioning.
pub(super) fn clear(root: &Root) -> Vec<Action> {
    let nothing = [paths::HOSTNAME, paths::TIMEZONE, paths::NETWORK, paths::SSD, paths::CLAIM_CODE];
    let marker = Action::Remove(paths::PROVISIONED);
    let settings = nothing.map(Action::Remove);
    std::iter::once(marker).chain(settings).chain(authority(root, &Provisioning::default())).collect()
}

/// No provisioning from here on.
pub(super) fn close(root: &Root) -> Vec<Action> {
    vec![mark(root), Action::Erase]
}

fn mark(root: &Root) -> Action {
    file_or_none(paths::PROVISIONED, Some(MARKER.as_bytes().to_vec()), Access { mode: 0o644, uid: root.root_uid })
}

fn file_or_none(path: &'static str, content: Option<Vec<u8>>, access: Access) -> Action {
    content.map_or(Action::Remove(path), |content| Action::Write(path, Zeroizing::new(content), access))
}

fn toml_of(path: &str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let text = toml::to_string(value).map_err(|error| file::damaged(path.as_ref(), &error.to_string()))?;
    Ok(text.into_bytes())
}
