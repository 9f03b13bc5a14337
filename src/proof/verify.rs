//! The offline verifier: is this export the recording that the chain put on record?
//!
//! Follows the whole binding: chunk, leaf, root in the manifest, SHA-256 of the manifest in the anchor, transaction
//! root, header, certificate and log, checkpoint, and from there to what the caller trusts. Names every file (chunk,
//! line, member) that breaks it. Chunks are streamed, memory does not grow with the recording. Needs no key and no
//! network. Must never stop at the first finding, and never call something proven while there is one.

mod content;
mod evidence;
mod report;
mod trust;

pub use report::{Doubt, FINDINGS_MAX, Finding, Kind, Place, Report, Verdict};
pub use trust::{Trust, TrustError, TrustedCheckpoint};

use std::io::Read as _;

use crate::block::Transaction;
use crate::export::{self, Files};
use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::note::NOTE_BYTES_MAX;
use content::Content;
use evidence::Evidence;
use report::Findings;
use trust::Judgement;

/// How far the verifier got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many chunks were looked at.
    pub chunks_done: u64,
    /// How many there are, if anything readable says so.
    pub chunks_total: Option<u64>,
    /// How many bytes of chunks were read.
    pub bytes_done: u64,
}

/// Checks an export against what the caller trusts. `progress` is called after each chunk.
pub fn verify(files: &dyn Files, trust: &Trust, progress: &mut dyn FnMut(Progress)) -> Report {
    let mut findings = Findings::default();
    let names = match list(files) {
        Ok(names) => names,
        Err(problem) => {
            findings.unreadable(Place::Export, problem);
            return findings.into_report(None, None, false, None);
        }
    };
    let evidence = Evidence::read(files, &names, &mut findings);
    let content = Content { files, names: &names, expected: evidence.expected() };
    content.check(&mut findings, progress);
    // Trust is judged only for an export that is right in itself; otherwise it would blame the wrong file.
    let judgement = match (&evidence.proof, &evidence.checkpoint, findings.is_empty()) {
        (Some(proof), Some(checkpoint), true) => Some(trust.judge(proof, checkpoint)),
        _ => None,
    };
    let (trusted, doubt) = match judgement {
        Some(Judgement::Trusted) => (true, None),
        Some(Judgement::Open(doubt)) => (false, Some(doubt)),
        Some(Judgement::Contradicts(place, problem)) => {
            findings.wrong(place, problem);
            (false, None)
        }
        None => (false, None),
    };
    let header = evidence.proof.map(|proof| proof.header);
    findings.into_report(evidence.manifest, header, trusted, doubt)
}

/// The sorted names of the files, if this is an export at all.
fn list(files: &dyn Files) -> Result<Vec<String>, String> {
    let mut names = files.list().map_err(|error| format!("can't be listed: {error}"))?;
    names.sort_unstable();
    if !contains(&names, export::MANIFEST) && !contains(&names, export::PROOF) {
        return Err("is not an export: it has neither `manifest` nor `proof.json`".to_owned());
    }
    Ok(names)
}

/// What the chunks must amount to.
#[derive(Clone, Copy)]
struct Expected {
    root: Hash,
    chunks: u64,
}

impl Expected {
    fn of_manifest(manifest: &Manifest) -> Self {
        Self { root: manifest.root, chunks: manifest.chunks }
    }

    fn of_transaction(transaction: &Transaction) -> Self {
        match transaction {
            Transaction::Anchor(anchor) => Self { root: anchor.root, chunks: anchor.chunks },
        }
    }
}

/// Reads one of the small files as text; what keeps it from being read is a finding.
fn read_text(
    files: &dyn Files,
    names: &[String],
    name: &'static str,
    place: Place,
    findings: &mut Findings,
) -> Option<String> {
    if !contains(names, name) {
        findings.wrong(place, "is missing".to_owned());
        return None;
    }
    let bytes_max = if name == export::PROOF { export::PROOF_BYTES_MAX } else { NOTE_BYTES_MAX };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    let read = files.open(name).and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        findings.unreadable(place, format!("can't be read: {error}"));
        return None;
    }
    if bytes.len() > bytes_max {
        findings.wrong(place, format!("is larger than {bytes_max} bytes"));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(_) => {
            findings.wrong(place, "is not UTF-8 text".to_owned());
            None
        }
    }
}

/// Whether the sorted names hold this one.
fn contains(names: &[String], name: &str) -> bool {
    names.binary_search_by(|other| other.as_str().cmp(name)).is_ok()
}

#[cfg(test)]
mod tests;
