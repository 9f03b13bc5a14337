//! The virtual Pi: boots the appliance's disk image on QEMU the way a Raspberry Pi 5 would boot it, and looks inside.
//!
//! [`eeprom`] plays the bootloader, [`machine`] the board, [`probe`] looks into the guest, [`crash`] makes the disks
//! that a power cut leaves; [`real`] watches a real board. Promises that the image boots as it is: nothing is added to
//! it for tests. Must never touch a real board that it was not told, nor any network but loopback.

pub mod crash;
pub mod disk;
pub mod eeprom;
pub mod health;
pub mod machine;
pub mod probe;
pub mod real;
