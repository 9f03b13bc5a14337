//! The simulated board under load, with faults, and twice the same.

use std::sync::Arc;

use super::{Knobs, Simulated, SsdCondition};
use crate::{Device, FakeClock, Host, Power, Storage, Thermal};

const HOUR_MS: u64 = 3_600_000;

fn board(seed: u64) -> (Simulated, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::new(0));
    (Simulated::new(seed, "/mnt/myssd", clock.clone()), clock)
}

fn temperature_mc(board: &Simulated) -> i32 {
    *board.thermal_zones().present().unwrap()[0].temperature_mc.present().unwrap()
}

fn settled(turn: impl FnOnce(&mut Knobs)) -> Simulated {
    let (board, clock) = board(7);
    board.adjust(turn);
    clock.advance(HOUR_MS);
    board
}

#[test]
fn it_says_that_it_is_simulated() {
    let (board, _) = board(1);
    let snapshot = board.snapshot();
    assert!(snapshot.simulated);
    assert!(snapshot.board.model.present().unwrap().contains("simulated"));
    assert_eq!(snapshot.failures(), []);
}

#[test]
fn same_seed_same_board_however_often_it_is_asked() {
    let ((often, often_clock), (seldom, seldom_clock)) = (board(42), board(42));
    for board in [&often, &seldom] {
        board.adjust(|knobs| knobs.load_permille = 900);
    }
    for _ in 0..600 {
        often_clock.advance(500);
        often.snapshot();
    }
    seldom_clock.advance(300_000);
    assert_eq!(often.snapshot(), seldom.snapshot());
}

#[test]
fn temperature_follows_load_slowly() {
    let (board, clock) = board(3);
    clock.advance(HOUR_MS);
    let idle_mc = temperature_mc(&board);
    assert!((35_000..45_000).contains(&idle_mc), "{idle_mc}");
    board.adjust(|knobs| knobs.load_permille = 1000);
    clock.advance(5_000);
    let soon_mc = temperature_mc(&board);
    assert!(soon_mc > idle_mc && soon_mc < idle_mc + 10_000, "{soon_mc}");
    clock.advance(HOUR_MS);
    assert!(temperature_mc(&board) > soon_mc + 10_000);
}

#[test]
fn the_fan_keeps_a_loaded_board_below_throttling_and_a_blocked_one_does_not() {
    let cooled = settled(|knobs| knobs.load_permille = 1000);
    let fan = cooled.fan();
    assert_eq!(fan.present().unwrap().is_stalled(), Some(false));
    assert!(*fan.present().unwrap().rpm.present().unwrap() > 0);
    assert!(temperature_mc(&cooled) < 80_000);

    let hot = settled(|knobs| (knobs.load_permille, knobs.fan_blocked) = (1000, true));
    assert_eq!(hot.fan().present().unwrap().is_stalled(), Some(true));
    assert!(temperature_mc(&hot) > 80_000);
    assert!(hot.power().present().unwrap().throttling.present().unwrap().soft_temperature_limit);
}

#[test]
fn undervoltage_is_remembered() {
    let (board, _) = board(1);
    board.adjust(|knobs| knobs.undervoltage = true);
    board.adjust(|knobs| knobs.undervoltage = false);
    let power = board.power();
    let power = power.present().unwrap();
    assert_eq!(power.undervoltage_now.present(), Some(&false));
    assert_eq!(power.undervoltage_since_boot.present(), Some(&true));
}

#[test]
fn the_ssd_is_in_the_condition_that_was_set() {
    // Condition; mounted, drive there, read-only, full.
    for (condition, expected) in [
        (SsdCondition::Healthy, (true, true, false, false)),
        (SsdCondition::Missing, (false, false, false, false)),
        (SsdCondition::Pulled, (true, false, false, false)),
        (SsdCondition::Full, (true, true, false, true)),
        (SsdCondition::ReadOnly, (true, true, true, false)),
        (SsdCondition::Worn, (true, true, false, false)),
    ] {
        let (board, _) = board(1);
        board.adjust(|knobs| knobs.ssd = condition);
        let ssd = board.ssd();
        let mount = ssd.mount.present();
        let is_full = mount.is_some_and(|mount| mount.free_bytes.present() == Some(&0));
        let actual = (mount.is_some(), ssd.disk.present().is_some(), mount.is_some_and(|m| m.read_only), is_full);
        assert_eq!(actual, expected, "{condition:?}");
    }
}

#[test]
fn absurd_knobs_do_no_harm() {
    for ambient_mc in [i32::MIN, i32::MAX] {
        let board = settled(|knobs| {
            *knobs = Knobs { load_permille: u16::MAX, ambient_mc, ssd_used_bytes: u64::MAX, ..Knobs::default() };
        });
        assert!((-50_000..200_000).contains(&temperature_mc(&board)));
        assert_eq!(board.cpu().usage_permille.present(), Some(&1000));
        assert_eq!(board.ssd().mount.present().unwrap().free_bytes.present(), Some(&0));
    }
}
