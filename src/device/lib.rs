//! Hardware behind traits, each with a real and a fake side.
//!
//! [`Linux`] reads sysfs, procfs and the device tree with the rights of an ordinary process; [`Simulated`] is a
//! Raspberry Pi 5 that exists only in memory. Both offer the same small traits, grouped as [`Device`]. [`clock`] tells
//! the time without ever falling behind what was true before, and [`disk`] asks the kernel about directories.
//!
//! Promises: a fact that this system doesn't have is [`Reading::Absent`], one that couldn't be read is
//! [`Reading::Failed`], both with the reason; nothing is guessed, and what is simulated says so.
//!
//! Must never: write to hardware (the agent does), run a program, or wait for anything longer than file reads take. A
//! dying drive can make such a read last as long as the kernel's own time-out, so callers on an async runtime go
//! through its blocking pool.

pub mod clock;
pub mod disk;

mod files;
mod host;
mod linux;
mod power;
mod reading;
mod simulated;
mod snapshot;
mod storage;
mod thermal;

pub use clock::{Clock, ClockError, ClockTrust, FakeClock, Now, SystemClock};
pub use host::{BoardState, CpuState, Host, MemoryState};
pub use linux::{DataPlace, Linux, Mount, disk_state, interfaces, mounts};
pub use power::{Power, PowerState, Throttling};
pub use reading::Reading;
pub use simulated::{Knobs, Simulated, SsdCondition};
pub use snapshot::{Device, Failure, Snapshot};
pub use storage::{DiskState, MountState, SmartState, SsdState, Storage, Transport};
pub use thermal::{FanState, Thermal, ThermalZone, Trip};
