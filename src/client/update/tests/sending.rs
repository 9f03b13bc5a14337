//! Sending a bundle.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::super::*;
use super::bench::{Bench, STEP, Upset};
use crate::bench::{Words, patience};

/// A signed document as the format lays it out, with a signature that nobody checks here.
fn document(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out.push(1);
    out.extend([7; 96]);
    out
}

/// A bundle of which only the header's layout is right: what is in it, the appliance checks.
fn content(pieces: usize) -> Vec<u8> {
    let mut header = vec![1];
    for bytes in [b"{\"root\":1}".as_slice(), b"{\"keys\":1}", b"{\"manifest\":1}"] {
        header.extend(document(bytes));
    }
    let mut bundle = b"LUCIDUP1".to_vec();
    bundle.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
    bundle.extend(header);
    bundle.extend((0..pieces as u32 / 4).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()));
    bundle
}

fn file(bench: &Bench, bytes: &[u8]) -> PathBuf {
    let path = bench.path("lucid.bundle");
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn run(bench: &Bench, bytes: &[u8], words: &Words) -> Result<UpdateStatus, UpdateError> {
    let path = file(bench, bytes);
    bench.world().bundle_bytes = bytes.len();
    push(&bench.client(), words, &path, &patience()).await
}

fn is_written(status: &UpdateStatus) -> bool {
    matches!(&status.agent.as_ref().unwrap().phase, Phase::Written { .. })
}

#[tokio::test]
async fn a_bundle_arrives_whole_and_is_waited_for() {
    let bench = Bench::new().await;
    let bytes = content(3_000_000);
    let words = Words::default();
    let status = run(&bench, &bytes, &words).await.unwrap();
    assert!(is_written(&status) && bench.world().safe == bytes);
    assert_eq!(bench.world().posts, [0]);
    let id = bench.world().bundle.clone();
    let header = lucid_bundle::read_header(&mut bytes.as_slice()).unwrap();
    assert_eq!(id, header.id.to_string());
    assert!(words.all().contains("the appliance reads it back"), "{}", words.all());
}

#[tokio::test]
async fn whatever_breaks_it_goes_on_from_what_is_safe() {
    for cut_after in [1, 64, STEP - 1, STEP, STEP + 1, 3 * STEP + 7, 1_400_000] {
        let bench = Bench::new().await;
        let bytes = content(1_500_000);
        bench.world().upsets.extend([
            Upset::CutAfter(cut_after),
            Upset::Status(503, "update_unavailable"),
            Upset::CutAfter(cut_after),
        ]);
        let words = Words::default();
        let status = run(&bench, &bytes, &words).await.unwrap();
        assert!(is_written(&status) && bench.world().safe == bytes, "{cut_after}");
        let posts = bench.world().posts.clone();
        assert!(posts.len() >= 3 && posts.is_sorted() && posts.iter().all(|at| at % STEP as u64 == 0), "{posts:?}");
        assert!(words.all().contains("trying again"), "{}", words.all());
    }
}

#[tokio::test]
async fn a_later_run_goes_on_with_the_same_bundle_and_begins_another_one_anew() {
    let bench = Bench::new().await;
    let bytes = content(1_000_000);
    // Often, as a refusal may be lost behind the bytes.
    let refusals = (0..20).map(|_| Upset::Status(422, "unsuitable"));
    bench.world().upsets.extend([Upset::CutAfter(500_000)].into_iter().chain(refusals));
    let refused = run(&bench, &bytes, &Words::default()).await.unwrap_err();
    bench.world().upsets.clear();
    assert!(refused.to_string().contains("because of unsuitable"), "{refused}");
    let safe = bench.world().safe.len() as u64;
    assert!(safe >= 400_000 && safe < bytes.len() as u64);
    let words = Words::default();
    run(&bench, &bytes, &words).await.unwrap();
    assert_eq!(bench.world().posts.last(), Some(&safe));
    assert!(words.all().contains(&format!("has {safe} bytes of it: going on from there")), "{}", words.all());

    let posts = bench.world().posts.len();
    run(&bench, &bytes, &Words::default()).await.unwrap();
    assert_eq!(bench.world().posts.len(), posts, "what is written is not sent again");

    // One byte of the header makes it another bundle.
    let mut other = bytes.clone();
    other[30] ^= 1;
    run(&bench, &other, &Words::default()).await.unwrap();
    assert!(bench.world().posts.last() == Some(&0) && bench.world().safe == other);
}

#[tokio::test]
async fn a_refusal_ends_it_in_the_words_of_the_appliance() {
    for (status, code) in [(422, "untrusted"), (413, "body_too_large"), (409, "wrong_state"), (403, "forbidden")] {
        let bench = Bench::new().await;
        bench.world().upsets.push_back(Upset::Status(status, code));
        let refused = run(&bench, &content(100_000), &Words::default()).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("because of {code}")) && !refused.needs_sign_in(), "{refused}");
        assert_eq!(bench.world().posts, [0]);
    }
}

