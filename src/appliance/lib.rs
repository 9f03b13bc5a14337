//! The appliance itself: SSD and thermal watch, dashboard.
//!
//! [`StorageWatch`] and [`ThermalWatch`] look at the hardware and publish what the other services may do.
//!
//! Must never: write to hardware, mount or format a disk, or decide for another service; it tells, others act.

mod look;
pub mod storage_watch;
pub mod thermal_watch;

pub use storage_watch::StorageWatch;
pub use thermal_watch::ThermalWatch;
