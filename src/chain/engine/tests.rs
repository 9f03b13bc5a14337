//! The engine as a service, in paused time: blocks in time, crashes, clocks, and disks that are not the right ones.

use std::fs;

use lucid_kit::Life;
use lucid_ports::{AnchorState, Anchoring, Chain};
use lucid_proof::hash::sha256;

use super::*;
use crate::tests::{BEGIN_MS, Bench, Running, anchor, key, session};

async fn health(running: &Running) -> Health {
    running.board.health(BlockchainEngine::NAME).unwrap()
}

/// The height at which the anchor of session `number` arrives.
async fn anchored(running: &Running, number: u64) -> u64 {
    loop {
        if let Ok(AnchorState::Anchored { height }) = running.anchoring.state(session(number)).await {
            return height;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn copy_chain(from: &std::path::Path, to: &std::path::Path) {
    for name in [FILE_NAME.to_owned(), format!("{FILE_NAME}.id")] {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_comes_every_interval_empty_or_not() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    running.height_until(5).await;
    running.anchoring.submit(anchor(1)).await.unwrap();
    let height = anchored(&running, 1).await;
    running.height_until(height + 2).await;
    let blocks = running.chain.latest(None, 100).await.unwrap();
    for pair in blocks.windows(2) {
        let gap_ms = pair[0].time.unix_ms - pair[1].time.unix_ms;
        assert!((9_000..=11_000).contains(&gap_ms), "{gap_ms} ms between {} and {}", pair[1].height, pair[0].height);
    }
    assert_eq!(blocks.iter().map(|block| block.transactions).sum::<u64>(), 1);
    assert_eq!(health(&running).await, Health::Healthy);
    let own = key(1).verifying_key().to_bytes();
    let status = running.engine.status().unwrap();
    assert_eq!(status.chain, Some(format!("lucid-{}/chain", hex(&sha256(&[&own])[..4]))));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_survives_a_crash_at_any_moment() {
    let bench = Bench::new();
    let mut heads: Vec<(u64, String)> = Vec::new();
    for round in 0..12 {
        let running = bench.start();
        running.up().await;
        for (height, hash) in &heads {
            let block = running.chain.block(*height).await.unwrap().unwrap();
            assert_eq!(hex(&block.header.hash()), *hash, "block {height} after crash {round}");
        }
        running.anchoring.submit(anchor(round)).await.unwrap();
        // Some rounds end before the next block, some in or after it.
        tokio::time::sleep(Duration::from_millis(round * 1_700)).await;
        heads.extend(running.chain.head().map(|head| (head.height, head.hash)));
        running.crash().await;
    }
    let running = bench.start();
    running.up().await;
    for round in 0..12 {
        anchored(&running, round).await;
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_by_a_day_does_not_stop_the_chain() {
    const DAY_MS: i64 = 86_400_000;
    let bench = Bench::new();
    let running = bench.start();
    running.height_until(3).await;
    bench.clock.step(-DAY_MS);
    let status = running.height_until(6).await;
    assert_eq!(status.head.unwrap().time.trust, TimeTrust::Held);
    assert!(matches!(health(&running).await, Health::Degraded { .. }));
    running.stop().await;

    let running = bench.start();
    running.height_until(8).await;
    bench.clock.step(DAY_MS);
    running.engine_until(|status| status.head.as_ref().is_some_and(|h| h.time.trust == TimeTrust::Synchronized)).await;
    let blocks = running.chain.latest(None, 100).await.unwrap();
    assert!(blocks.windows(2).all(|pair| pair[0].time.unix_ms > pair[1].time.unix_ms));
    assert_eq!(health(&running).await, Health::Healthy);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn missed_blocks_are_not_made_up() {
    let bench = Bench::new();
    let running = bench.start();
    running.height_until(2).await;
    running.stop().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let running = bench.start();
    running.height_until(4).await;
    let blocks = running.chain.latest(Some(5), 2).await.unwrap();
    assert!(blocks[0].time.unix_ms - blocks[1].time.unix_ms >= 9_000);
    assert!(blocks[0].time.unix_ms >= BEGIN_MS + 3_600_000);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_copy_of_the_disk_is_not_continued_until_the_owner_says_so() {
    let mut bench = Bench::new();
    let running = bench.start();
    running.height_until(2).await;
    running.stop().await;
    let old = tempfile::tempdir().unwrap();
    copy_chain(bench.data.path(), old.path());
    let running = bench.start();
    running.height_until(4).await;
    let newest = running.chain.head().unwrap();
    running.stop().await;
    copy_chain(old.path(), bench.data.path());

    let running = bench.start();
    let status = running.engine_until(|status| status.refused.is_some()).await;
    let head = status.head.unwrap();
    let Health::Unhealthy { reason } = health(&running).await else { panic!("healthy on an old disk") };
    assert!(reason.contains(&head.hash) && reason.contains(&format!("{} blocks", newest.height + 1)), "{reason}");
    running.up().await;
    running.anchoring.submit(anchor(1)).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(running.chain.head().unwrap(), head);
    assert!(running.chain.block(head.height).await.unwrap().is_some());
    running.stop().await;

    bench.accept_rollback = Some(newest.hash);
    let running = bench.start();
    running.engine_until(|status| status.refused.is_some()).await;
    running.stop().await;
    bench.accept_rollback = Some(head.hash);
    let running = bench.start();
    running.height_until(head.height + 2).await;
    running.stop().await;
    let running = bench.start();
    running.height_until(head.height + 3).await;
    assert_eq!(running.engine.status().unwrap().refused, None);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_empty_disk_does_not_begin_a_second_chain_by_itself() {
    let mut bench = Bench::new();
    let running = bench.start();
    let first = running.height_until(1).await.chain.unwrap();
    running.stop().await;
    bench.data = tempfile::tempdir().unwrap();

    let running = bench.start();
    let status = running.engine_until(|status| status.refused.is_some()).await;
    assert!(status.head.is_none() && running.slot.get().is_err());
    assert!(status.refused.unwrap().contains(&first));
    running.stop().await;
    bench.accept_rollback = Some("new".to_owned());
    let running = bench.start();
    let second = running.height_until(1).await.chain.unwrap();
    assert!(second.starts_with(&first) && second != first, "{second}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_kept_head_stops_signing() {
    let bench = Bench::new();
    let running = bench.start();
    running.height_until(1).await;
    running.stop().await;
    fs::write(bench.state.path().join(HEAD_FILE_NAME), "nonsense").unwrap();
    let running = bench.start();
    let status = running.engine_until(|status| status.refused.is_some()).await;
    assert!(status.refused.unwrap().contains(&status.head.unwrap().hash));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_disk_of_another_appliance_is_left_untouched() {
    let mut bench = Bench::new();
    let running = bench.start();
    let head = running.height_until(2).await.head.unwrap();
    running.stop().await;
    bench.key = key(2);
    bench.state = tempfile::tempdir().unwrap();
    let running = bench.start();
    let mut life = running.board.life(BlockchainEngine::NAME).unwrap();
    life.wait_for(|life| matches!(life, Life::Waiting { reason } if reason.contains("another appliance")))
        .await
        .unwrap();
    running.stop().await;
    assert!(!bench.state.path().join(HEAD_FILE_NAME).exists());

    bench.key = key(1);
    let running = bench.start();
    let again = running.height_until(head.height).await.head.unwrap();
    assert!(again.height - head.height <= 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_boot_disk_that_cannot_be_written_only_degrades() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let path = bench.state.path().join(HEAD_FILE_NAME);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    running.anchoring.submit(anchor(1)).await.unwrap();
    running.engine_until(|status| status.witness_error.is_some()).await;
    assert!(matches!(health(&running).await, Health::Degraded { .. }));
    fs::remove_dir(&path).unwrap();
    running.anchoring.submit(anchor(2)).await.unwrap();
    running.engine_until(|status| status.head.as_ref().is_some_and(|h| h.anchors == 2)).await;
    running.engine_until(|status| status.witness_error.is_none()).await;
    assert!(path.is_file());
    running.stop().await;
}

#[test]
fn the_first_wait_is_never_longer_than_an_interval() {
    let interval = Duration::from_secs(10);
    let cases = [(0, 0, 10_000), (0, 4_000, 6_000), (0, 10_000, 0), (0, 99_000, 0), (86_400_000, 0, 10_000)];
    for (parent_ms, now_ms, wait_ms) in cases {
        assert_eq!(first_wait(parent_ms, now_ms, interval), Duration::from_millis(wait_ms));
    }
    assert_eq!(first_wait(u64::MAX, 0, interval), interval);
}
