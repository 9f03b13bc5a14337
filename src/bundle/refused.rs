//! Why an appliance does not take a bundle or a channel, each reason with what to do.

use std::fmt;

use crate::UnixSeconds;
use crate::document::Malformed;
use crate::key::PublicKey;
use crate::key_list::Use;
use crate::manifest::Kind;
use crate::signed::{BadSignature, DocumentKind};
use crate::wire::LayoutError;

/// What has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// A release key.
    Key,
    /// A channel.
    Channel,
}

impl fmt::Display for Expiring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Key => "release key that signed this",
            Self::Channel => "channel",
        })
    }
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file is not laid out as it should be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A document, validly signed, makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A signature is not valid.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// The image has no root keys.
    #[error("this image trusts no keys, so it installs no updates; flash a release image")]
    NoRoot,
    /// A valid signature by a key that is not known for such documents.
    #[error("the {kind} is signed by {key}, which is not trusted for it; get the bundle from its publisher")]
    UnknownKey {
        /// What is signed.
        kind: DocumentKind,
        /// By whom.
        key: PublicKey,
    },
    /// Too few root keys have signed.
    #[error(
        "the {kind} carries {found} of {needed} signatures of root set {root_version}; have it signed by more root keys"
    )]
    Threshold {
        /// What is signed.
        kind: DocumentKind,
        /// Which root set's keys were counted.
        root_version: u64,
        /// How many have signed.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// A manifest or channel carries another number of signatures than one.
    #[error("the {kind} carries {found} signatures where one is wanted; have it signed anew, by one release key")]
    NotOneSignature {
        /// What is signed.
        kind: DocumentKind,
        /// How many.
        found: usize,
    },
    /// The bundle's root sets end before the one in force.
    #[error(
        "the bundle's root set {found} is older than {trusted}, which is in force; get a newer build of the bundle"
    )]
    OlderRoot {
        /// The bundle's.
        found: u64,
        /// The one in force.
        trusted: u64,
    },
    /// A root set is missing between the one in force and the bundle's.
    #[error("root set {found} does not follow {trusted}, which is in force; install a release from in between first")]
    RootGap {
        /// The bundle's.
        found: u64,
        /// The one in force.
        trusted: u64,
    },
    /// Another root set of the same number.
    #[error("the bundle has another root set {version} than this appliance; get the bundle from its publisher")]
    RootDiffers {
        /// Its number.
        version: u64,
    },
    /// A root set for tests would follow one for releases, or the other way.
    #[error(
        "root set {version} is for another purpose: test keys are never trusted by a release; get a release's bundle"
    )]
    PurposeChanged {
        /// Its number.
        version: u64,
    },
    /// No further root set fits into what is kept.
    #[error("too many root sets have followed the image's own; flash a newer image")]
    TooManyRoots,
    /// The key list is older than the one in force.
    #[error(
        "the key list {found} (root set {found_root}) is older than {trusted} (root set {trusted_root}), which is in \
         force; get a newer build of the bundle"
    )]
    OlderKeyList {
        /// The bundle's.
        found: u64,
        /// The root set that it names.
        found_root: u64,
        /// The one in force.
        trusted: u64,
        /// Its root set.
        trusted_root: u64,
    },
    /// Another key list of the same number.
    #[error("the bundle has another key list {version} than this appliance; its publisher has to issue a newer one")]
    KeyListDiffers {
        /// Its number.
        version: u64,
    },
    /// The key list names another root set than the newest.
    #[error("the key list is for root set {named} where {trusted} is in force; get a bundle that carries both")]
    KeyListOfOtherRoot {
        /// The root set that it names.
        named: u64,
        /// The one in force.
        trusted: u64,
    },
    /// A root key stands in a list of release keys.
    #[error("the key list has the root key {key} in it, which has to stay offline; its publisher has to issue another")]
    RootKeyListed {
        /// The key.
        key: PublicKey,
    },
    /// The release key is revoked.
    #[error("the release key {key} was revoked; get a bundle that is signed by another key")]
    Revoked {
        /// It.
        key: PublicKey,
    },
    /// The release key is for other things.
    #[error("the release key `{name}` may not sign this; its publisher has to sign with a key for {wanted:?}")]
    WrongUse {
        /// The key's name.
        name: String,
        /// What it would have to be for.
        wanted: Use,
    },
    /// A time is over.
    #[error("the {what} ended at {at} s since 1970; check the appliance's clock, then get a newer file")]
    Expired {
        /// What.
        what: Expiring,
        /// Its last second.
        at: UnixSeconds,
    },
    /// The channel is older than one that was seen.
    #[error(
        "the channel's number {found} is below {seen}, which was seen before: an old file is replayed; fetch it anew"
    )]
    ChannelReplayed {
        /// Its number.
        found: u64,
        /// The highest seen.
        seen: u64,
    },
    /// Another channel of the same number.
    #[error("there are two channels of the number {sequence}; its publisher has to issue one with the next number")]
    ChannelDiffers {
        /// The number.
        sequence: u64,
    },
    /// For other hardware.
    #[error("this is for `{found}`, and this appliance is `{wanted}`; get what is for this hardware")]
    WrongCompatible {
        /// The release's, or the channel's.
        found: String,
        /// The appliance's.
        wanted: String,
    },
    /// Its epoch is below the floor.
    #[error("the release is of epoch {epoch}, and below {floor} nothing is installed any more; get a newer release")]
    BelowFloor {
        /// The release's.
        epoch: u64,
        /// The appliance's.
        floor: u64,
    },
    /// The EEPROM can't boot it.
    #[error("the EEPROM is of {date} s since 1970, and the release needs {min} s or later; update the EEPROM first")]
    EepromTooOld {
        /// The appliance's.
        date: UnixSeconds,
        /// The release's.
        min: UnixSeconds,
    },
    /// The release does not read the data that is there.
    #[error(
        "the release does not read data of generation {generation}, which is on this appliance; get another release"
    )]
    DataUnreadable {
        /// What was written.
        generation: u32,
    },
    /// The partition is too small.
    #[error("the {kind} payload has {bytes} bytes and its partition {room}; flash an image with larger partitions")]
    NoRoom {
        /// Which.
        kind: Kind,
        /// The payload.
        bytes: u64,
        /// The partition.
        room: u64,
    },
}
