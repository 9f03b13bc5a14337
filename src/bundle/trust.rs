//! Which keys an appliance believes, and what it has seen so that nobody can take it back in time.
//!
//! Begins with the root set of the image, and follows from there: the next root set by the thresholds of both, the key
//! list by the threshold of the newest root set, manifests and channels by one listed key. What is validly signed and
//! newer is kept even if what came with it is refused: a revocation sticks. Nothing is parsed before its signatures are
//! valid, but for the version of a root set that does not fit, and that only to say why.

mod follow;
mod kept;

use lucid_layout::Digest;
use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::authority::Authority;
use crate::channel::{Channel, ChannelFile};
use crate::document::{Document, Malformed};
use crate::header::Header;
use crate::key::PublicKey;
use crate::key_list::{KeyInfo, KeyList, Use};
use crate::limits::ROOT_CHAIN_MAX;
use crate::manifest::Manifest;
use crate::refused::{Expiring, Refused};
use crate::root_set::{Purpose, RootSet};
use crate::signed::{DocumentKind, Signed};
use crate::target::is_for;
use crate::wire::LayoutError;
use follow::{endorsed, is_newer, signed_list, successor};

/// Whom an appliance believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The image's root set and its followers, behind its kept predecessors, which count only for an older image; empty
    /// if the image has none, and then nothing is believed.
    roots: Vec<Root>,
    /// The newest key list.
    keys: Option<Listed>,
    /// The newest channel.
    channel: Option<Seen>,
}

/// A root set that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    signed: Signed,
    set: RootSet,
}

/// A key list that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    signed: Signed,
    list: KeyList,
}

/// A channel that was believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    sequence: u64,
    /// BLAKE3 of its document.
    blake3: Digest,
    /// Who signed it.
    key: PublicKey,
}

/// Why the image's root set, or what was kept, is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The image's own root set is none.
    #[error("this image has no valid root keys, so nothing can be updated; flash a release image")]
    Image(#[source] Refused),
    /// What was kept is damaged.
    #[error(
        "the kept update keys are damaged, and the image's own are used; the next bundle or channel brings them anew"
    )]
    Kept(#[source] KeptError),
    /// What was kept is of another image.
    #[error(
        "the kept update keys (root set {kept}) do not descend from this image's (root set {image}), which are used; \
         the next bundle or channel brings newer ones"
    )]
    OtherImage {
        /// The first kept root set.
        kept: u64,
        /// The image's.
        image: u64,
    },
}

