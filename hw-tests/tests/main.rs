//! Tests that boot the image on the virtual Pi. They need what `hw-tests/image` builds, and half a minute or more each.

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
mod scan;
#[cfg(test)]
mod supervised;
