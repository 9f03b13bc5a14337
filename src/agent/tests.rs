//! The agent on real block devices: loop devices in a mount namespace of their own. They have serial numbers and can be
//! unplugged in a tree of devices that the test makes; the rest is the kernel's. Needs root.

mod asked;
mod damaged;
mod foreign;
mod formatted;
mod mounted;
mod own_disk;
mod rig;