#[tokio::test]
async fn a_refusal_that_is_lost_behind_the_bytes_is_found_in_the_status() {
    let bench = Bench::new().await;
    let why = "a piece is not what was signed: get the bundle again";
    bench.world().upsets.extend([
        Upset::RefuseAfter(300_000, why),
        Upset::RefuseAfter(300_000, why),
        Upset::RefuseAfter(1, why),
    ]);
    let refused = run(&bench, &content(1_000_000), &Words::default()).await.unwrap_err();
    assert!(matches!(&refused, UpdateError::NotTaken { why: said } if said == why), "{refused}");
    assert!(bench.world().posts.len() <= 3);
}

#[tokio::test]
async fn a_former_transfer_that_is_not_known_to_be_dead_is_waited_for() {
    let bench = Bench::new().await;
    let bytes = content(500_000);
    bench.world().upsets.extend([Upset::CutAfter(300_000), Upset::StillBusy, Upset::StillBusy]);
    run(&bench, &bytes, &Words::default()).await.unwrap();
    assert!(bench.world().safe == bytes);
    assert_eq!(bench.world().posts.len(), 4);
}

#[tokio::test]
async fn what_else_is_under_way_is_not_disturbed() {
    let other = json!({ "version": "9.9", "bundle": "other", "slot": "b", "build_id": "", "notes": "" });
    for phase in [
        json!({ "phase": "writing", "incoming": other, "offset": 1, "bundle_bytes": 2, "active": true }),
        json!({ "phase": "checking", "incoming": other, "checked_bytes": 1, "of_bytes": 2 }),
        json!({ "phase": "armed", "incoming": other }),
        json!({ "phase": "trying", "incoming": null, "fit_for_s": null, "soak_s": 9, "waiting_for": [] }),
    ] {
        let bench = Bench::new().await;
        bench.world().other = Some(phase);
        let refused = run(&bench, &content(1000), &Words::default()).await.unwrap_err();
        assert!(
            matches!(&refused, UpdateError::Busy { .. }) && refused.to_string().contains("lucid update"),
            "{refused}"
        );
        assert!(bench.world().posts.is_empty());
    }
    let bench = Bench::new().await;
    bench.world().no_agent = true;
    let refused = run(&bench, &content(1000), &Words::default()).await.unwrap_err();
    assert!(matches!(&refused, UpdateError::NoAgent { problem } if problem == "there is none"), "{refused}");
}

#[tokio::test]
async fn what_is_no_bundle_is_not_sent() {
    let bench = Bench::new().await;
    let long = {
        let mut bytes = b"LUCIDUP1".to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        bytes
    };
    for bytes in [&b""[..], b"LUCIDUP1", b"LUCIDUP2\x01\0\0\0x", &content(0)[..50], &long] {
        let refused = run(&bench, bytes, &Words::default()).await.unwrap_err();
        assert!(matches!(&refused, UpdateError::NotABundle { .. }), "{refused}");
    }
    for path in [bench.path("missing"), bench.path("."), PathBuf::from("/dev/null")] {
        let refused = push(&bench.client(), &Words::default(), &path, &patience()).await.unwrap_err();
        assert!(matches!(&refused, UpdateError::File { .. }), "{refused}");
    }
    assert!(bench.world().posts.is_empty());
}

#[tokio::test]
async fn a_file_that_was_cut_short_is_said_to_be_that() {
    let bench = Bench::new().await;
    let bytes = content(300_000);
    let path = file(&bench, &bytes);
    bench.world().bundle_bytes = bytes.len() + 1;
    bench.world().upsets.push_back(Upset::Short);
    let refused = push(&bench.client(), &Words::default(), &path, &patience()).await.unwrap_err();
    assert!(refused.to_string().contains("get the whole file"), "{refused}");
}

#[tokio::test]
async fn it_gives_up_when_nothing_gets_through_for_too_long() {
    let bench = Bench::new().await;
    let path = file(&bench, &content(100_000));
    bench.world().upsets.extend(vec![Upset::Status(503, "update_unavailable"); 1000]);
    let patience = crate::Patience { no_progress_max: Duration::from_millis(100), ..patience() };
    let refused = push(&bench.client(), &Words::default(), &path, &patience).await.unwrap_err();
    assert!(matches!(&refused, UpdateError::GaveUp { durable_bytes: 0, .. }), "{refused}");
}

#[tokio::test]
async fn a_log_in_that_grows_old_on_the_way_is_made_anew_and_the_transfer_goes_on() {
    let bench = Bench::new().await;
    let bytes = content(800_000);
    bench.world().upsets.push_back(Upset::CutAfter(400_000));
    bench.world().wants_sign_in = true;
    let refused = run(&bench, &bytes, &Words::default()).await.unwrap_err();
    assert!(refused.needs_sign_in(), "{refused}");
    sign_in_again(&bench.store, &bench.server, String::from("correct horse").into()).await.unwrap();
    run(&bench, &bytes, &Words::default()).await.unwrap();
    assert!(bench.world().safe == bytes);
}
