//! thermal-watch: decides how much work the box has room for.
//!
//! Owns the one published [`Load`] value and the temperatures of the last hour. Every two seconds it reads temperature,
//! fan and power; work that can wait is shed before the firmware throttles the processor (at 80 °C on a Pi 5), so that
//! recordings keep their speed. The recording itself and the dashboard are never shed.
//!
//! Must never drive the fan or anything else. Degraded while load is shed, while the fan stands still though it is
//! driven, while the supply voltage is too low, and while the temperature can't be known: then nothing is shed.

mod decide;
mod history;

use std::{convert::Infallible, sync::Arc, time::Duration};

use lucid_device::{Device, FanState, PowerState, Reading, ThermalZone};
use lucid_kit::{Ctx, Health, Service};
use lucid_ports::Load;
use serde::Serialize;
use tokio::sync::watch;

use crate::look::Looks;
pub use decide::{Thresholds, ThresholdsError};
pub use history::{History, Sample};

/// Reading a handful of files of sysfs takes milliseconds.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Settings.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The temperatures at which load is shed.
    pub thresholds: Thresholds,
}

/// What it may use.
pub struct Deps {
    /// The hardware.
    pub device: Arc<dyn Device>,
    /// Where it publishes what may run.
    pub load: watch::Sender<Load>,
    /// Where it publishes the temperatures of the last hour. It outlives an incarnation.
    pub history: watch::Sender<Arc<History>>,
}

/// What it says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Status {
    /// What was published last.
    pub load: Load,
    /// The hottest zone, in thousandths of a degree Celsius.
    pub temperature_mc: Option<i32>,
    /// Everything that needs attention, in words for the owner.
    pub concerns: Vec<String>,
}

/// The service.
pub struct ThermalWatch {
    thresholds: Thresholds,
    device: Arc<dyn Device>,
    load: watch::Sender<Load>,
    history: watch::Sender<Arc<History>>,
    looks: Looks<Seen>,
}

/// Why it could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thresholds contradict each other.
    #[error("the thresholds can't be used")]
    Thresholds(#[from] ThresholdsError),
}

/// What one look saw.
struct Seen {
    zones: Reading<Vec<ThermalZone>>,
    fan: Reading<FanState>,
    power: Reading<PowerState>,
}

impl Service for ThermalWatch {
    const NAME: &'static str = "thermal-watch";
    const PERIOD: Duration = Duration::from_secs(2);

    type Config = Config;
    type Deps = Deps;
    type Request = Infallible;
    type Status = Status;
    type Error = Error;

    async fn start(config: &Config, deps: &Deps) -> Result<Self, Error> {
        config.thresholds.check()?;
        Ok(Self {
            thresholds: config.thresholds,
            device: deps.device.clone(),
            load: deps.load.clone(),
            history: deps.history.clone(),
            looks: Looks::new(LOOK_MAX),
        })
    }

    async fn run(&mut self, ctx: &mut Ctx<Self>) -> Result<(), Error> {
        while ctx.ticked().await {
            ctx.publish(self.reconcile().await);
        }
        Ok(())
    }

    fn health(status: &Status) -> Health {
        if status.concerns.is_empty() {
            Health::Healthy
        } else {
            Health::Degraded { reason: status.concerns.join("; ") }
        }
    }
}

impl ThermalWatch {
    /// Looks, decides, publishes.
    async fn reconcile(&mut self) -> Status {
        let device = self.device.clone();
        let look = move || Seen { zones: device.thermal_zones(), fan: device.fan(), power: device.power() };
        let (temperature, mut concerns) = match self.looks.take(look).await {
            Ok(seen) => (hottest(&seen.zones), concerns(&seen)),
            Err(error) => (Reading::failed(error.to_string()), Vec::new()),
        };
        let before = *self.load.borrow();
        let load = match temperature.present() {
            Some(&temperature_mc) => self.thresholds.decide(before, temperature_mc),
            None => Load::Full,
        };
        concerns.extend(said_of_temperature(&temperature, load));
        self.publish(before, load, temperature.present().copied());
        Status { load, temperature_mc: temperature.present().copied(), concerns }
    }

    fn publish(&self, before: Load, load: Load, temperature_mc: Option<i32>) {
        self.load.send_replace(load);
        if load != before {
            tracing::warn!(?before, ?load, temperature_mc, "what the box has room for has changed");
        }
        if let Some(temperature_mc) = temperature_mc {
            self.history.send_if_modified(|history| Arc::make_mut(history).add(temperature_mc));
        }
    }
}

/// The hottest zone that could be read. A zone that failed is a fault only where none is left.
fn hottest(zones: &Reading<Vec<ThermalZone>>) -> Reading<i32> {
    zones.clone().and_then(|zones| {
        let hottest = zones.iter().filter_map(|zone| zone.temperature_mc.present().copied()).max();
        let unread = || zones.into_iter().next().map(|zone| zone.temperature_mc);
        hottest.map(Reading::Present).or_else(unread).unwrap_or_else(|| Reading::absent("there is no thermal zone"))
    })
}

/// What fan and power give reason to say.
fn concerns(seen: &Seen) -> Vec<String> {
    let mut concerns = Vec::new();
    if seen.fan.present().and_then(FanState::is_stalled) == Some(true) {
        concerns.push("the fan is driven but stands still: check that nothing blocks it".to_owned());
    }
    let undervoltage = seen.power.present().and_then(|power| power.undervoltage_now.present());
    if undervoltage == Some(&true) {
        concerns.push("the supply voltage is too low: use the 27 W supply, and a shorter cable".to_owned());
    }
    concerns
}

fn said_of_temperature(temperature: &Reading<i32>, load: Load) -> Option<String> {
    let Reading::Present(temperature_mc) = temperature else {
        let reason = temperature.reason().unwrap_or("no reason given");
        return Some(format!("the temperature can't be known, so no work is held back ({reason})"));
    };
    let degrees = temperature_mc / 1000;
    match load {
        Load::Full => None,
        Load::NoReprocessing => Some(format!("{degrees} °C: reprocessing waits until it is cooler")),
        Load::RecordingOnly => Some(format!("{degrees} °C: only recording goes on until it is cooler")),
    }
}

#[cfg(test)]
mod tests;
