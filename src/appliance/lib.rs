//! The appliance itself: SSD and thermal watch, dashboard.
//!
//! [`StorageWatch`] and [`ThermalWatch`] look at the hardware and publish what the other services may do;
//! [`AdminInterface`] collects what the pages show, and [`admin_interface::routes`] serves them.
//!
//! Must never: write to hardware, mount or format a disk, or decide for another service; it tells, others act. What an
//! administrator wants done to disks or to the box goes to the agent by [`AgentLink`], which decides itself.

pub mod admin_interface;
mod agent_link;
mod boot;
mod look;
mod release;
pub mod rescue;
pub mod storage_watch;
pub mod thermal_watch;
pub mod update;

pub use admin_interface::AdminInterface;
pub use agent_link::{AgentError, AgentLink, AgentView};
pub use boot::Boot;
pub use release::Release;
pub use storage_watch::StorageWatch;
pub use thermal_watch::ThermalWatch;
pub use update::{Update, UpdateStatus, Updates};
