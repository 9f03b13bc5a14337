//! The whole way of an export: complete under its name, or nothing at all.

use super::*;
use crate::bench::{Bench, Words};
use unpack::tests::{GOOD, archive};

async fn bench(archive: Vec<u8>) -> Bench {
    let bench = Bench::new().await;
    let mut world = bench.world();
    world.recording.complete = true;
    world.recording.chunks = 2;
    world.archive = archive;
    drop(world);
    bench
}

async fn run(bench: &Bench) -> Result<u64, ClientError> {
    export(&bench.client(), &Words::default(), bench.id(), &bench.path("out"), None).await
}

#[tokio::test]
async fn a_good_export_appears_under_its_name() {
    let bench = bench(archive(&GOOD)).await;
    assert_eq!(run(&bench).await.unwrap(), 9);
    assert_eq!(bench.names(), ["out"]);
    for (name, bytes) in GOOD {
        assert_eq!(fs::read(bench.path("out").join(name)).unwrap(), bytes, "{name}");
    }
}

#[tokio::test]
async fn a_checkpoint_goes_along_byte_by_byte() {
    let bench = bench(archive(&GOOD)).await;
    let note = "lucid-a/b\n12\nAb+/=\n\n\u{2014} lucid-a/b x&y?#%\n";
    export(&bench.client(), &Words::default(), bench.id(), &bench.path("out"), Some(note)).await.unwrap();
    assert_eq!(bench.world().checkpoint.as_deref(), Some(note));
}

#[tokio::test]
async fn anything_else_leaves_nothing_behind() {
    let whole = archive(&GOOD);
    let traversal = archive(&[("../escaped", b"x")]);
    let too_few = archive(&GOOD[..5]);
    for (archive, expected) in [
        (whole[..1000].to_vec(), "broke off"),
        (traversal, "does not belong to an export"),
        (too_few, "it holds 1 chunks of 2"),
        (b"<html>".to_vec(), "broke off"),
    ] {
        let bench = bench(archive).await;
        let error = run(&bench).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(bench.names().is_empty(), "{:?}", bench.names());
    }
}

#[tokio::test]
async fn what_exists_is_left_alone() {
    let bench = bench(archive(&GOOD)).await;
    fs::create_dir(bench.path("out")).unwrap();
    assert!(matches!(run(&bench).await.unwrap_err(), ClientError::OutputExists { .. }));
}

#[tokio::test]
async fn what_is_not_anchored_can_not_be_exported() {
    let bench = bench(archive(&GOOD)).await;
    bench.world().recording.state = Some("anchoring");
    let error = run(&bench).await.unwrap_err();
    assert!(matches!(error, ClientError::NotAnchored { .. }), "{error}");
    assert!(bench.names().is_empty());
}
