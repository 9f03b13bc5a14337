//! Pauses double up to their limit, and the end comes when it was promised.

use super::*;

#[test]
fn pauses_double_with_jitter_up_to_the_limit() {
    let mut backoff = Backoff::new(Patience::default());
    let start = Instant::now();
    for expected_ms in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
        let pause = backoff.failed(start).unwrap();
        let whole = Duration::from_millis(expected_ms);
        assert!(pause <= whole && pause >= whole / 2, "{pause:?} for {whole:?}");
    }
}

#[test]
fn gives_up_after_the_limit_without_progress_only() {
    let mut backoff = Backoff::new(Patience::default());
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    assert!(backoff.failed(at(0)).is_some());
    assert!(backoff.failed(at(599)).unwrap() <= Duration::from_secs(1));
    assert!(backoff.failed(at(600)).is_none());
    backoff.progressed();
    assert!(backoff.failed(at(700)).is_some());
    assert!(backoff.failed(at(1299)).is_some());
    assert!(backoff.failed(at(1301)).is_none());
}
