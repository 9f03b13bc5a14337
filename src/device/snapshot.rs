//! The whole device at one moment, with everything that could not be read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    BoardState, CpuState, FanState, Host, MemoryState, Power, PowerState, Reading, SsdState, Storage, Thermal,
    ThermalZone,
};

/// All that is known of a device: the small traits, grouped.
pub trait Device: Thermal + Power + Storage + Host {
    /// Whether the values are made up. Whoever shows them shows this too.
    fn simulated(&self) -> bool;

    /// Reads everything once, one fact after the other. Blocks for as long as the file reads take.
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            simulated: self.simulated(),
            thermal_zones: self.thermal_zones(),
            fan: self.fan(),
            power: self.power(),
            ssd: self.ssd(),
            cpu: self.cpu(),
            memory: self.memory(),
            board: self.board(),
        }
    }
}

/// The device at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Whether the values are made up.
    pub simulated: bool,
    /// Temperatures.
    pub thermal_zones: Reading<Vec<ThermalZone>>,
    /// Fan.
    pub fan: Reading<FanState>,
    /// Power supply.
    pub power: Reading<PowerState>,
    /// SSD.
    pub ssd: SsdState,
    /// Processor.
    pub cpu: CpuState,
    /// Memory.
    pub memory: Reading<MemoryState>,
    /// Board.
    pub board: BoardState,
}

/// One fact that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where in the snapshot, such as `ssd.disk.temperature_mc`.
    pub field: String,
    /// What was attempted on what, and what came back.
    pub reason: String,
}

impl Snapshot {
    /// Every [`Reading::Failed`] in it, in the order of the field names.
    pub fn failures(&self) -> Vec<Failure> {
        // The JSON form is walked rather than the fields, so that a fact added later can't be forgotten here.
        let value = serde_json::to_value(self).expect("a snapshot has only string keys and plain values");
        let mut failures = Vec::new();
        collect_failures(&value, "", &mut failures);
        failures
    }
}

fn collect_failures(value: &Value, field: &str, failures: &mut Vec<Failure>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member.get("reason").and_then(Value::as_str)) {
                    ("failed", Some(reason)) => {
                        failures.push(Failure { field: field.to_owned(), reason: reason.to_owned() });
                    }
                    ("present", _) => collect_failures(member, field, failures),
                    _ => collect_failures(member, &join(field, name), failures),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_failures(item, &join(field, &index.to_string()), failures);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}
