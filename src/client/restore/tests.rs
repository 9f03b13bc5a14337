//! Restoring from a server that cuts, lies about ranges and lengths; whatever happens, no half file is left.

use super::*;
use crate::bench::{Bench, Serve, Words, patience};

async fn bench(serves: &[Serve]) -> Bench {
    let bench = Bench::new().await;
    let mut world = bench.world();
    world.recording.durable = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    world.recording.complete = true;
    world.serves.extend(serves);
    drop(world);
    bench
}

async fn run(bench: &Bench) -> Result<u64, ClientError> {
    let output = Output::File(bench.path("out"));
    restore(&bench.client(), &Words::default(), bench.id(), output, &patience()).await
}

#[tokio::test]
async fn a_broken_reply_is_resumed_where_it_broke() {
    for serves in [
        &[][..],
        &[Serve::CutAfter(0), Serve::CutAfter(100_000), Serve::CutAfter(1)],
        &[Serve::EndAfter(50_000)],
        &[Serve::EndAfter(399_999), Serve::IgnoreRange],
        &[Serve::IgnoreRange],
    ] {
        let bench = bench(serves).await;
        assert_eq!(run(&bench).await.unwrap(), 400_000, "{serves:?}");
        assert!(std::fs::read(bench.path("out")).unwrap() == bench.world().recording.durable, "{serves:?}");
        assert_eq!(bench.names(), ["out"]);
    }
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for_again() {
    let bench = bench(&[Serve::EndAfter(50_000)]).await;
    run(&bench).await.unwrap();
    assert_eq!(bench.world().ranges, ["bytes=0-", "bytes=50000-"]);
}

#[tokio::test]
async fn lies_about_the_content_leave_no_file() {
    for serve in [Serve::TooMuch, Serve::WrongRange] {
        let bench = bench(&[serve]).await;
        let error = run(&bench).await.unwrap_err();
        assert!(matches!(error, ClientError::Length { .. } | ClientError::Reply { .. }), "{serve:?}: {error}");
        assert!(bench.names().is_empty(), "{serve:?}");
    }
}

#[tokio::test]
async fn an_existing_file_is_left_alone() {
    let bench = bench(&[]).await;
    std::fs::write(bench.path("out"), b"precious").unwrap();
    assert!(matches!(run(&bench).await.unwrap_err(), ClientError::OutputExists { .. }));
    assert_eq!(std::fs::read(bench.path("out")).unwrap(), b"precious");
}

#[tokio::test]
async fn a_running_recording_and_an_unknown_one_are_refused() {
    let bench = bench(&[]).await;
    bench.world().recording.state = Some("recording");
    assert!(matches!(run(&bench).await.unwrap_err(), ClientError::StillRecording { .. }));
    let output = Output::File(bench.path("out"));
    let error = restore(&bench.client(), &Words::default(), Uuid::now_v7(), output, &patience()).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_named() {
    let bench = bench(&[]).await;
    let output = Output::File(bench.path("no/out"));
    let error = restore(&bench.client(), &Words::default(), bench.id(), output, &patience()).await.unwrap_err();
    assert!(matches!(error, ClientError::Output { .. }), "{error}");
}

#[tokio::test]
async fn gives_up_when_nothing_comes_any_more() {
    let bench = bench(&[Serve::CutAfter(0); 1000]).await;
    let patience = Patience { no_progress_max: std::time::Duration::from_millis(50), ..patience() };
    let output = Output::File(bench.path("out"));
    let error = restore(&bench.client(), &Words::default(), bench.id(), output, &patience).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    assert!(bench.names().is_empty());
}

#[tokio::test]
async fn a_stream_gets_every_byte_once() {
    let bench = bench(&[Serve::EndAfter(7), Serve::CutAfter(70_000)]).await;
    let (mut reader, writer) = tokio::io::duplex(1000);
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes).await.unwrap();
        bytes
    });
    let output = Output::Stream { name: "standard output".into(), writer: Box::new(writer) };
    restore(&bench.client(), &Words::default(), bench.id(), output, &patience()).await.unwrap();
    assert!(reading.await.unwrap() == bench.world().recording.durable);
}

#[tokio::test]
async fn an_empty_recording_is_an_empty_file() {
    let bench = bench(&[]).await;
    bench.world().recording.durable.clear();
    assert_eq!(run(&bench).await.unwrap(), 0);
    assert_eq!(std::fs::read(bench.path("out")).unwrap(), b"");
}
