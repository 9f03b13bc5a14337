//! The appliance itself: SSD and thermal watch, dashboard.
//!
//! [`StorageWatch`] and [`ThermalWatch`] look at the hardware and publish what the other services may do;
//! [`AdminInterface`] collects what the pages show, and [`admin_interface::routes`] serves them.
//!
//! Must never: write to hardware, mount or format a disk, or decide for another service; it tells, others act.

pub mod admin_interface;
mod look;
pub mod storage_watch;
pub mod thermal_watch;

pub use admin_interface::AdminInterface;
pub use storage_watch::StorageWatch;
pub use thermal_watch::ThermalWatch;
