//! Updates on a disk in memory that knows what was flushed, and a `/state` that knows what was synced. Bundles,
//! signatures and everything that decides and writes are the real ones.

mod bundles;
mod cuts;
mod eeprom;
mod faults;
mod hostile;
mod interrupted;
mod rig;
mod speed;
mod spoken;
#[path = "../../fat/tests/volume.rs"]
#[expect(dead_code, reason = "made for the tests of lucid-fat; these need a part")]
mod volume;
mod whole;
mod world;
