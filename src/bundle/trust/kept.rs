//! [`Trust`] as it lies on the state partition.
//!
//! JSON; signed documents as they came, in base64. On loading, every signature is checked again, from the image's root
//! set on: what was kept can be lost or be old, and can't be made up. Root sets before the image's are kept as well,
//! because the appliance may go back to the image that it ran before, which must then find its own among them.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::follow::signed_list;
use super::{KeptError, Listed, Seen, Trust, TrustError};
use crate::document::Document as _;
use crate::key_list::Use;
use crate::limits::{ROOT_CHAIN_MAX, TRUST_BYTES_MAX};
use crate::root_set::RootSet;
use crate::signed::{DocumentKind, Signed};

/// The form that this release reads and writes.
const FORMAT: &str = "lucid-trust-1";

#[derive(Serialize, Deserialize)]
struct Kept {
    format: String,
    roots: Vec<String>,
    keys: Option<String>,
    channel: Option<Seen>,
}

impl Trust {
    /// What is to be kept: at most [`TRUST_BYTES_MAX`].
    ///
    /// # Panics
    /// Never: everything in it was read from bytes within the same limits.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let text =
            |kind, signed: &Signed| BASE64.encode(&signed.to_bytes(kind).expect("it was read within its limits"));
        let kept = Kept {
            format: FORMAT.to_owned(),
            roots: self.roots.iter().map(|root| text(DocumentKind::Root, &root.signed)).collect(),
            keys: self.keys.as_ref().map(|keys| text(DocumentKind::Keys, &keys.signed)),
            channel: self.channel.clone(),
        };
        serde_json::to_vec(&kept).expect("texts and numbers can be written as JSON")
    }

    /// Goes on from here, which is the image's root set alone, to what was kept.
    pub(super) fn descend(&self, kept: &[u8]) -> Result<Self, TrustError> {
        let kept = parse(kept).map_err(TrustError::Kept)?;
        let roots = documents(&kept.roots).map_err(TrustError::Kept)?;
        let mine = &self.roots[0];
        let Some(at) = roots.iter().position(|root| root.bytes == mine.signed.bytes) else {
            // A number for the message, of bytes that nobody may have signed.
            let version = |root: &Signed| RootSet::decode(&root.bytes).map_or(0, |set| set.version);
            let kept = roots.first().map_or(0, version);
            return Err(TrustError::OtherImage { kept, image: mine.set.version });
        };
        replay(roots, at, &kept).map_err(TrustError::Kept)
    }
}

/// Follows the kept root sets, of which number `at` is the image's.
fn replay(roots: Vec<Signed>, at: usize, kept: &Kept) -> Result<Trust, KeptError> {
    let mut roots = roots.into_iter();
    let first = roots.next().ok_or_else(|| KeptError::Form("it has no root set".to_owned()))?;
    let mut trust = Trust::begin(first)?;
    roots.try_for_each(|root| trust.follow(&root))?;
    if let Some(text) = &kept.keys {
        let signed = document(DocumentKind::Keys, text)?;
        let named = crate::KeyList::decode(&signed.bytes)?.root_version;
        // A list that is older than the image's own root set has no signers that this image believes.
        let Some(root) = trust.roots[at..].iter().find(|root| root.set.version == named) else { return Ok(trust) };
        let list = signed_list(&root.set, &signed)?;
        trust.channel = kept.channel.clone().filter(|seen| list.allows(&seen.key, Use::Channel));
        trust.keys = Some(Listed { signed, list });
    }
    Ok(trust)
}

fn parse(bytes: &[u8]) -> Result<Kept, KeptError> {
    let form = |problem: &str| KeptError::Form(problem.to_owned());
    if bytes.len() > TRUST_BYTES_MAX {
        return Err(form("it is too long"));
    }
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| form(&error.to_string()))?;
    match (kept.format == FORMAT, kept.roots.len() <= ROOT_CHAIN_MAX) {
        (true, true) => Ok(kept),
        (false, _) => Err(form("it is of another release")),
        (_, false) => Err(form("it has too many root sets")),
    }
}

fn documents(texts: &[String]) -> Result<Vec<Signed>, KeptError> {
    texts.iter().map(|text| document(DocumentKind::Root, text)).collect()
}

fn document(kind: DocumentKind, text: &str) -> Result<Signed, KeptError> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|error| KeptError::Form(error.to_string()))?;
    Ok(Signed::from_bytes(kind, &bytes)?)
}
