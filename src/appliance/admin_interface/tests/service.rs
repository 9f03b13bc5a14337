//! The service itself: what it collects, and what it says about itself.

use std::{sync::Arc, time::Duration};

use lucid_device::{FakeClock, Simulated};
use lucid_kit::{Board, Health, Service, Spec, supervise, wire};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    super::{AdminInterface, Config, Deps, Status, View},
    fakes::{Fakes, NOW_MS},
};

const SPEC: Spec =
    Spec { name: AdminInterface::NAME, purpose: "test", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

#[tokio::test(start_paused = true)]
async fn collects_device_and_services_without_growing() {
    let (view, mut view_out) = watch::channel(Arc::new(View::default()));
    let board = Board::default();
    let device = Arc::new(Simulated::new(1, "/data", Arc::new(FakeClock::new(NOW_MS))));
    let deps = Deps { board: board.clone(), device, chain: Arc::new(Fakes::default()), view };
    let (handle, wired) = wire::<AdminInterface>();
    let stop = CancellationToken::new();
    drop(supervise(SPEC, wired, Config::default(), deps, Vec::new(), &board, stop.clone()));
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_secs(60), view_out.changed()).await.unwrap().unwrap();
    }
    let view = view_out.borrow_and_update().clone();
    assert!(view.at.is_some() && view.head.is_none());
    assert!(matches!(&view.device, Some(Ok(snapshot)) if snapshot.simulated));
    assert_eq!(view.services[0].spec.name, "admin-interface");
    assert!(view.services[0].status.to_string().len() < 200, "{}", view.services[0].status);
    assert_eq!(handle.status().unwrap().device_error, None);
    stop.cancel();
}

#[test]
fn an_unknown_device_degrades() {
    let status = Status { simulated: false, device_error: Some("late".to_owned()) };
    assert!(matches!(AdminInterface::health(&status), Health::Degraded { .. }));
    assert_eq!(AdminInterface::health(&Status::default()), Health::Healthy);
}
