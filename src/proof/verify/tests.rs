//! Every test builds an export, changes something, and looks at verdict and findings.

mod damage;
mod forgery;
mod independent;
mod trusting;

use super::*;
use crate::fixture::{Export, Recipe};

/// The trust that the honest export of `Recipe::new(1)` meets.
fn key_of(export: &Export) -> Trust {
    Trust::Key(export.chain.verifier())
}

fn check(export: &Export, trust: &Trust) -> Report {
    verify(export, trust, &mut |_| {})
}

/// The places that were found, as the user sees them.
fn places(report: &Report) -> Vec<String> {
    report.findings.iter().map(|finding| finding.place.to_string()).collect()
}

#[test]
fn an_honest_export_is_proven() {
    let export = Recipe::new(1).export();
    let report = check(&export, &key_of(&export));
    assert_eq!((report.verdict, &report.findings), (Verdict::Proven, &Vec::new()));
    assert_eq!(report.manifest, Some(Recipe::new(1).manifest()));
    assert_eq!(report.header.map(|header| header.height), Some(2));
    let report = check(&export, &Trust::None);
    assert_eq!(report.verdict, Verdict::ConsistentUntrusted);
    assert!(report.doubt.is_some() && report.findings.is_empty());
}

#[test]
fn every_shape_of_chain_and_recording_is_proven() {
    for chunks in [0, 1, 2, 5, 33] {
        for (before, after) in [(0, 0), (0, 1), (3, 0), (2, 5)] {
            for (height, log_size) in [(0, 1), (0, 9), (6, 7), (5, 8)] {
                let mut recipe = Recipe::new(1);
                recipe.chunks = (0..chunks).map(|index| vec![index; usize::from(index) * 31]).collect();
                recipe.others = (before, after);
                (recipe.height, recipe.log_size, recipe.also) = (height, log_size, vec![log_size + 3]);
                let export = recipe.export();
                let report = check(&export, &key_of(&export));
                assert_eq!(report.verdict, Verdict::Proven, "{chunks} {before} {after} {height}: {report:?}");
            }
        }
    }
}

#[test]
fn several_validators_prove_together() {
    let mut recipe = Recipe::new(1);
    recipe.chain = crate::fixture::Chain::new(crate::fixture::CHAIN, &[1, 2, 3, 4]);
    let export = recipe.export();
    assert_eq!(check(&export, &key_of(&export)).verdict, Verdict::Proven);
    let mut export = export;
    let mut proof = export.proof();
    proof.certificate.signatures.truncate(3);
    export.set_proof(&proof);
    assert_eq!(check(&export, &key_of(&export)).verdict, Verdict::Proven);
    proof.certificate.signatures.truncate(2);
    export.set_proof(&proof);
    let report = check(&export, &key_of(&export));
    assert_eq!((report.verdict, places(&report)), (Verdict::Wrong, vec!["proof.json, certificate".to_owned()]));
}

#[test]
fn progress_counts_chunks_and_bytes() {
    let export = Recipe::new(1).export();
    let mut seen = Vec::new();
    verify(&export, &Trust::None, &mut |progress| seen.push(progress));
    let bytes: Vec<_> = seen.iter().map(|progress| progress.bytes_done).collect();
    assert_eq!(bytes, [100, 107, 107]);
    assert!(seen.iter().zip(1..).all(|(progress, done)| progress.chunks_done == done));
    assert!(seen.iter().all(|progress| progress.chunks_total == Some(3)));
}

#[test]
fn verdicts_have_their_exit_codes() {
    let codes = [Verdict::Proven, Verdict::Wrong, Verdict::Unreadable, Verdict::ConsistentUntrusted];
    assert_eq!(codes.map(Verdict::exit_code), [0, 1, 2, 3]);
}

#[test]
fn memory_does_not_grow_with_a_chunk() {
    /// A chunk of 256 MiB that exists only while it is read, and counts how much is asked for at once.
    struct Huge(u64);
    impl std::io::Read for Huge {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(buffer.len() <= 1 << 20, "{} bytes at once", buffer.len());
            let length = self.0.min(buffer.len() as u64) as usize;
            self.0 -= length as u64;
            Ok(length)
        }
    }
    struct Grown(Export);
    impl Files for Grown {
        fn list(&self) -> std::io::Result<Vec<String>> {
            self.0.list()
        }
        fn open(&self, name: &str) -> std::io::Result<Box<dyn std::io::Read>> {
            if name == export::chunk_name(1) { Ok(Box::new(Huge(1 << 28))) } else { self.0.open(name) }
        }
    }
    let files = Grown(Recipe::new(1).export());
    let mut bytes = 0;
    let report = verify(&files, &Trust::None, &mut |progress| bytes = progress.bytes_done);
    assert_eq!(places(&report), ["chunks/00000001.chunk"]);
    assert_eq!(bytes, 100 + (1 << 28));
}
