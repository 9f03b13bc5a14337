//! `/sys/class/thermal` and the fan's hwmon (kernel documents: `sysfs-class-thermal`, `hwmon/pwm-fan`).

use std::path::{Path, PathBuf};

use super::Linux;
use crate::{FanState, Reading, Thermal, ThermalZone, Trip, files};

/// The kernel allows no more trips than this in a zone by its older interface; a bound for the count below.
const TRIPS_MAX: usize = 32;

impl Thermal for Linux {
    fn thermal_zones(&self) -> Reading<Vec<ThermalZone>> {
        let zones = files::numbered(&self.root.at("/sys/class/thermal"), "thermal_zone");
        zones.and_then(|dirs| match dirs.is_empty() {
            true => Reading::absent("this system has no thermal zone"),
            false => Reading::Present(dirs.iter().map(|dir| zone(dir)).collect()),
        })
    }

    fn fan(&self) -> Reading<FanState> {
        let hwmons = files::numbered(&self.root.at("/sys/class/hwmon"), "hwmon");
        let hwmon = files::labelled(hwmons, "name", "pwmfan");
        let coolers = files::numbered(&self.root.at("/sys/class/thermal"), "cooling_device");
        let cooler = files::labelled(coolers, "type", "pwm-fan");
        match (hwmon, cooler) {
            (Reading::Absent { .. }, Reading::Absent { .. }) => {
                Reading::absent("no fan is connected, or this kernel has no driver for it")
            }
            (hwmon, cooler) => Reading::Present(fan(&hwmon, &cooler)),
        }
    }
}

fn zone(dir: &Path) -> ThermalZone {
    let name = files::text(&dir.join("type"));
    let number = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    ThermalZone {
        // The directory's name is the next best, and unique.
        name: name.present().cloned().unwrap_or(number),
        temperature_mc: files::number(&dir.join("temp")),
        trips: trips(dir),
    }
}

fn trips(zone: &Path) -> Vec<Trip> {
    (0..TRIPS_MAX)
        .map(|index| zone.join(format!("trip_point_{index}_temp")))
        .take_while(|temperature| temperature.exists())
        .enumerate()
        .map(|(index, temperature)| Trip {
            kind: files::text(&zone.join(format!("trip_point_{index}_type"))),
            temperature_mc: files::number(&temperature),
            hysteresis_mc: files::number(&zone.join(format!("trip_point_{index}_hyst"))),
        })
        .collect()
}

fn fan(hwmon: &Reading<PathBuf>, cooler: &Reading<PathBuf>) -> FanState {
    FanState {
        rpm: hwmon.clone().and_then(|dir| files::number(&dir.join("fan1_input"))),
        pwm: hwmon.clone().and_then(|dir| files::number(&dir.join("pwm1"))),
        level: cooler.clone().and_then(|dir| files::number(&dir.join("cur_state"))),
        level_max: cooler.clone().and_then(|dir| files::number(&dir.join("max_state"))),
    }
}
