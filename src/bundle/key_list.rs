//! Key lists: which release keys count, for what, and until when.

use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::document::{Document, Malformed, is_name, need};
use crate::key::PublicKey;
use crate::limits::{KEYS_MAX, REVOKED_MAX};
use crate::root_set::are_distinct;
use crate::signed::DocumentKind;

/// What a release key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Manifests of bundles.
    Bundle,
    /// Channels.
    Channel,
}

/// A release key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseKey {
    /// It.
    pub key: PublicKey,
    /// Whose or where it is, for people.
    pub name: String,
    /// The last second in which it counts.
    pub not_after: UnixSeconds,
    /// What it may sign: `bundle`, `channel` or both, in this order.
    pub uses: Vec<Use>,
}

/// The release keys that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyList {
    /// Rises with every list under one root set. The first list under a new root set may begin at any number.
    pub version: u64,
    /// The root set whose keys have signed it.
    pub root_version: u64,
    /// The keys, distinct, at most [`KEYS_MAX`].
    pub keys: Vec<ReleaseKey>,
    /// Keys that count no more whatever else stands here, distinct, at most [`REVOKED_MAX`].
    pub revoked: Vec<PublicKey>,
}

/// A release key as it stands with an appliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// What the list says.
    pub key: ReleaseKey,
    /// Whether it is revoked.
    pub revoked: bool,
}

impl Document for KeyList {
    const KIND: DocumentKind = DocumentKind::Keys;

    fn check(&self) -> Result<(), Malformed> {
        let need = |holds, problem| need(Self::KIND, holds, problem);
        need(self.version >= 1 && self.root_version >= 1, "a version is 0")?;
        need(self.keys.len() <= KEYS_MAX, "it has too many keys")?;
        need(self.revoked.len() <= REVOKED_MAX, "it revokes too many keys")?;
        need(are_distinct(self.keys.iter().map(|key| key.key)), "it has a key twice")?;
        need(are_distinct(self.revoked.iter().copied()), "it revokes a key twice")?;
        need(self.keys.iter().all(|key| key.key.verifying().is_some()), "one of its keys is no key")?;
        need(self.keys.iter().all(|key| is_name(&key.name)), "the name of a key is not one short line")?;
        let ascend = |uses: &[Use]| !uses.is_empty() && uses.is_sorted_by(|one, next| one < next);
        need(self.keys.iter().all(|key| ascend(&key.uses)), "a key has no use, or its uses are out of order")
    }
}

impl KeyList {
    /// Lists are ordered by this: a new root set starts anew, so that whoever had stolen the old one's keys can't have
    /// used up all numbers.
    pub(crate) const fn order(&self) -> (u64, u64) {
        (self.root_version, self.version)
    }

    pub(crate) fn find(&self, key: &PublicKey) -> Option<&ReleaseKey> {
        self.keys.iter().find(|known| known.key == *key)
    }

    pub(crate) fn revokes(&self, key: &PublicKey) -> bool {
        self.revoked.contains(key)
    }

    /// Whether `key` may sign for `wanted` at some time.
    pub(crate) fn allows(&self, key: &PublicKey, wanted: Use) -> bool {
        !self.revokes(key) && self.find(key).is_some_and(|known| known.uses.contains(&wanted))
    }
}
