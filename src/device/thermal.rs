//! Temperatures and the fan. Vocabulary of the kernel's thermal framework (`sysfs-class-thermal`, `pwm-fan`).

use serde::{Deserialize, Serialize};

use crate::Reading;

/// Reads temperatures and the fan.
pub trait Thermal: Send + Sync {
    /// All thermal zones, in the order of their numbers.
    fn thermal_zones(&self) -> Reading<Vec<ThermalZone>>;

    /// The cooling fan.
    fn fan(&self) -> Reading<FanState>;
}

/// One thermal zone; the Pi 5 has one, `cpu-thermal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThermalZone {
    /// Its type, such as `cpu-thermal`.
    pub name: String,
    /// Temperature in thousandths of a degree Celsius.
    pub temperature_mc: Reading<i32>,
    /// Temperatures at which something happens, in the order of their numbers.
    pub trips: Vec<Trip>,
}

/// A temperature at which the kernel acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// `active` (fan), `passive` (throttling), `hot` or `critical` (power off).
    pub kind: Reading<String>,
    /// Threshold in thousandths of a degree Celsius.
    pub temperature_mc: Reading<i32>,
    /// How far below the threshold it ends, in thousandths of a degree Celsius.
    pub hysteresis_mc: Reading<i32>,
}

/// The state of the fan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanState {
    /// Speed by the tachometer, in revolutions per minute.
    pub rpm: Reading<u32>,
    /// Duty cycle asked for, 0 to 255.
    pub pwm: Reading<u8>,
    /// Cooling level asked for, 0 (off) to `level_max`.
    pub level: Reading<u32>,
    /// Highest cooling level.
    pub level_max: Reading<u32>,
}

impl FanState {
    /// Whether the fan is driven and yet stands still. `None` where pwm or speed is unknown.
    pub fn is_stalled(&self) -> Option<bool> {
        Some(*self.pwm.present()? > 0 && *self.rpm.present()? == 0)
    }
}
