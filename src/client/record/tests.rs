//! Recording against a server that cuts connections, refuses, hangs and forgets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::*;
use crate::bench::{Bench, Upset, Words, patience};

/// Bytes that differ from place to place, so that a gap or repetition shows.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).take(length).collect()
}

fn stream(bytes: &[u8]) -> Source {
    Source::Stream { name: "standard input".into(), reader: Box::new(io::Cursor::new(bytes.to_vec())) }
}

fn options() -> RecordOptions {
    RecordOptions {
        label: "desk".into(),
        anchor_wait: Some(Duration::from_secs(60)),
        patience: patience(),
        ..RecordOptions::default()
    }
}

async fn run(bench: &Bench, source: Source, options: &RecordOptions) -> Result<Session, ClientError> {
    record(&bench.client(), &Words::default(), source, options).await
}

#[tokio::test]
async fn a_stream_arrives_whole_and_its_id_is_told_first() {
    let bench = Bench::new().await;
    let bytes = content(3_000_000);
    let words = Words::default();
    let session = record(&bench.client(), &words, stream(&bytes), &options()).await.unwrap();
    assert_eq!((session.id, session.state, session.label.as_str()), (bench.id(), SessionState::Anchored, "desk"));
    assert!(bench.world().recording.durable == bytes);
    assert!(
        words
            .all()
            .starts_with(&format!("recording {id}; if interrupted: lucid record --resume {id} FILE", id = bench.id()))
    );
}

#[tokio::test]
async fn a_terminal_gets_bars_and_the_same_lines() {
    let bench = Bench::new().await;
    std::fs::write(bench.path("take"), content(100_000)).unwrap();
    for source in [stream(b"abc"), Source::File(bench.path("take"))] {
        bench.world().recording = crate::bench::Recording::default();
        bench.world().upsets.push_back(Upset::Status(503));
        let words = Words { terminal: true, ..Words::default() };
        record(&bench.client(), &words, source, &options()).await.unwrap();
        assert!(words.all().contains("; trying again"), "{}", words.all());
    }
}

#[tokio::test]
async fn an_empty_stream_is_a_recording_too() {
    let bench = Bench::new().await;
    run(&bench, stream(b""), &options()).await.unwrap();
    assert!(bench.world().recording.complete);
}

#[tokio::test]
async fn cut_connections_are_continued_from_the_durable_byte() {
    let bench = Bench::new().await;
    let bytes = content(2_000_001);
    bench.world().upsets.extend([
        Upset::CutAfter(1),
        Upset::CutAfter(700_000),
        Upset::CutAfter(500_000),
        Upset::CutBeforeAnswer,
    ]);
    run(&bench, stream(&bytes), &options()).await.unwrap();
    let world = bench.world();
    assert!(world.recording.durable == bytes);
    assert_eq!(world.upsets.len(), 0);
    assert!(world.patches.is_sorted());
}

#[tokio::test]
async fn passing_refusals_are_waited_out() {
    let bench = Bench::new().await;
    bench.world().upsets.extend([503, 507, 429, 500, 408].map(Upset::Status));
    let bytes = content(100_000);
    run(&bench, stream(&bytes), &options()).await.unwrap();
    assert!(bench.world().recording.durable == bytes);
}

#[tokio::test]
async fn lasting_refusals_end_it_at_once() {
    for status in [400, 403, 404, 410, 413] {
        let bench = Bench::new().await;
        bench.world().upsets.push_back(Upset::Status(status));
        let error = run(&bench, stream(b"abc"), &options()).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
        assert!(error.to_string().contains("because of upset"), "{error}");
        assert_eq!(bench.world().patches.len(), 1);
    }
}

