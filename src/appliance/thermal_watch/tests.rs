//! Decisions by table; the service through what it publishes, on the simulated board.

use std::{sync::Arc, time::Duration};

use lucid_device::{FakeClock, Simulated};
use lucid_kit::{Board, Spec, supervise, wire};
use tokio_util::sync::CancellationToken;

use super::*;

const SPEC: Spec =
    Spec { name: ThermalWatch::NAME, purpose: "test", needs: &[], critical: true, storage: false, stop_grace_s: 5 };

#[test]
fn load_is_shed_before_the_firmware_throttles_and_comes_back_cooler() {
    use Load::{Full, NoReprocessing, RecordingOnly};
    let thresholds = Thresholds::default();
    let table = [
        (Full, 74_999, Full),
        (Full, 75_000, NoReprocessing),
        (Full, 79_000, RecordingOnly),
        (Full, i32::MAX, RecordingOnly),
        (Full, i32::MIN, Full),
        (NoReprocessing, 74_000, NoReprocessing),
        (NoReprocessing, 70_000, NoReprocessing),
        (NoReprocessing, 69_999, Full),
        (NoReprocessing, 78_999, NoReprocessing),
        (NoReprocessing, 79_000, RecordingOnly),
        (RecordingOnly, 75_000, RecordingOnly),
        (RecordingOnly, 74_000, RecordingOnly),
        (RecordingOnly, 73_999, NoReprocessing),
        (RecordingOnly, 69_999, Full),
    ];
    for (before, temperature_mc, expected) in table {
        assert_eq!(thresholds.decide(before, temperature_mc), expected, "{before:?} at {temperature_mc}");
    }
}

#[test]
fn contradicting_thresholds_are_refused() {
    let with = |shed_c, recording_only_c, hysteresis_c| Thresholds { shed_c, recording_only_c, hysteresis_c }.check();
    assert!(Thresholds::default().check().is_ok());
    assert!(with(79, 79, 5).is_err() && with(80, 79, 5).is_err() && with(75, 79, 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn history_keeps_an_hour_of_peaks() {
    let mut history = History::default();
    assert!(history.add(50_000));
    assert!(!history.add(49_000) && history.add(51_000));
    assert_eq!(history.samples().map(|sample| sample.temperature_mc).collect::<Vec<_>>(), [51_000]);
    for step in 0..500 {
        tokio::time::advance(Duration::from_secs(10)).await;
        history.add(step);
    }
    assert_eq!(history.samples().len(), 360);
    assert_eq!(history.samples().last().unwrap().temperature_mc, 499);
}

struct Bench {
    device: Arc<Simulated>,
    load: watch::Receiver<Load>,
    history: watch::Receiver<Arc<History>>,
    status: watch::Receiver<Arc<Status>>,
    _stop: tokio_util::sync::DropGuard,
}

fn start() -> Bench {
    let device = Arc::new(Simulated::new(1, "/data", Arc::new(FakeClock::new(1_700_000_000_000))));
    let (load_in, load) = watch::channel(Load::Full);
    let (history_in, history) = watch::channel(Arc::default());
    let (handle, wired) = wire::<ThermalWatch>();
    let stop = CancellationToken::new();
    let deps = Deps { device: device.clone(), load: load_in, history: history_in };
    drop(supervise(SPEC, wired, Config::default(), deps, Vec::new(), &Board::default(), stop.clone()));
    Bench { device, load, history, status: handle.watch(), _stop: stop.drop_guard() }
}

async fn until<T: Clone>(value: &mut watch::Receiver<T>, wanted: impl FnMut(&T) -> bool) -> T {
    let found = tokio::time::timeout(Duration::from_secs(60), value.wait_for(wanted)).await;
    found.expect("the state came in time").unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_cool_board_is_healthy_and_plotted() {
    let mut bench = start();
    let status = until(&mut bench.status, |status| status.temperature_mc.is_some()).await;
    assert_eq!(ThermalWatch::health(&status), Health::Healthy, "{status:?}");
    until(&mut bench.history, |history| history.samples().len() == 1).await;
    assert_eq!(*bench.load.borrow(), Load::Full);
}

#[tokio::test(start_paused = true)]
async fn undervoltage_is_a_concern() {
    let mut bench = start();
    bench.device.adjust(|knobs| knobs.undervoltage = true);
    let status =
        until(&mut bench.status, |status| status.concerns.iter().any(|text| text.contains("supply voltage"))).await;
    assert!(matches!(ThermalWatch::health(&status), Health::Degraded { .. }));
}

#[test]
fn an_unknown_temperature_sheds_nothing_and_says_so() {
    for zones in [Reading::absent("no thermal zone"), Reading::failed("I/O error"), Reading::Present(Vec::new())] {
        let temperature = hottest(&zones);
        assert!(temperature.present().is_none());
        let said = said_of_temperature(&temperature, Load::Full).unwrap();
        assert!(said.contains("can't be known"), "{said}");
    }
}

#[test]
fn the_hottest_readable_zone_counts() {
    let zone = |temperature_mc| ThermalZone { name: "zone".to_owned(), temperature_mc, trips: Vec::new() };
    let zones = vec![zone(Reading::Present(41_000)), zone(Reading::failed("x")), zone(Reading::Present(52_000))];
    assert_eq!(hottest(&Reading::Present(zones)), Reading::Present(52_000));
    assert!(hottest(&Reading::Present(vec![zone(Reading::failed("x"))])).is_failed());
}
