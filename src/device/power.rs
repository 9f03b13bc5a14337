//! The power supply as the board feels it: undervoltage and throttling.
//!
//! Bits of the firmware's `GET_THROTTLED` word: 0 undervoltage now, 1 frequency capped, 2 throttled, 3 soft temperature
//! limit; 16 to 19 the same since boot.

use serde::{Deserialize, Serialize};

use crate::Reading;

/// Reads the state of the power supply.
pub trait Power: Send + Sync {
    /// Undervoltage, throttling and what the supply can give.
    fn power(&self) -> Reading<PowerState>;
}

/// The state of the power supply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerState {
    /// Whether the input is below its lower limit, as of the kernel's last look (it looks every two seconds).
    pub undervoltage_now: Reading<bool>,
    /// Whether it has been since boot. Without the firmware's word this can be known only for the time in which this
    /// process looked, so it is then present only once undervoltage was seen.
    pub undervoltage_since_boot: Reading<bool>,
    /// What the firmware does to the processor at present.
    pub throttling: Reading<Throttling>,
    /// What the supply has offered over USB-PD, in milliamperes.
    pub supply_max_ma: Reading<u32>,
}

/// Limits that the firmware puts on the processor at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttling {
    /// The frequency is capped because of undervoltage.
    pub frequency_capped: bool,
    /// The processor is throttled.
    pub throttled: bool,
    /// The soft temperature limit is in force.
    pub soft_temperature_limit: bool,
}

impl Throttling {
    /// The present limits in a `GET_THROTTLED` word.
    pub(crate) fn from_word(word: u32) -> Self {
        Self {
            frequency_capped: word & (1 << 1) != 0,
            throttled: word & (1 << 2) != 0,
            soft_temperature_limit: word & (1 << 3) != 0,
        }
    }
}
