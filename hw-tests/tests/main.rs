//! Tests that boot the image on the virtual Pi. They need what `hw-tests/image` builds, and half a minute or more each.
//!
//! `LUCID_CUTS` sets how often each test of power cuts cuts the power, and `LUCID_SEED` repeats a run; many take longer
//! than a test may, unless it is `cargo nextest run --profile long`.

#[cfg(test)]
mod appliance;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod board;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod first_boot;
#[cfg(test)]
mod flash;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod owner;
#[cfg(test)]
mod power;
#[cfg(test)]
mod provisioning_cut;
#[cfg(test)]
mod recording_cut;
#[cfg(test)]
mod sbom;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod supervised;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod target;
#[cfg(test)]
mod update;
#[cfg(test)]
mod update_cut;
#[cfg(test)]
mod update_eeprom;
#[cfg(test)]
mod update_hostile;
#[cfg(test)]
mod update_later;
#[cfg(test)]
mod update_ways;
#[cfg(test)]
mod updater;
