//! When one document follows another: pure questions about signatures, thresholds and numbers.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::document::Document as _;
use crate::key::PublicKey;
use crate::key_list::KeyList;
use crate::refused::Refused;
use crate::root_set::RootSet;
use crate::signed::{DocumentKind, Signed};

/// Whether each of `sets` has its threshold among `signers`, and nobody else is among them.
pub(super) fn endorsed(kind: DocumentKind, signers: &BTreeSet<PublicKey>, sets: &[&RootSet]) -> Result<(), Refused> {
    if let Some(stranger) = signers.iter().find(|key| !sets.iter().any(|set| set.has(key))) {
        return Err(Refused::UnknownKey { kind, key: *stranger });
    }
    sets.iter().try_for_each(|set| {
        let (found, needed) = (set.agreeing(signers), usize::from(set.threshold));
        let root_version = set.version;
        if found >= needed { Ok(()) } else { Err(Refused::Threshold { kind, root_version, found, needed }) }
    })
}

/// The root set after `current`, or why it is none.
pub(super) fn successor(current: &RootSet, next: &Signed) -> Result<RootSet, Refused> {
    // That it is an older one, say, tells more than that the keys of its time are strangers today.
    checked_successor(current, next).map_err(|refused| misfit(current, next).unwrap_or(refused))
}

/// The old threshold is counted before a byte is parsed, the new one's after.
fn checked_successor(current: &RootSet, next: &Signed) -> Result<RootSet, Refused> {
    let signers = next.signers(DocumentKind::Root)?;
    let old: BTreeSet<_> = signers.iter().copied().filter(|key| current.has(key)).collect();
    endorsed(DocumentKind::Root, &old, &[current])?;
    let set = RootSet::decode(&next.bytes)?;
    endorsed(DocumentKind::Root, &signers, &[current, &set])?;
    if set.purpose != current.purpose {
        return Err(Refused::PurposeChanged { version: set.version });
    }
    match current.version.checked_add(1) == Some(set.version) {
        true => Ok(set),
        false => Err(Refused::RootGap { found: set.version, trusted: current.version }),
    }
}

/// Says what is wrong with a root set by its version, if that is what is wrong. Only for the message: nobody may have
/// signed these bytes.
fn misfit(current: &RootSet, next: &Signed) -> Option<Refused> {
    let (found, trusted) = (RootSet::decode(&next.bytes).ok()?.version, current.version);
    match trusted.checked_add(1) {
        Some(wanted) if found == wanted => None,
        _ if found == trusted => Some(Refused::RootDiffers { version: found }),
        _ if found < trusted => Some(Refused::OlderRoot { found, trusted }),
        _ => Some(Refused::RootGap { found, trusted }),
    }
}

/// The key list that the root set's threshold has signed.
pub(super) fn signed_list(root: &RootSet, signed: &Signed) -> Result<KeyList, Refused> {
    let signers = signed.signers(DocumentKind::Keys)?;
    endorsed(DocumentKind::Keys, &signers, &[root])?;
    let list = KeyList::decode(&signed.bytes)?;
    if list.root_version != root.version {
        return Err(Refused::KeyListOfOtherRoot { named: list.root_version, trusted: root.version });
    }
    if let Some(listed) = list.keys.iter().find(|listed| root.has(&listed.key)) {
        return Err(Refused::RootKeyListed { key: listed.key });
    }
    Ok(list)
}

pub(super) fn is_newer(found: &KeyList, trusted: &KeyList) -> Result<(), Refused> {
    match found.order().cmp(&trusted.order()) {
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(Refused::KeyListDiffers { version: found.version }),
        Ordering::Less => Err(Refused::OlderKeyList {
            found: found.version,
            found_root: found.root_version,
            trusted: trusted.version,
            trusted_root: trusted.root_version,
        }),
    }
}
