//! Plays the EEPROM of a Raspberry Pi 5 on the files of a disk: which partition, kernel and command line it boots.
//!
//! Written from Raspberry Pi's documentation and release notes, not from what the appliance writes, so that a
//! misunderstanding of ours shows. Where reality is not documented it is the stricter of the two. It updates
//! itself as a real one does. Must never guess a file that is not there, nor write to the disk.

mod autoboot;
mod config_txt;
pub mod image;
mod lines;
mod update;

use std::borrow::Cow;

pub use autoboot::AUTOBOOT_BYTES_MAX;
pub use config_txt::{Config, DEVICE_TREE, NotPlayed};

use autoboot::Autoboot;
use lines::Situation;

/// The settings that Raspberry Pi delivers boards with.
const SETTINGS: &str = "[all]\nBOOT_UART=1\nBOOT_ORDER=0xf461\nNET_INSTALL_AT_POWER_ON=1\n";

/// How many partitions the walk looks at.
const WALK_MAX: u32 = 8;

/// The files of a boot disk as the EEPROM sees them.
pub trait BootFiles {
    /// Whether partition `number` is there and a FAT file system.
    fn is_fat(&mut self, number: u32) -> bool;

    /// Reads a file of partition `number`.
    ///
    /// # Errors
    /// Why it cannot be read, in words for the boot log: no such partition, file or file system, or a damaged one.
    fn read(&mut self, number: u32, path: &str) -> Result<Vec<u8>, String>;
}

/// A board's EEPROM: its release, by what it knows, and what else it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eeprom {
    /// Its build date, as the board reports it: seconds since 1970.
    pub build_timestamp: u32,
    /// The text of `chosen/bootloader/version`. A real one is a hash.
    pub version: Cow<'static, str>,
    /// `PARTITION_WALK`: the default since 2025-08-13.
    pub partition_walk: bool,
    /// Knows `[boot_partition=N]` in config.txt: since 2025-03-10.
    pub boot_partition_filter: bool,
    /// Its settings, as `rpi-eeprom-config` would show them.
    pub settings: Cow<'static, str>,
    /// The time of its last update by itself, as the file with the digest named it; 0 if there was none.
    pub update_timestamp: u32,
    /// SHA-256 of the image in it, in hexadecimal digits; None where no image is played, which differs from any.
    pub image: Option<String>,
    /// Whether nothing can be written to it.
    pub write_protected: bool,
}

impl Eeprom {
    /// The release of 2025-12-08.
    pub const CURRENT: Self = Self {
        build_timestamp: 1_765_152_000,
        version: Cow::Borrowed("virtual Pi, as of 2025-12-08"),
        partition_walk: true,
        boot_partition_filter: true,
        settings: Cow::Borrowed(SETTINGS),
        update_timestamp: 0,
        image: None,
        write_protected: false,
    };

    /// The release of 2024-09-23, which boards were sold with: no walk, no `[boot_partition=N]`.
    pub const OF_2024: Self = Self {
        build_timestamp: 1_727_049_600,
        version: Cow::Borrowed("virtual Pi, as of 2024-09-23"),
        partition_walk: false,
        boot_partition_filter: false,
        settings: Cow::Borrowed(SETTINGS),
        update_timestamp: 0,
        image: None,
        write_protected: false,
    };
}

/// What the last reset left for the EEPROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reset {
    /// The one-shot flag.
    pub tryboot: bool,
    /// The partition of `reboot N`; 0 leaves the choice to autoboot.txt.
    pub partition: u32,
}

impl Reset {
    /// What `reboot ARGUMENT` asks for: a number, and the word `tryboot` after a blank.
    #[must_use]
    pub fn from_argument(argument: &str) -> Self {
        let partition = argument.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Self { tryboot: argument.contains(" tryboot"), partition }
    }
}

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The partition it comes from.
    pub partition: u32,
    /// Whether this is a trial.
    pub tryboot: bool,
    /// Whether the partition that was asked for could not be booted.
    pub walked: bool,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initramfs, if config.txt names one.
    pub initramfs: Option<Vec<u8>>,
    /// The kernel command line, as the file says.
    pub cmdline: String,
    /// What config.txt said.
    pub config: Config,
    /// What was tried, in words.
    pub log: Vec<String>,
}

/// What the EEPROM does with a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It boots.
    Boot(Boot),
    /// It updates itself, and the board resets.
    Update(Update),
}

/// An update of the EEPROM by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// What it is then.
    pub eeprom: Eeprom,
    /// What was tried, in words.
    pub log: Vec<String>,
}

/// Why nothing boots. A real EEPROM would go on to the next boot mode, or blink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBoot {
    /// No partition is bootable.
    #[error("no partition can be booted ({}); look at autoboot.txt and at the boot partitions' files", .log.join("; "))]
    Nothing {
        /// What was tried.
        log: Vec<String>,
    },
    /// The partition is bootable but lacks a file.
    #[error("partition {partition} cannot be booted: {problem}; build the image again")]
    File {
        /// Its number.
        partition: u32,
        /// What is missing.
        problem: String,
    },
    /// The EEPROM does the same over and over.
    #[error("the EEPROM never boots: {what}; look at the files that it updates itself from")]
    Forever {
        /// What it does.
        what: String,
    },
    /// The EEPROM has installed something that is no EEPROM.
    #[error("the EEPROM has installed what is none ({problem}), and starts nothing any more; restore it with Imager")]
    Ruined {
        /// What is wrong with the image.
        problem: String,
    },
    /// config.txt has a setting that the bench does not play.
    #[error(transparent)]
    NotPlayed(#[from] NotPlayed),
}

