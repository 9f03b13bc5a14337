//! A Raspberry Pi 5 that exists only in memory, for developers' machines and tests.
//!
//! Promises: deterministic in the seed, the knobs and the clock, however often it is asked; clearly labelled as
//! simulated in the model name and in [`Device::simulated`].
//! Must never be wired on an appliance.

mod physics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    BoardState, Clock, CpuState, Device, DiskState, FanState, Host, MemoryState, MountState, Power, PowerState,
    Reading, SmartState, SsdState, Storage, Thermal, ThermalZone, Throttling, Transport, Trip,
};
use physics::{CRITICAL_MC, FAN_LEVEL_MAX, FAN_TRIPS_MC, HYSTERESIS_MC, Physics, SOFT_LIMIT_MC};

/// Size of the simulated SSD: 1 TB as drive makers count.
const SSD_BYTES: u64 = 1_000_204_886_016;

/// Memory of the 8 GB model as its kernel counts it.
const MEMORY_BYTES: u64 = 8_453_406_720;

/// Cores of the BCM2712, and their frequencies.
const CORES: u32 = 4;
const FREQUENCY_IDLE_KHZ: u32 = 1_500_000;
const FREQUENCY_MAX_KHZ: u32 = 2_400_000;

/// What can be set from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knobs {
    /// Load of the processor, 0 to 1000; more counts as 1000. Temperature and frequency follow.
    pub load_permille: u16,
    /// Temperature of the room in thousandths of a degree Celsius.
    pub ambient_mc: i32,
    /// The fan doesn't turn, whatever it is told.
    pub fan_blocked: bool,
    /// The supply voltage is too low.
    pub undervoltage: bool,
    /// Condition of the SSD.
    pub ssd: SsdCondition,
    /// What lies on the SSD, in bytes; more than its size counts as full.
    pub ssd_used_bytes: u64,
}

/// Conditions of the simulated SSD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SsdCondition {
    /// Mounted and well.
    Healthy,
    /// Nothing was ever connected.
    Missing,
    /// Pulled out while mounted.
    Pulled,
    /// Mounted, with no byte free.
    Full,
    /// The filesystem stopped writing after an error.
    ReadOnly,
    /// It works, and warns that its end is near.
    Worn,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            load_permille: 50,
            ambient_mc: 22_000,
            fan_blocked: false,
            undervoltage: false,
            ssd: SsdCondition::Healthy,
            ssd_used_bytes: 120_000_000_000,
        }
    }
}

/// A simulated Raspberry Pi 5 with an NVMe SSD.
pub struct Simulated {
    clock: Arc<dyn Clock>,
    seed: u64,
    data_path: String,
    world: Mutex<World>,
}

struct World {
    knobs: Knobs,
    physics: Physics,
    undervoltage_seen: bool,
}

impl Simulated {
    /// A board that has just been switched on at room temperature. Time passes for it as it does on `clock`;
    /// `data_path` is where its SSD claims to be mounted.
    pub fn new(seed: u64, data_path: &str, clock: Arc<dyn Clock>) -> Self {
        let knobs = Knobs::default();
        let physics = Physics::new(seed, knobs.ambient_mc, clock.monotonic_ms());
        let world = Mutex::new(World { knobs, physics, undervoltage_seen: false });
        Self { clock, seed, data_path: data_path.to_owned(), world }
    }

    /// Turns knobs. What has happened until now happened under the old ones.
    pub fn adjust(&self, turn: impl FnOnce(&mut Knobs)) {
        let mut world = self.now();
        turn(&mut world.knobs);
        world.undervoltage_seen |= world.knobs.undervoltage;
    }

    /// The world, brought up to the present.
    fn now(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let World { knobs, physics, .. } = &mut *world;
        physics.run_until(self.clock.monotonic_ms(), knobs);
        world
    }
}

impl Device for Simulated {
    fn simulated(&self) -> bool {
        true
    }
}

impl Thermal for Simulated {
    fn thermal_zones(&self) -> Reading<Vec<ThermalZone>> {
        let trip = |kind: &str, temperature_mc, hysteresis_mc| Trip {
            kind: Reading::Present(kind.to_owned()),
            temperature_mc: Reading::Present(temperature_mc),
            hysteresis_mc: Reading::Present(hysteresis_mc),
        };
        let mut trips = vec![trip("critical", CRITICAL_MC, 0)];
        trips.extend(FAN_TRIPS_MC.map(|temperature_mc| trip("active", temperature_mc, HYSTERESIS_MC)));
        let temperature_mc = Reading::Present(self.now().physics.temperature_mc());
        Reading::Present(vec![ThermalZone { name: "cpu-thermal".to_owned(), temperature_mc, trips }])
    }

    fn fan(&self) -> Reading<FanState> {
        let world = self.now();
        Reading::Present(FanState {
            rpm: Reading::Present(world.physics.fan_rpm(&world.knobs)),
            pwm: Reading::Present(world.physics.fan_pwm()),
            level: Reading::Present(world.physics.fan_level()),
            level_max: Reading::Present(FAN_LEVEL_MAX),
        })
    }
}

