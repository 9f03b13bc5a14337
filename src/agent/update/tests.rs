//! Updates on a disk in memory that knows what was flushed, and a `/state` that knows what was synced. Bundles,
//! signatures and everything that decides and writes are the real ones.

mod bundles;
mod cuts;
mod faults;
mod hostile;
mod interrupted;
mod rig;
mod speed;
mod spoken;
mod whole;
mod world;