/// What is wrong with what was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// Not the file that it should be.
    #[error("it is not the JSON that this release writes: {0}")]
    Form(String),
    /// A signed document in it is not laid out as it should be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A document in it makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A document in it is not signed as it has to be.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Trust {
    /// Begins with the image's root set, the content of [`lucid_layout::paths::UPDATE_ROOT`]. It has no release keys
    /// yet: the first bundle or channel brings them.
    ///
    /// # Errors
    /// If it is no root set that its own threshold has signed.
    pub fn from_image(update_root: &[u8]) -> Result<Self, TrustError> {
        Self::from_first(update_root).map_err(TrustError::Image)
    }

    fn from_first(update_root: &[u8]) -> Result<Self, Refused> {
        Self::begin(Signed::from_bytes(DocumentKind::Root, update_root)?)
    }

    /// A root set with its own threshold. Signatures of its predecessor's keys may be there, too, as in a bundle.
    fn begin(signed: Signed) -> Result<Self, Refused> {
        let signers = signed.signers(DocumentKind::Root)?;
        let set = RootSet::decode(&signed.bytes)?;
        let own = signers.into_iter().filter(|key| set.has(key)).collect();
        endorsed(DocumentKind::Root, &own, &[&set])?;
        Ok(Self { roots: vec![Root { signed, set }], keys: None, channel: None })
    }

    /// Goes on from what was kept, if it descends from the image's root set, and begins with the image's otherwise. The
    /// error says what is wrong with either; whoever believes nothing because of it refuses every update.
    #[must_use]
    pub fn load(update_root: &[u8], kept: Option<&[u8]>) -> (Self, Option<TrustError>) {
        let image = match Self::from_image(update_root) {
            Ok(image) => image,
            Err(error) => return (Self { roots: vec![], keys: None, channel: None }, Some(error)),
        };
        match kept.map(|kept| image.descend(kept)) {
            None => (image, None),
            Some(Ok(trust)) => (trust, None),
            Some(Err(error)) => (image, Some(error)),
        }
    }

    /// Whether the keys are for tests.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.roots.last().is_some_and(|root| root.set.purpose == Purpose::Test)
    }

    /// Number of the newest root set; 0 if there is none.
    #[must_use]
    pub fn root_version(&self) -> u64 {
        self.roots.last().map_or(0, |root| root.set.version)
    }

    /// Number of the newest key list, once one was seen.
    #[must_use]
    pub fn keys_version(&self) -> Option<u64> {
        self.keys.as_ref().map(|keys| keys.list.version)
    }

    /// The release keys.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyInfo> {
        let list = self.keys.as_ref().map(|keys| &keys.list);
        let info = |list: &KeyList| {
            let of = |key: &crate::ReleaseKey| KeyInfo { key: key.clone(), revoked: list.revokes(&key.key) };
            list.keys.iter().map(of).collect()
        };
        list.map(info).unwrap_or_default()
    }

    /// Believes a bundle's manifest, or says why not. Newer root sets and a newer key list that are validly signed are
    /// kept in both cases. Whether the release fits the appliance is another question: [`Manifest::check_compatible`]
    /// and its siblings.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn accept(&mut self, header: &Header, now_s: UnixSeconds) -> Result<Manifest, Refused> {
        self.take(header.authority())?;
        let (manifest, _) = self.open(header.signed_manifest(), Use::Bundle, now_s)?;
        Ok(manifest)
    }

    /// Believes a channel file for hardware `compatible`, or says why not. Keeps its number, and what [`Trust::accept`]
    /// keeps; the numbers of other hardware's channels, which the same key may sign, are not ours.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn accept_channel(&mut self, bytes: &[u8], compatible: &str, now_s: UnixSeconds) -> Result<Channel, Refused> {
        let file = ChannelFile::parse(bytes)?;
        self.take(&file.authority)?;
        let (channel, key) = self.open::<Channel>(&file.channel, Use::Channel, now_s)?;
        is_for(&channel.compatible, compatible)?;
        let sequence = channel.sequence;
        let seen = Seen { sequence, blake3: Digest(*blake3::hash(&file.channel.bytes).as_bytes()), key };
        match &self.channel {
            Some(last) if sequence < last.sequence => {
                return Err(Refused::ChannelReplayed { found: sequence, seen: last.sequence });
            }
            Some(last) if sequence == last.sequence && seen.blake3 != last.blake3 => {
                return Err(Refused::ChannelDiffers { sequence });
            }
            _ => {}
        }
        not_over(Expiring::Channel, channel.expires, now_s)?;
        self.channel = Some(seen);
        Ok(channel)
    }

    /// Follows to newer root sets and to a newer key list.
    fn take(&mut self, authority: &Authority) -> Result<(), Refused> {
        let newest = self.roots.last().ok_or(Refused::NoRoot)?;
        // All of them: a damaged file is refused, wherever the damage is.
        authority.roots.iter().try_for_each(|root| root.signers(DocumentKind::Root).map(drop))?;
        let known = authority.roots.iter().position(|root| root.bytes == newest.signed.bytes);
        // What stands before the one in force is older, and was for appliances that are further behind.
        for root in &authority.roots[known.map_or(0, |known| known + 1)..] {
            self.follow(root)?;
        }
        self.take_keys(&authority.keys)
    }

    /// Follows to the next root set.
    fn follow(&mut self, next: &Signed) -> Result<(), Refused> {
        let current = &self.roots.last().ok_or(Refused::NoRoot)?.set;
        let set = successor(current, next)?;
        if self.roots.len() >= ROOT_CHAIN_MAX {
            return Err(Refused::TooManyRoots);
        }
        self.roots.push(Root { signed: next.clone(), set });
        Ok(())
    }

    fn take_keys(&mut self, signed: &Signed) -> Result<(), Refused> {
        if self.keys.as_ref().is_some_and(|kept| kept.signed.bytes == signed.bytes) {
            // The signatures may be by others of the root keys, and are checked all the same.
            signed.signers(DocumentKind::Keys)?;
            return Ok(());
        }
        let root = &self.roots.last().ok_or(Refused::NoRoot)?.set;
        let list = signed_list(root, signed)?;
        if let Some(kept) = &self.keys {
            is_newer(&list, &kept.list)?;
        }
        // Whoever had a key that counts no more may have used up the channel's numbers.
        self.channel = self.channel.take().filter(|seen| list.allows(&seen.key, Use::Channel));
        self.keys = Some(Listed { signed: signed.clone(), list });
        Ok(())
    }

    /// Opens a document that one release key has signed; also gives the key.
    fn open<T: Document>(&self, signed: &Signed, wanted: Use, now_s: UnixSeconds) -> Result<(T, PublicKey), Refused> {
        let signers = signed.signers(T::KIND)?;
        let found = signed.signatures.len();
        let Some(key) = signers.first().filter(|_| found == 1) else {
            return Err(Refused::NotOneSignature { kind: T::KIND, found });
        };
        let unknown = Refused::UnknownKey { kind: T::KIND, key: *key };
        let list = &self.keys.as_ref().ok_or_else(|| unknown.clone())?.list;
        if list.revokes(key) {
            return Err(Refused::Revoked { key: *key });
        }
        let known = list.find(key).ok_or(unknown)?;
        if !known.uses.contains(&wanted) {
            return Err(Refused::WrongUse { name: known.name.clone(), wanted });
        }
        not_over(Expiring::Key, known.not_after, now_s)?;
        Ok((T::decode(&signed.bytes)?, *key))
    }
}

fn not_over(what: Expiring, at: UnixSeconds, now_s: UnixSeconds) -> Result<(), Refused> {
    if now_s <= at { Ok(()) } else { Err(Refused::Expired { what, at }) }
}

#[cfg(test)]
mod tests;