impl Power for Simulated {
    fn power(&self) -> Reading<PowerState> {
        let world = self.now();
        let is_hot = world.physics.temperature_mc() >= SOFT_LIMIT_MC;
        let undervoltage = world.knobs.undervoltage;
        Reading::Present(PowerState {
            undervoltage_now: Reading::Present(undervoltage),
            undervoltage_since_boot: Reading::Present(world.undervoltage_seen),
            throttling: Reading::Present(Throttling {
                frequency_capped: undervoltage,
                throttled: undervoltage || is_hot,
                soft_temperature_limit: is_hot,
            }),
            supply_max_ma: Reading::Present(5000),
        })
    }
}

impl Storage for Simulated {
    fn ssd(&self) -> SsdState {
        let knobs = self.now().knobs.clone();
        let missing = || format!("nothing is mounted at `{}`: connect the SSD (simulated)", self.data_path);
        let (mount, disk) = match knobs.ssd {
            SsdCondition::Missing => (Reading::absent(missing()), Reading::absent(missing())),
            SsdCondition::Pulled => (
                Reading::Present(self.mount(&knobs)),
                Reading::absent("`/dev/nvme0n1p1` is still mounted, but its drive is gone (simulated)"),
            ),
            _ => (Reading::Present(self.mount(&knobs)), Reading::Present(self.disk(&knobs))),
        };
        SsdState { path: self.data_path.clone(), mount, disk }
    }
}

impl Simulated {
    fn mount(&self, knobs: &Knobs) -> MountState {
        let free_bytes = match knobs.ssd {
            SsdCondition::Full => 0,
            _ => SSD_BYTES.saturating_sub(knobs.ssd_used_bytes),
        };
        MountState {
            mount_point: self.data_path.clone(),
            source: "/dev/nvme0n1p1".to_owned(),
            filesystem: "ext4".to_owned(),
            read_only: knobs.ssd == SsdCondition::ReadOnly,
            size_bytes: Reading::Present(SSD_BYTES),
            free_bytes: Reading::Present(free_bytes),
        }
    }

    fn disk(&self, knobs: &Knobs) -> DiskState {
        let is_worn = knobs.ssd == SsdCondition::Worn;
        DiskState {
            name: "nvme0n1".to_owned(),
            transport: Transport::Nvme,
            model: Reading::Present("Simulated NVMe 1TB".to_owned()),
            serial: Reading::Present(format!("SIM{:013X}", self.seed & 0xF_FFFF_FFFF_FFFF)),
            size_bytes: Reading::Present(SSD_BYTES),
            state: Reading::Present("live".to_owned()),
            write_protected: Reading::Present(false),
            temperature_mc: Reading::Present(knobs.ambient_mc.saturating_add(15_000)),
            temperature_alarm: Reading::Present(false),
            smart: Reading::Present(SmartState {
                // Bit 0: spare blocks below their threshold.
                critical_warning: u8::from(is_worn),
                available_spare_percent: if is_worn { 4 } else { 100 },
                used_percent: if is_worn { 103 } else { 2 },
                media_errors: if is_worn { 17 } else { 0 },
                power_on_hours: 812,
            }),
        }
    }
}

impl Host for Simulated {
    fn cpu(&self) -> CpuState {
        let load_permille = self.now().knobs.load_permille.min(1000);
        let load = f64::from(load_permille) * f64::from(CORES) / 1000.0;
        let frequency_khz = if load_permille > 300 { FREQUENCY_MAX_KHZ } else { FREQUENCY_IDLE_KHZ };
        CpuState {
            count: Reading::Present(CORES),
            load: Reading::Present([load; 3]),
            usage_permille: Reading::Present(load_permille),
            frequency_khz: Reading::Present(frequency_khz),
            frequency_max_khz: Reading::Present(FREQUENCY_MAX_KHZ),
            governor: Reading::Present("ondemand".to_owned()),
        }
    }

    fn memory(&self) -> Reading<MemoryState> {
        // A quarter in use, and that much again with the load.
        let used_bytes = MEMORY_BYTES / 4 + MEMORY_BYTES / 4000 * u64::from(self.now().knobs.load_permille.min(1000));
        Reading::Present(MemoryState { total_bytes: MEMORY_BYTES, available_bytes: MEMORY_BYTES - used_bytes })
    }

    fn board(&self) -> BoardState {
        BoardState {
            model: Reading::Present("Raspberry Pi 5 Model B Rev 1.0 (simulated)".to_owned()),
            pi_model: Reading::Present("Raspberry Pi 5 (simulated)".to_owned()),
            serial: Reading::Present(format!("{:016x}", self.seed)),
            kernel: Reading::Present("6.12.0-simulated".to_owned()),
            uptime_ms: Reading::Present(self.now().physics.uptime_ms()),
            boot_id: Reading::Present(physics::boot_id(self.seed)),
        }
    }
}

#[cfg(test)]
mod tests;
