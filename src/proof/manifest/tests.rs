use super::*;
use crate::fixture::{NOON_MS, signer};

const TEXT: &str = "\
lucid.session/v1
id 0190a1b2-c3d4-7ef5-8061-207265636970
started 2026-01-31T12:00:00.000Z
ended 2026-01-31T12:00:12.345Z
time-trust held
bytes 12
chunks 3
root AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
tree blake3-rfc6962
compression zstd
cipher xchacha20poly1305
";

fn manifest() -> Manifest {
    Manifest {
        id: [0x01, 0x90, 0xa1, 0xb2, 0xc3, 0xd4, 0x7e, 0xf5, 0x80, 0x61, 0x20, 0x72, 0x65, 0x63, 0x69, 0x70],
        started_ms: NOON_MS,
        ended_ms: NOON_MS + 12_345,
        time_trust: TimeTrust::Held,
        bytes: 12,
        chunks: 3,
        root: [1; 32],
    }
}

#[test]
fn the_text_is_as_documented() {
    assert_eq!(manifest().text().unwrap(), TEXT);
    assert_eq!(Manifest::parse(TEXT).unwrap(), manifest());
}

#[test]
fn every_line_must_be_there_once_and_in_place() {
    let lines: Vec<_> = TEXT.split_inclusive('\n').collect();
    for at in 0..lines.len() {
        let mut missing = lines.clone();
        missing.remove(at);
        Manifest::parse(&missing.concat()).unwrap_err();
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        Manifest::parse(&doubled.concat()).unwrap_err();
        let mut swapped = lines.clone();
        swapped.swap(at, (at + 1) % lines.len());
        Manifest::parse(&swapped.concat()).unwrap_err();
    }
    for length in 0..TEXT.len() {
        Manifest::parse(&TEXT[..length]).unwrap_err();
    }
    Manifest::parse(&format!("{TEXT}more\n")).unwrap_err();
}

#[test]
fn other_spellings_are_refused() {
    let table = [
        ("v1", "v2"),
        ("id 0190a1b2", "id 0190A1B2"),
        ("0190a1b2-c3d4", "0190a1b2c3d4"),
        ("12:00:00.000Z", "12:00:00Z"),
        ("held", "Held"),
        ("held", "guessed"),
        ("bytes 12", "bytes 012"),
        ("bytes 12", "bytes  12"),
        ("bytes 12", "bytes +12"),
        ("chunks 3", "chunks 3 "),
        ("chunks 3", "chunks -3"),
        ("QE=", "QF="),
        ("QE=", "QE"),
        ("tree blake3-rfc6962", "tree sha256-rfc6962"),
        ("compression zstd", "compression none"),
        ("cipher xchacha20poly1305", "cipher none"),
        ("\n", "\r\n"),
    ];
    for (good, wrong) in table {
        assert!(Manifest::parse(&TEXT.replacen(good, wrong, 1)).is_err(), "{wrong:?} for {good:?}");
    }
}

#[test]
fn contradictions_are_neither_written_nor_read() {
    let wrong = [
        Manifest { ended_ms: NOON_MS - 1, ..manifest() },
        Manifest { chunks: CHUNKS_MAX + 1, ..manifest() },
        Manifest { bytes: 3 * CHUNK_BYTES_MAX + 1, ..manifest() },
        Manifest { chunks: 0, ..manifest() },
        Manifest { ended_ms: u64::MAX, ..manifest() },
    ];
    for manifest in wrong {
        manifest.text().unwrap_err();
        manifest.sign(&signer("recorder", 1)).unwrap_err();
    }
    Manifest::parse(&TEXT.replace("chunks 3", "chunks 0")).unwrap_err();
    Manifest { bytes: 3 * CHUNK_BYTES_MAX, ..manifest() }.text().unwrap();
    Manifest { chunks: 0, bytes: 0, ..manifest() }.text().unwrap();
}

#[test]
fn the_largest_chunk_size_that_can_be_set_is_within_bounds() {
    const SETTING_MAX_BYTES: u64 = 64 * 1024 * 1024;
    for (chunks, bytes) in
        [(1, SETTING_MAX_BYTES), (3, 3 * SETTING_MAX_BYTES), (CHUNKS_MAX, CHUNKS_MAX * SETTING_MAX_BYTES)]
    {
        let large = Manifest { chunks, bytes, ..manifest() };
        assert_eq!(Manifest::parse(&large.text().unwrap()).unwrap(), large);
    }
    Manifest { chunks: CHUNKS_MAX, bytes: CHUNKS_MAX * SETTING_MAX_BYTES + 1, ..manifest() }.text().unwrap_err();
}

#[test]
fn signed_manifests_open_with_the_right_key_only() {
    let recorder = signer("recorder", 1);
    let note = manifest().sign(&recorder).unwrap();
    let (opened, by) = Manifest::open(&note, &[recorder.verifier().clone()]).unwrap();
    assert_eq!((opened, by.verified_by), (manifest(), vec![recorder.verifier().clone()]));
    let other = signer("recorder", 2);
    assert!(matches!(Manifest::open(&note, &[other.verifier().clone()]), Err(ManifestError::Note(_))));
}
