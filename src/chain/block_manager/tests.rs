//! Validation on demand and after a crash, beside a chain that goes on.

use lucid_kit::Health;
use lucid_store::{Reader, StoreError};

use super::*;
use crate::{
    rows::HEADERS,
    tests::{Bench, Running, TestChain, anchor},
};

async fn ended(running: &Running) -> Validation {
    let mut watch = running.manager.watch();
    let ended =
        |validation: &Validation| matches!(validation.state, ValidationState::Valid | ValidationState::Invalid { .. });
    let status = watch.wait_for(|status| ended(&status.validation)).await.unwrap();
    status.validation.clone()
}

#[tokio::test(start_paused = true)]
async fn a_sound_chain_is_found_valid_on_demand_only() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    running.height_until(3).await;
    assert_eq!(running.chain.validation().state, ValidationState::Never);
    running.chain.validate().await.unwrap();
    let validation = ended(&running).await;
    assert_eq!(validation.state, ValidationState::Valid);
    assert!(validation.blocks >= 4 && validation.at_ms > 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_chain_is_validated_once_and_the_mark_goes() {
    let bench = Bench::new();
    let running = bench.start();
    running.height_until(2).await;
    running.crash().await;

    let running = bench.start();
    running.engine_until(|status| status.validation_due).await;
    assert_eq!(ended(&running).await.state, ValidationState::Valid);
    running.engine_until(|status| !status.validation_due && status.head.is_some()).await;
    running.stop().await;

    let running = bench.start();
    running.up().await;
    assert!(!running.engine_until(|status| status.head.is_some()).await.validation_due);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_block_is_named_and_the_chain_goes_on() {
    let bench = Bench::new();
    let running = bench.start();
    running.height_until(4).await;
    running.stop().await;
    let damage = tokio::task::spawn_blocking({
        let path = bench.data.path().to_path_buf();
        move || {
            let test = TestChain::open(&path);
            let write = |tx: &mut lucid_store::WriteTx<'_>| {
                let mut sealed = tx.get(&HEADERS, &2)?.unwrap();
                sealed.header.state_root[0] ^= 1;
                tx.put(&HEADERS, &2, &sealed)
            };
            test.chain().store().write_blocking(write).unwrap_or_else(|error: StoreError| panic!("{error}"));
        }
    });
    damage.await.unwrap();

    let running = bench.start();
    running.up().await;
    running.chain.validate().await.unwrap();
    let ValidationState::Invalid { height: 2, reason } = ended(&running).await.state else { panic!("not found") };
    assert!(reason.contains("certificate"), "{reason}");
    let health = running.board.health(BlockManager::NAME).unwrap();
    assert!(matches!(health, Health::Unhealthy { reason } if reason.contains("block 2")));
    let height = running.height_until(0).await.head.unwrap().height;
    running.anchoring.anchor(anchor(1)).await.unwrap();
    running.height_until(height + 2).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_validation_waits_while_load_is_shed() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    running.background_allowed.send(false).unwrap();
    running.chain.validate().await.unwrap();
    let height = running.height_until(0).await.head.unwrap().height;
    running.height_until(height + 5).await;
    running.chain.validate().await.unwrap();
    assert_eq!(running.chain.validation().state, ValidationState::Running { checked: 0 });
    running.background_allowed.send(true).unwrap();
    assert_eq!(ended(&running).await.state, ValidationState::Valid);
    running.stop().await;
}
