//! Heat and fan of the simulated board: one body that warms with load and cools with the fan.
//!
//! Runs in steps of a fixed length, so that the outcome doesn't depend on how often anyone looks.
//! Numbers: trips and cooling levels of the Pi 5 device tree; the heat is made up to look right: about 37 °C idle,
//! about 90 °C under full load without a fan, about 67 °C with it.

use super::Knobs;

/// Length of a step in milliseconds.
const STEP_MS: u64 = 1000;
/// Steps run at most to catch up; after an hour everything has long settled.
const CATCH_UP_STEPS_MAX: u64 = 3600;
/// Time constant of warming and cooling, in steps.
const INERTIA_STEPS: i32 = 60;
/// What an idle board adds to the room's temperature, and what each permille of load adds, in millidegrees.
const IDLE_RISE_MC: i32 = 15_000;
const RISE_MC_PER_PERMILLE: i32 = 53;
/// How much of the rise above the room each cooling level leaves, in permille.
const REMAINING_PERMILLE: [i32; 5] = [1000, 760, 660, 590, 530];
/// Readings scatter by this much in either direction, in millidegrees.
const NOISE_MC: i32 = 250;

/// Where the fan goes up one level each.
pub(super) const FAN_TRIPS_MC: [i32; 4] = [50_000, 60_000, 67_500, 75_000];
/// How far below its trip a level ends.
pub(super) const HYSTERESIS_MC: i32 = 5_000;
/// Where throttling begins, and where the kernel powers off.
pub(super) const SOFT_LIMIT_MC: i32 = 80_000;
pub(super) const CRITICAL_MC: i32 = 110_000;
/// The highest cooling level.
pub(super) const FAN_LEVEL_MAX: u32 = 4;
/// Duty cycle and speed of each level.
const FAN_PWM: [u8; 5] = [0, 75, 125, 175, 250];
const FAN_RPM: [u32; 5] = [0, 2500, 4300, 6000, 8200];

pub(super) struct Physics {
    random: fastrand::Rng,
    started_ms: u64,
    /// The moment up to which the board has run.
    now_ms: u64,
    body_mc: i32,
    noise_mc: i32,
    level: usize,
}

impl Physics {
    pub(super) fn new(seed: u64, ambient_mc: i32, now_ms: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { random, started_ms: now_ms, now_ms, body_mc: ambient_mc, noise_mc: 0, level: 0 }
    }

    /// Runs all whole steps up to a moment of the monotonic clock.
    pub(super) fn run_until(&mut self, until_ms: u64, knobs: &Knobs) {
        let steps = until_ms.saturating_sub(self.now_ms) / STEP_MS;
        for _ in 0..steps.min(CATCH_UP_STEPS_MAX) {
            self.step(knobs);
        }
        self.now_ms += steps * STEP_MS;
    }

    fn step(&mut self, knobs: &Knobs) {
        let target_mc = target_mc(knobs, if knobs.fan_blocked { 0 } else { self.level });
        self.body_mc += (target_mc - self.body_mc) / INERTIA_STEPS;
        self.noise_mc = self.random.i32(-NOISE_MC..=NOISE_MC);
        self.level = next_level(self.level, self.body_mc);
    }

    pub(super) fn temperature_mc(&self) -> i32 {
        self.body_mc + self.noise_mc
    }

    pub(super) fn fan_level(&self) -> u32 {
        u32::try_from(self.level).unwrap_or(FAN_LEVEL_MAX)
    }

    pub(super) fn fan_pwm(&self) -> u8 {
        FAN_PWM[self.level]
    }

    pub(super) fn fan_rpm(&self, knobs: &Knobs) -> u32 {
        if knobs.fan_blocked { 0 } else { FAN_RPM[self.level] }
    }

    pub(super) fn uptime_ms(&self) -> u64 {
        self.now_ms - self.started_ms
    }
}

/// A random UUID as the kernel writes boot ids, from the seed.
pub(super) fn boot_id(seed: u64) -> String {
    let digits = format!("{:032x}", fastrand::Rng::with_seed(seed).u128(..));
    format!("{}-{}-4{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
}

/// Where the temperature would settle. Rooms are clamped to what the arithmetic, and any board, can bear.
fn target_mc(knobs: &Knobs, level: usize) -> i32 {
    let rise_mc = IDLE_RISE_MC + RISE_MC_PER_PERMILLE * i32::from(knobs.load_permille.min(1000));
    knobs.ambient_mc.clamp(-40_000, 85_000) + rise_mc / 1000 * REMAINING_PERMILLE[level]
}

/// One level at a time: up at a trip, down when below it by the hysteresis.
fn next_level(level: usize, temperature_mc: i32) -> usize {
    if FAN_TRIPS_MC.get(level).is_some_and(|trip_mc| temperature_mc >= *trip_mc) {
        return level + 1;
    }
    match level.checked_sub(1) {
        Some(below) if temperature_mc < FAN_TRIPS_MC[below] - HYSTERESIS_MC => below,
        _ => level,
    }
}