/// A boot under way.
struct Attempt<'a> {
    eeprom: &'a Eeprom,
    files: &'a mut dyn BootFiles,
    serial: u64,
    tryboot: bool,
    config_name: &'static str,
    log: Vec<String>,
}

impl Eeprom {
    /// Boots the disk with `files` on the board `serial`, after `reset`. The one-shot flag ends with this call,
    /// whatever becomes of the boot.
    ///
    /// # Errors
    /// If nothing can be booted, or not as a Pi would.
    pub fn boot(&self, files: &mut dyn BootFiles, serial: u64, reset: Reset) -> Result<Outcome, NoBoot> {
        let first = (1..=WALK_MAX).find(|number| files.is_fat(*number)).unwrap_or(1);
        let tryboot = reset.tryboot;
        let mut attempt = Attempt { eeprom: self, files, serial, tryboot, config_name: "config.txt", log: vec![] };
        let autoboot = attempt.autoboot(first);
        if tryboot && !autoboot.is_some_and(|autoboot| autoboot.tryboot_a_b) {
            attempt.config_name = "tryboot.txt";
        }
        let asked = match (reset.partition, autoboot.and_then(|autoboot| autoboot.boot_partition)) {
            (0, Some(number)) if number > 0 => number,
            (0, _) => first,
            (number, _) => number,
        };
        attempt.load(asked)
    }
}

impl Attempt<'_> {
    fn autoboot(&mut self, partition: u32) -> Option<Autoboot> {
        match self.files.read(partition, "autoboot.txt") {
            Ok(bytes) => autoboot::read(&bytes, self.tryboot).or_else(|| {
                self.log.push(format!("autoboot.txt has {} bytes, more than the EEPROM reads", bytes.len()));
                None
            }),
            Err(problem) => {
                self.log.push(format!("no autoboot.txt on partition {partition}: {problem}"));
                None
            }
        }
    }

    /// The partition that was asked for, and with the walk the ones after it, up to the eighth and around.
    fn load(mut self, asked: u32) -> Result<Outcome, NoBoot> {
        let others = (asked.saturating_add(1)..=WALK_MAX).chain(1..asked.min(WALK_MAX + 1));
        let candidates: Vec<u32> =
            std::iter::once(asked).chain(others.filter(|_| self.eeprom.partition_walk)).collect();
        for number in candidates {
            let Some(config) = self.bootable(number)? else { continue };
            let new = self.eeprom.update(self.files, (number, &config), self.serial, &mut self.log)?;
            return match new {
                Some(eeprom) => Ok(Outcome::Update(Update { eeprom, log: self.log })),
                None => self.files_of(number, config, number != asked).map(Outcome::Boot),
            };
        }
        Err(NoBoot::Nothing { log: self.log })
    }

    /// A partition is bootable if it has a config.txt and the board's device tree.
    fn bootable(&mut self, number: u32) -> Result<Option<Config>, NoBoot> {
        let bytes = match self.files.read(number, self.config_name) {
            Ok(bytes) => bytes,
            Err(problem) => {
                self.log.push(format!("partition {number} is not bootable: {problem}"));
                return Ok(None);
            }
        };
        let boot_partition = self.eeprom.boot_partition_filter.then_some(number);
        let situation = Situation { tryboot: self.tryboot, boot_partition, board: Some(self.serial) };
        let config = config_txt::read(&bytes, &situation)?;
        if let Err(problem) = self.files.read(number, &config.device_tree)
            && config.os_check
        {
            self.log.push(format!("partition {number} has no device tree for this board: {problem}"));
            return Ok(None);
        }
        Ok(Some(config))
    }

    fn files_of(mut self, partition: u32, config: Config, walked: bool) -> Result<Boot, NoBoot> {
        self.log.push(format!("booting partition {partition} with {}", config.cmdline));
        let missing = |problem| NoBoot::File { partition, problem };
        let kernels: Vec<_> = config.kernels.iter().map(|name| self.files.read(partition, name)).collect();
        let kernel = kernels.into_iter().reduce(Result::or).unwrap_or_else(|| Err("no kernel".to_owned()));
        let kernel = kernel.map_err(missing)?;
        let initramfs = match &config.initramfs {
            Some(name) => Some(self.files.read(partition, name).map_err(missing)?),
            None => None,
        };
        let cmdline = self.files.read(partition, &config.cmdline).map_err(missing)?;
        let cmdline = String::from_utf8_lossy(&cmdline).lines().next().unwrap_or_default().trim().to_owned();
        let log = self.log;
        Ok(Boot { partition, tryboot: self.tryboot, walked, kernel, initramfs, cmdline, config, log })
    }
}

#[cfg(test)]
pub(crate) mod tests;
