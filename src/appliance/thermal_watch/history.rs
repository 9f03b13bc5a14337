//! Temperatures of the last hour, for the plot.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// One sample stands for this long: the plot has no room for more.
const SAMPLE_PERIOD: Duration = Duration::from_secs(10);
/// An hour of samples.
const SAMPLES_MAX: usize = 360;

/// The highest temperature of one sample period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the period began.
    pub at: Instant,
    /// Highest temperature in it, in thousandths of a degree Celsius.
    pub temperature_mc: i32,
}

/// Samples of the last hour, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History(VecDeque<Sample>);

impl History {
    /// The samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + '_ {
        self.0.iter().copied()
    }

    /// Adds a temperature measured now. Returns whether anything changed.
    pub fn add(&mut self, temperature_mc: i32) -> bool {
        let at = Instant::now();
        match self.0.back_mut() {
            Some(last) if at - last.at < SAMPLE_PERIOD => {
                let is_new_peak = temperature_mc > last.temperature_mc;
                last.temperature_mc = last.temperature_mc.max(temperature_mc);
                is_new_peak
            }
            _ => {
                if self.0.len() == SAMPLES_MAX {
                    self.0.pop_front();
                }
                self.0.push_back(Sample { at, temperature_mc });
                true
            }
        }
    }
}
