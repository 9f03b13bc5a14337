//! Root sets: who may say which release keys count.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::document::{Document, Malformed, need};
use crate::key::PublicKey;
use crate::limits::{KEYS_MAX, THRESHOLD_MIN};
use crate::signed::DocumentKind;

/// Whether keys are for releases, or lie around on the machines of developers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// For appliances in the field.
    Release,
    /// For tests. An image that trusts them says so everywhere.
    Test,
}

/// The offline keys, and how many of them must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootSet {
    /// From 1; a new set has the next number.
    pub version: u64,
    /// What for; never changes from one set to the next.
    pub purpose: Purpose,
    /// So many keys must sign: at least [`THRESHOLD_MIN`], at most all.
    pub threshold: u8,
    /// The keys, distinct, at most [`KEYS_MAX`].
    pub keys: Vec<PublicKey>,
}

impl Document for RootSet {
    const KIND: DocumentKind = DocumentKind::Root;

    fn check(&self) -> Result<(), Malformed> {
        let need = |holds, problem| need(Self::KIND, holds, problem);
        need(self.version >= 1, "its version is 0")?;
        need(self.keys.len() <= KEYS_MAX, "it has too many keys")?;
        need(are_distinct(self.keys.iter().copied()), "it has a key twice")?;
        need(self.keys.iter().all(|key| key.verifying().is_some()), "one of its keys is no key")?;
        let threshold_is_met = (usize::from(THRESHOLD_MIN)..=self.keys.len()).contains(&usize::from(self.threshold));
        need(threshold_is_met, "its threshold is below 2 or above the number of its keys")
    }
}

impl RootSet {
    /// How many of the set's keys are among `signers`. Counts keys, so that one key counts once.
    pub(crate) fn agreeing(&self, signers: &BTreeSet<PublicKey>) -> usize {
        self.keys.iter().collect::<BTreeSet<_>>().into_iter().filter(|key| signers.contains(key)).count()
    }

    /// Whether `key` is one of the set.
    pub(crate) fn has(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }
}

/// Whether no key is there twice.
pub(crate) fn are_distinct(keys: impl Iterator<Item = PublicKey>) -> bool {
    let mut seen = BTreeSet::new();
    keys.into_iter().all(|key| seen.insert(key))
}
