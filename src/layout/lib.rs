//! What the appliance's disk looks like: partitions, boot files, kernel command line, folders, the provisioning file.
//!
//! Whoever builds the image, boots it or runs on it takes these from here, so that each is written down once. Promises
//! that what it renders it can read back, and that hostile bytes are an error and never a panic. Must never do I/O.

pub mod autoboot;
pub mod boot;
pub mod cmdline;
pub mod digest;
pub mod disk;
pub mod eeprom;
pub mod files;
pub mod paths;
pub mod provisioning;
pub mod release;
pub mod slot;
pub mod update;
pub mod users;

pub use digest::Digest;
pub use disk::{Partition, Profile};
pub use eeprom::EepromRelease;
pub use provisioning::{Provisioning, ProvisioningError};
pub use release::Release;
pub use slot::Slot;
