//! Anchors through the port, as sessions see them.

use lucid_kit::Health;
use lucid_ports::Chain;

use super::*;
use crate::tests::{Bench, anchor, other_anchor, session};

#[tokio::test(start_paused = true)]
async fn an_anchor_goes_from_unknown_over_pending_into_a_block() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let port = &running.anchoring;
    assert_eq!(port.state(session(1)).await.unwrap(), AnchorState::Unknown);
    assert_eq!(port.anchor(anchor(1)).await.unwrap(), Submitted::Pending);
    port.submit(anchor(1)).await.unwrap();
    assert!(matches!(port.submit(other_anchor(1)).await, Err(AnchorError::Conflict(id)) if id == session(1)));
    let status = running.engine_until(|status| status.head.as_ref().is_some_and(|head| head.anchors == 1)).await;
    let AnchorState::Anchored { height } = port.state(session(1)).await.unwrap() else { panic!("not anchored") };
    assert!(height <= status.head.unwrap().height);
    assert_eq!(port.anchor(anchor(1)).await.unwrap(), Submitted::Anchored { height });
    assert!(matches!(port.submit(other_anchor(1)).await, Err(AnchorError::Conflict(_))));
    assert_eq!(running.chain.anchor(session(1)).await.unwrap(), Some((height, 0)));

    let evidence = running.chain.evidence(session(1), &[]).await.unwrap().unwrap();
    evidence.proof.transaction.verify(&evidence.proof.genesis.hash()).unwrap();
    let mut status = running.anchoring_service.watch();
    status.wait_for(|status| status.anchored == 1 && status.pending == 0).await.unwrap();
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn many_at_once_are_all_taken_or_told_to_try_again() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let submissions = (0..200).map(|number| {
        let port = running.anchoring.clone();
        tokio::spawn(async move {
            while let Err(error) = port.anchor(anchor(number)).await {
                assert!(matches!(error, SignError::Busy), "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    });
    for submission in submissions.collect::<Vec<_>>() {
        submission.await.unwrap();
    }
    running.engine_until(|status| status.head.as_ref().is_some_and(|head| head.anchors == 200)).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_nothing_is_taken() {
    let bench = Bench::new();
    let running = bench.start();
    running.up().await;
    let (port, chain) = (running.anchoring.clone(), running.chain.clone());
    running.stop().await;
    assert!(matches!(port.submit(anchor(1)).await, Err(AnchorError::Unavailable)));
    assert!(matches!(port.state(session(1)).await, Err(AnchorError::Unavailable)));
    assert!(chain.head().is_none() && chain.checkpoint().await.is_err());
}

#[test]
fn health_follows_the_oldest_waiting_anchor() {
    let status = |waiting_s, chain_readable| AnchoringStatus { pending: 1, anchored: 0, waiting_s, chain_readable };
    assert_eq!(SessionAnchoring::health(&status(120, true)), Health::Healthy);
    assert!(matches!(SessionAnchoring::health(&status(121, true)), Health::Degraded { .. }));
    assert!(matches!(SessionAnchoring::health(&status(0, false)), Health::Waiting { .. }));
}
