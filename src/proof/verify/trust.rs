//! What the caller trusts, and whether it vouches for an export.

use data_encoding::BASE64;

use super::evidence::{Opened, open_checkpoint};
use super::{Doubt, Place};
use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::export::Proof;
use crate::hash::Hash;
use crate::note::{NOTE_BYTES_MAX, NoteError, Unverified, VerifierKey};

/// The most hashes of a consistency path between two logs of less than 2^64 headers.
const CONSISTENCY_MAX: usize = 65;

/// What the caller trusts, from outside the export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: an export can at best be consistent.
    None,
    /// The appliance's key, under the name of its chain: it must have recorded, anchored and signed.
    Key(VerifierKey),
    /// A checkpoint from another source: its log must have the block.
    Checkpoint(TrustedCheckpoint),
}

/// A trusted checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// A consistency path between it and the export's checkpoint, in the direction of growth; may be empty.
    pub consistency: Vec<Hash>,
    /// The line `key …` that stood before it, if one did, with its newline.
    key: String,
    /// The signed note.
    note: String,
}

/// Why a text is nothing to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The text is far too long.
    #[error("the text has {bytes} bytes, the limit is {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The key can't be read.
    #[error("the text has a key that can't be used")]
    Key(#[source] NoteError),
    /// A line `consistency` can't be read.
    #[error("the lines `consistency` are not at most 65 hashes in base64")]
    Consistency,
    /// The note is not in order.
    #[error("the text is neither a verifier key (NAME+HASH+BASE64) nor a signed checkpoint")]
    Note(#[source] NoteError),
    /// The note is not a checkpoint, or not by the key in the text.
    #[error("the text has a checkpoint that can't be used")]
    Checkpoint(#[source] CheckpointError),
}

/// Whether what is trusted vouches for an export that is right in itself.
pub(super) enum Judgement {
    Trusted,
    /// It neither vouches nor contradicts.
    Open(Doubt),
    Contradicts(Place, String),
}

impl Trust {
    /// Reads a verifier key, or a checkpoint: an optional line `key NAME+HASH+BASE64`, any lines `consistency BASE64`,
    /// then the signed note. With a key the note's signature is checked; without one, size and root are taken as they
    /// stand, so they must have come from a place that is trusted itself.
    ///
    /// # Errors
    /// [`TrustError`] says what the text lacks.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(TrustError::TooLarge { bytes: text.len() });
        }
        if !text.trim_end().contains('\n') {
            return VerifierKey::parse(text.trim_end()).map(Self::Key).map_err(TrustError::Key);
        }
        let (key, rest) = match text.strip_prefix("key ").and_then(|rest| rest.split_once('\n')) {
            Some((key, rest)) => (Some(VerifierKey::parse(key).map_err(TrustError::Key)?), rest),
            None => (None, text),
        };
        let key_line = text[..text.len() - rest.len()].to_owned();
        let (consistency, note) = parse_consistency(rest)?;
        let checkpoint = match key {
            Some(key) => Checkpoint::open(note, &[key]).map_err(TrustError::Checkpoint)?.0,
            None => {
                let note = Unverified::parse(note).map_err(TrustError::Note)?;
                Checkpoint::parse(note.text).map_err(TrustError::Checkpoint)?
            }
        };
        Ok(Self::Checkpoint(TrustedCheckpoint { checkpoint, consistency, key: key_line, note: note.to_owned() }))
    }

    pub(super) fn judge(&self, proof: &Proof, exported: &Opened) -> Judgement {
        match self {
            Self::None => Judgement::Open(Doubt::NothingTrusted),
            Self::Key(key) => judge_key(key, proof, exported),
            Self::Checkpoint(trusted) => trusted.judge(proof, &exported.checkpoint),
        }
    }
}

impl TrustedCheckpoint {
    /// The signed note, without what stood before it.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The text for [`Trust::parse`] with this consistency path in place of the one there was.
    pub fn with_consistency(&self, path: &[Hash]) -> String {
        let lines: String = path.iter().map(|hash| format!("consistency {}\n", BASE64.encode(hash))).collect();
        format!("{}{lines}{}", self.key, self.note)
    }

    fn judge(&self, proof: &Proof, exported: &Checkpoint) -> Judgement {
        let trusted = &self.checkpoint;
        if trusted.origin != exported.origin {
            let problem = format!("is of `{}`, the export is of `{}`", trusted.origin, exported.origin);
            return Judgement::Contradicts(Place::Trust, problem);
        }
        // Every checkpoint in the proof was checked before; unreadable ones can't be among them.
        let also = proof.also.iter().filter_map(|also| open_checkpoint(&also.checkpoint, proof).ok());
        for candidate in also.map(|opened| opened.checkpoint).chain([exported.clone()]) {
            if candidate.size == trusted.size {
                return self.compare_equal(&candidate);
            }
        }
        if trusted.size <= proof.header.height {
            return Judgement::Open(Doubt::TooOld { trusted: trusted.size, height: proof.header.height });
        }
        self.compare_by_consistency(exported)
    }

    fn compare_equal(&self, candidate: &Checkpoint) -> Judgement {
        if candidate.root == self.checkpoint.root {
            return Judgement::Trusted;
        }
        let problem = format!("and the export's of the same size {} have different roots: a fork", candidate.size);
        Judgement::Contradicts(Place::Trust, problem)
    }

    /// The trusted log is long enough to have the block: it has it, if one of the two logs is the other's beginning.
    fn compare_by_consistency(&self, exported: &Checkpoint) -> Judgement {
        let trusted = &self.checkpoint;
        if self.consistency.is_empty() {
            return Judgement::Open(Doubt::NotConnected { trusted: trusted.size, exported: exported.size });
        }
        let (old, new) = if trusted.size < exported.size { (trusted, exported) } else { (exported, trusted) };
        match checkpoint::compare(old, new, &self.consistency) {
            Ok(()) => Judgement::Trusted,
            Err(error) => Judgement::Contradicts(Place::Trust, lucid_error::chain(&error)),
        }
    }
}

/// The trusted key must be the recorder's and must have signed the export's checkpoint under the chain's name.
fn judge_key(key: &VerifierKey, proof: &Proof, exported: &Opened) -> Judgement {
    let wrong = |place, problem: String| Judgement::Contradicts(place, problem);
    if proof.transaction.sender != key.public_key() {
        return wrong(Place::Proof("transaction"), format!("was not sent by the trusted key `{}`", key.name()));
    }
    if proof.genesis.chain() != key.name() {
        let chain = proof.genesis.chain();
        return wrong(Place::Proof("genesis"), format!("is of `{chain}`, the trusted key is for `{}`", key.name()));
    }
    if !exported.signers.contains(key) {
        return wrong(Place::Checkpoint, format!("is not signed by the trusted key `{}`", key.name()));
    }
    Judgement::Trusted
}

/// Splits the lines `consistency` from what follows them.
fn parse_consistency(text: &str) -> Result<(Vec<Hash>, &str), TrustError> {
    let (mut path, mut rest) = (Vec::new(), text);
    while let Some((line, following)) = rest.strip_prefix("consistency ").and_then(|rest| rest.split_once('\n')) {
        let hash = BASE64.decode(line.as_bytes()).ok().and_then(|hash| Hash::try_from(hash).ok());
        path.push(hash.ok_or(TrustError::Consistency)?);
        if path.len() > CONSISTENCY_MAX {
            return Err(TrustError::Consistency);
        }
        rest = following;
    }
    Ok((path, rest))
}