/// The first answer may be lost because the server hangs up on a body that is still being sent.
#[tokio::test]
async fn a_lasting_refusal_of_a_long_body_comes_to_light() {
    for status in [403, 413, 415] {
        let bench = Bench::new().await;
        bench.world().upsets.extend([Upset::Status(status); 2]);
        let error = run(&bench, stream(&content(5_000_000)), &options()).await.unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_ran_out_is_renewed_and_kept() {
    let bench = Bench::new().await;
    bench.world().access = "another".into();
    let bytes = content(50_000);
    run(&bench, stream(&bytes), &options()).await.unwrap();
    assert_eq!(bench.world().refreshes, 1);
    assert_eq!(bench.store.load(&bench.server).unwrap().unwrap().access_token.expose(), "access-1");
}

#[tokio::test]
async fn a_token_that_runs_out_under_way_does_not_stop_the_stream() {
    let bench = Bench::new().await;
    bench.world().upsets.extend([Upset::CutAfter(10_000), Upset::Status(401), Upset::CutAfter(10_000)]);
    let bytes = content(500_000);
    run(&bench, stream(&bytes), &options()).await.unwrap();
    assert!(bench.world().recording.durable == bytes);
}

#[tokio::test]
async fn a_hanging_upload_is_replaced_when_nothing_moves() {
    let bench = Bench::new().await;
    bench.world().upsets.push_back(Upset::Hang);
    let mut options = options();
    options.patience.standstill_max = Duration::from_millis(50);
    // Larger than what the sockets hold, so that bytes stay under way.
    let bytes = content(300_000);
    run(&bench, stream(&bytes), &options).await.unwrap();
    assert!(bench.world().recording.durable == bytes);
    // On a slow machine the rest may be taken for hanging, too.
    let patches = bench.world().patches.clone();
    assert!(patches.starts_with(&[0, 0, 16 << 10]), "a few bytes go first, then the rest: {patches:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up_with_what_to_do_next() {
    let bench = Bench::new().await;
    bench.world().upsets.extend([Upset::Hang; 100]);
    bench.world().session_status = Some(503);
    let mut options = options();
    options.patience.silence_max = Duration::from_millis(20);
    options.patience.no_progress_max = Duration::from_millis(200);
    let error = run(&bench, stream(&content(10)), &options).await.unwrap_err();
    assert!(matches!(&error, ClientError::GaveUp { source, .. } if matches!(**source, ClientError::Stalled { .. })));
    assert!(error.to_string().contains(&format!("`lucid record --resume {} FILE`", bench.id())), "{error}");
}

#[tokio::test]
async fn a_recording_that_vanishes_under_way_is_an_error() {
    let bench = Bench::new().await;
    bench.world().upsets.push_back(Upset::Hang);
    bench.world().session_status = Some(404);
    let error = run(&bench, stream(b"abc"), &options()).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}

#[tokio::test]
async fn a_file_is_resumed_from_the_durable_byte() {
    let bench = Bench::new().await;
    let bytes = content(400_000);
    std::fs::write(bench.path("take"), &bytes).unwrap();
    bench.world().recording.durable = bytes[..123_000].to_vec();
    let options = RecordOptions { resume: Some(bench.id()), ..options() };
    run(&bench, Source::File(bench.path("take")), &options).await.unwrap();
    assert!(bench.world().recording.durable == bytes);
    assert_eq!(bench.world().patches, [123_000]);
}

#[tokio::test]
async fn resuming_what_can_not_be_resumed_says_why() {
    let bench = Bench::new().await;
    let options = RecordOptions { resume: Some(bench.id()), ..options() };
    bench.world().recording.durable = content(2000);
    let error = run(&bench, stream(b"abc"), &options).await.unwrap_err();
    assert!(matches!(error, ClientError::ResumeNeedsFile { .. }), "{error}");
    std::fs::write(bench.path("short"), b"abc").unwrap();
    let error = run(&bench, Source::File(bench.path("short")), &options).await.unwrap_err();
    assert!(matches!(error, ClientError::SourceShorter { bytes: 3, durable_bytes: 2000, .. }), "{error}");
    let unknown = RecordOptions { resume: Some(Uuid::now_v7()), ..options.clone() };
    assert_eq!(run(&bench, stream(b"abc"), &unknown).await.unwrap_err().status(), Some(404));
    assert!(bench.world().patches.is_empty());
}

#[tokio::test]
async fn resuming_a_finished_recording_only_waits_for_its_anchor() {
    let bench = Bench::new().await;
    bench.world().recording.complete = true;
    let options = RecordOptions { resume: Some(bench.id()), ..options() };
    let session = run(&bench, stream(b"abc"), &options).await.unwrap();
    assert_eq!(session.state, SessionState::Anchored);
    assert!(bench.world().patches.is_empty());
}

#[tokio::test]
async fn a_server_that_stands_elsewhere_is_not_followed() {
    let bench = Bench::new().await;
    bench.world().recording.durable = content(5000);
    let error = run(&bench, stream(&content(100)), &options()).await.unwrap_err();
    assert!(matches!(error, ClientError::OutOfStep { at: 5000, .. }), "{error}");
}

/// Gives some bytes, lets the bench be changed when they are durable, then gives the rest.
struct Halting {
    parts: Vec<io::Result<Vec<u8>>>,
    gate: Box<dyn FnMut() -> bool + Send>,
}

impl AsyncRead for Halting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.parts.len() == 1 && !(self.gate)() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.parts.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.parts.remove(0).map(|part| buffer.put_slice(&part)).into()
    }
}

fn halting(first: Vec<u8>, second: io::Result<Vec<u8>>, gate: impl FnMut() -> bool + Send + 'static) -> Source {
    let reader = Halting { parts: vec![Ok(first), second], gate: Box::new(gate) };
    Source::Stream { name: "standard input".into(), reader: Box::new(reader.take(u64::MAX)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loses_durable_bytes_is_found_out() {
    let bench = Arc::new(Bench::new().await);
    bench.world().upsets.extend([Upset::CutAfter(4000)]);
    let shared = Arc::clone(&bench);
    // The bytes were released here once the second connection stands: then the server forgets.
    let gate = move || {
        let mut world = shared.world();
        let is_released = world.patches.len() == 2;
        if is_released && world.recording.durable.len() == 4000 {
            world.upsets.push_back(Upset::Status(409));
            world.recording.durable.truncate(1000);
        }
        is_released
    };
    bench.world().upsets.push_back(Upset::Status(409));
    let error = run(&bench, halting(content(4000), Ok(vec![1; 10]), gate), &options()).await.unwrap_err();
    assert!(matches!(error, ClientError::OutOfStep { at: 1000, from: 4000, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_breaks_never_passes_for_a_whole_recording() {
    let bench = Arc::new(Bench::new().await);
    let shared = Arc::clone(&bench);
    let gate = move || shared.world().recording.durable.len() == 4000;
    let source = halting(content(4000), Err(io::Error::other("unplugged")), gate);
    let error = run(&bench, source, &options()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Source { source, .. } if source.to_string() == "unplugged"), "{error}");
    assert!(!bench.world().recording.complete);
}

#[tokio::test]
async fn sources_that_can_not_be_opened_leave_no_recording_behind() {
    let bench = Bench::new().await;
    for name in ["missing", "lucid"] {
        let error = run(&bench, Source::File(bench.path(name)), &options()).await.unwrap_err();
        assert!(matches!(error, ClientError::SourceOpen { .. }), "{error}");
    }
    assert_eq!(bench.world().recording.label, "", "nothing was created");
}

#[tokio::test]
async fn the_wait_for_the_anchor_has_an_end_and_names_failure() {
    let bench = Bench::new().await;
    bench.world().recording.state = Some("anchoring");
    let short = RecordOptions { anchor_wait: Some(Duration::from_millis(20)), ..options() };
    let error = run(&bench, stream(b"abc"), &short).await.unwrap_err();
    assert!(matches!(error, ClientError::NotAnchored { .. }), "{error}");
    let no_wait = RecordOptions { anchor_wait: None, resume: Some(bench.id()), ..options() };
    assert_eq!(run(&bench, stream(b""), &no_wait).await.unwrap().state, SessionState::Anchoring);
    bench.world().recording.state = Some("failed");
    let resume = RecordOptions { resume: Some(bench.id()), ..options() };
    let error = run(&bench, stream(b""), &resume).await.unwrap_err();
    assert!(matches!(error, ClientError::RecordingFailed { .. }), "{error}");
}
