//! From temperature to load. Pure.

use lucid_ports::Load;

/// The temperatures at which load is shed, in degrees Celsius.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// From here on nothing is reprocessed.
    pub shed_c: i32,
    /// From here on only recording goes on. Below the firmware's soft limit (80 °C on a Pi 5), at which it slows the
    /// processor and with it the recording.
    pub recording_only_c: i32,
    /// How far below its threshold a restriction is lifted, so that load doesn't flap.
    pub hysteresis_c: i32,
}

/// The thresholds contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "shedding at {shed_c} °C must begin below recording-only at {recording_only_c} °C, and hysteresis must be above 0"
)]
pub struct ThresholdsError {
    shed_c: i32,
    recording_only_c: i32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { shed_c: 75, recording_only_c: 79, hysteresis_c: 5 }
    }
}

impl Thresholds {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// When they don't.
    pub fn check(&self) -> Result<(), ThresholdsError> {
        if self.shed_c < self.recording_only_c && self.hysteresis_c > 0 {
            return Ok(());
        }
        Err(ThresholdsError { shed_c: self.shed_c, recording_only_c: self.recording_only_c })
    }

    /// The load at `temperature_mc` thousandths of a degree Celsius, after `before`.
    pub(super) fn decide(&self, before: Load, temperature_mc: i32) -> Load {
        if self.holds(self.recording_only_c, before >= Load::RecordingOnly, temperature_mc) {
            Load::RecordingOnly
        } else if self.holds(self.shed_c, before >= Load::NoReprocessing, temperature_mc) {
            Load::NoReprocessing
        } else {
            Load::Full
        }
    }

    /// Whether a restriction with this threshold holds: from the threshold on, and once on until well below it.
    fn holds(&self, threshold_c: i32, held: bool, temperature_mc: i32) -> bool {
        let from_c = if held { threshold_c.saturating_sub(self.hysteresis_c) } else { threshold_c };
        temperature_mc >= from_c.saturating_mul(1000)
    }
}
