//! A backup is there whole, or not at all.

use super::*;
use crate::bench::{Bench, Words};

async fn run(bench: &Bench) -> Result<u64, ClientError> {
    backup(&bench.client(), &Words::default(), Output::File(bench.path("out"))).await
}

#[tokio::test]
async fn a_whole_backup_is_kept() {
    let bench = Bench::new().await;
    bench.world().backup = vec![Ok(vec![7; 100_000]), Ok(vec![8; 5])];
    assert_eq!(run(&bench).await.unwrap(), 100_005);
    assert_eq!(std::fs::read(bench.path("out")).unwrap(), [vec![7; 100_000], vec![8; 5]].concat());
}

#[tokio::test]
async fn a_broken_one_leaves_nothing() {
    let bench = Bench::new().await;
    bench.world().backup = vec![Ok(vec![7; 100_000]), Err("cut")];
    let error = run(&bench).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    assert!(bench.names().is_empty());
}

#[tokio::test]
async fn a_stream_gets_it_too_and_files_are_not_overwritten() {
    let bench = Bench::new().await;
    bench.world().backup = vec![Ok(vec![7; 100])];
    let (mut reader, writer) = tokio::io::duplex(1000);
    let output = Output::Stream { name: "standard output".into(), writer: Box::new(writer) };
    assert_eq!(backup(&bench.client(), &Words::default(), output).await.unwrap(), 100);
    let mut bytes = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes).await.unwrap();
    assert_eq!(bytes, [7; 100]);
    std::fs::write(bench.path("out"), b"precious").unwrap();
    assert!(matches!(run(&bench).await.unwrap_err(), ClientError::OutputExists { .. }));
}
