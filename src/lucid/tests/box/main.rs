//! The whole box from outside: the real binary, its real command line, real faults.
//!
//! Each test has a directory, ports and processes of its own, and ends only processes that it started. Nothing waits
//! for a duration: tests poll for a state, with a limit. Some faults need root and a Linux that allows mounts: those
//! tests fail elsewhere, and say what to do. Programs used: `age`, `faketime`, `promtool`, `mkfs.ext4`, `mount`,
//! `umount`, `findmnt`, `losetup`, `openssl`, `python3`, `qemu-storage-daemon`, `setpriv`; `.ci/setup` installs them.
//!
//! `LUCID_KILLS` sets how often the server is killed during one recording, and `LUCID_CUTS` how often its power is cut
//! (8 each unless set); `LUCID_SEED` repeats a run. A hundred and more take longer than a test may: `cargo nextest run
//! --profile long`.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod activation;
#[cfg(test)]
mod agent;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod data_dir;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod first_start;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod payments;
#[cfg(test)]
mod power;
#[cfg(test)]
mod proof;
#[cfg(test)]
mod rescue;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod services;
#[cfg(test)]
mod stopping;
mod takeover;
#[cfg(test)]
mod update;
