//! The virtual Pi: one board that is switched on, resets and is switched off, with the EEPROM played in between.
//!
//! Every boot is a QEMU of its own, because the EEPROM chooses kernel and command line anew. What survives a reset on a
//! board survives here: the disks, and the memory with what ramoops keeps in it. Promises that no QEMU outlives its
//! [`Run`]. Must never change the image by itself, nor reach any network but this machine's loopback.

mod arguments;
mod console;
mod device_tree;
mod ending;
mod error;
mod qemu;
mod qmp;
mod run;

use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

pub use arguments::{CMDLINE_BYTES_MAX, DATA_DISK};
pub use console::Console;
pub use ending::Ending;
pub use error::MachineError;
pub use qmp::{Event, Qmp, QmpError};
pub use run::Run;

use crate::disk::DiskImage;
use crate::eeprom::{Boot, BootFiles, Eeprom, NoBoot, Outcome, Reset};

/// How the board reaches a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// A microSD card. QEMU's machine has no slot for one: it is a virtio disk.
    Sd,
    /// USB mass storage.
    Usb,
    /// NVMe behind a PCIe port that allows unplugging.
    Nvme,
}

impl Bus {
    /// The firmware's number for booting from it (`chosen/bootloader/boot-mode`).
    #[must_use]
    pub const fn boot_mode(self) -> u32 {
        match self {
            Self::Sd => 1,
            Self::Usb => 4,
            Self::Nvme => 6,
        }
    }
}

/// A disk of the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The raw image that it is; written by the guest.
    pub image: PathBuf,
    /// How it is attached.
    pub bus: Bus,
    /// The serial number that it reports.
    pub serial: String,
    /// Where every write is recorded for [`crate::crash`], if anywhere; not on NVMe.
    pub record: Option<PathBuf>,
}

impl Disk {
    /// A disk on `bus` that nobody records.
    #[must_use]
    pub fn new(image: impl Into<PathBuf>, bus: Bus, serial: &str) -> Self {
        Self { image: image.into(), bus, serial: serial.to_owned(), record: None }
    }
}

/// A port of the guest that can be reached on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Port on this machine's loopback address.
    pub host: u16,
    /// TCP port of the guest.
    pub guest: u16,
}

/// A TCP address that the guest reaches: the one way out of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it is for the guest, within 10.0.2.0/24.
    pub address: SocketAddrV4,
    /// The program that is started for each connection, which is its standard input and output; words at blanks.
    pub command: String,
}

/// A board, as it is described before it is switched on.
#[derive(Debug, Clone)]
pub struct Board {
    /// Its serial number.
    pub serial: u64,
    /// Its EEPROM.
    pub eeprom: Eeprom,
    /// Whether flag and partition of the last reset outlast the one after an update of the EEPROM. That is not
    /// documented; that they do not is the harder case for whoever restarted into a trial.
    pub flag_survives_update: bool,
    /// Processors; a Pi 5 has four, and two keep a small host responsive.
    pub cpus: u8,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// What it boots from.
    pub boot_disk: Disk,
    /// The SSD, if one is attached. It can be unplugged.
    pub data_disk: Option<Disk>,
    /// Ports to reach it by.
    pub forwards: Vec<Forward>,
    /// Whom it reaches.
    pub peers: Vec<Peer>,
    /// What the bench adds to the kernel command line, after the console.
    pub cmdline: Vec<String>,
    /// The disk image with the probe, if tests want to look inside.
    pub probe: Option<PathBuf>,
    /// The longest that one boot may last, whatever happens: an emulated machine on a busy host is slow, not endless.
    pub lifetime: Duration,
}

impl Board {
    /// A board that boots `image` as an NVMe disk.
    #[must_use]
    pub fn new(image: impl Into<PathBuf>) -> Self {
        Self {
            serial: 0x1000_0000_c0de_ab12,
            eeprom: Eeprom::CURRENT,
            flag_survives_update: false,
            cpus: 2,
            memory_mib: 1024,
            boot_disk: Disk::new(image, Bus::Nvme, "LUCID-BOOT"),
            data_disk: None,
            forwards: vec![],
            peers: vec![],
            cmdline: vec![],
            probe: None,
            lifetime: Duration::from_secs(900),
        }
    }
}

/// The most updates of the EEPROM in one start: more would be two releases that install each other for ever.
const EEPROM_UPDATES_MAX: u32 = 4;

/// Plays the EEPROM of `board` from `reset` on until it boots something. If it updates itself, the board keeps that.
fn start(board: &mut Board, files: &mut dyn BootFiles, mut reset: Reset) -> Result<Boot, NoBoot> {
    let mut log = vec![];
    for _ in 0..=EEPROM_UPDATES_MAX {
        match board.eeprom.boot(files, board.serial, reset)? {
            Outcome::Boot(boot) => return Ok(Boot { log: [log, boot.log].concat(), ..boot }),
            Outcome::Update(update) => {
                log.extend(update.log);
                board.eeprom = update.eeprom;
                if !board.flag_survives_update {
                    reset = Reset::default();
                }
            }
        }
    }
    Err(NoBoot::Forever { what: log.join("; ") })
}

/// A board on the bench, with what it keeps between boots.
pub struct Pi {
    board: Board,
    folder: PathBuf,
    memory: Option<OwnedFd>,
    boots: u32,
}

impl Pi {
    /// Puts `board` on the bench. `folder` exists and takes kernel, device tree and the consoles' logs.
    #[must_use]
    pub fn new(board: Board, folder: impl Into<PathBuf>) -> Self {
        Self { board, folder: folder.into(), memory: None, boots: 0 }
    }

    /// The board; what is changed counts from the next boot on.
    pub fn board_mut(&mut self) -> &mut Board {
        &mut self.board
    }

    /// Switches it on: memory is empty, no flag is set.
    ///
    /// # Errors
    /// If the EEPROM finds nothing to boot, or QEMU does not start.
    pub fn power_on(&mut self) -> Result<Run, MachineError> {
        self.memory = None;
        self.boot(Reset::default())
    }

    /// Starts it again after `ending`, as the board does by itself. After a power-off it is switched on.
    ///
    /// # Errors
    /// As [`Self::power_on`].
    pub fn restart(&mut self, ending: &Ending) -> Result<Run, MachineError> {
        match ending.reset() {
            Some(reset) => self.boot(reset),
            None => self.power_on(),
        }
    }

    /// What the EEPROM would boot now after `reset`, without booting it; if it would update itself, after that.
    ///
    /// # Errors
    /// If it finds nothing to boot.
    pub fn look(&self, reset: Reset) -> Result<Boot, MachineError> {
        let mut files = DiskImage::open(&self.board.boot_disk.image)?;
        Ok(start(&mut self.board.clone(), &mut files, reset)?)
    }

    fn boot(&mut self, reset: Reset) -> Result<Run, MachineError> {
        let unrecorded = |disk: &&Disk| disk.record.is_some() && disk.bus == Bus::Nvme;
        if let Some(disk) = [&self.board.boot_disk].into_iter().chain(&self.board.data_disk).find(unrecorded) {
            return Err(MachineError::Record { serial: disk.serial.clone() });
        }
        self.boots += 1;
        let mut files = DiskImage::open(&self.board.boot_disk.image)?;
        let boot = start(&mut self.board, &mut files, reset)?;
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => qemu::memory()?,
        };
        Run::start(&self.board, &boot, self.memory.insert(memory), &self.folder, self.boots)
    }
}

#[cfg(test)]
mod tests;
