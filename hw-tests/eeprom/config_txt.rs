//! config.txt: which kernel, device tree and command line a boot partition boots with.

use super::lines::{Situation, settings};

/// Settings that change what is loaded in ways that the bench does not play. It refuses them rather than boot something
/// else than a Pi would.
const NOT_PLAYED: [&str; 5] = ["boot_ramdisk", "include", "ramfsfile", "kernel_address", "force_eeprom_read"];

/// The kernels that are tried when none is named, in order.
const KERNELS: [&str; 2] = ["kernel_2712.img", "kernel8.img"];

/// The device tree of the board that the bench plays (C1 stepping).
pub const DEVICE_TREE: &str = "bcm2712-rpi-5-b.dtb";

/// What config.txt says to this boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Kernels to try, in order.
    pub kernels: Vec<String>,
    /// The command line's file.
    pub cmdline: String,
    /// The device tree's file.
    pub device_tree: String,
    /// An initramfs, if one is named.
    pub initramfs: Option<String>,
    /// Whether a partition without a fitting device tree is refused.
    pub os_check: bool,
    /// Seconds after which a kernel that has not taken the watchdog over is reset; 0 for never.
    pub kernel_watchdog_s: u64,
    /// Whether the EEPROM may update itself.
    pub bootloader_update: bool,
}

/// A setting that the bench does not play.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config.txt sets `{0}`, which the bench does not play; take it out, or teach hw-tests/eeprom what it does")]
pub struct NotPlayed(pub String);

/// Reads config.txt.
pub(super) fn read(bytes: &[u8], situation: &Situation) -> Result<Config, NotPlayed> {
    let mut config = Config {
        kernels: KERNELS.map(str::to_owned).to_vec(),
        cmdline: "cmdline.txt".to_owned(),
        device_tree: DEVICE_TREE.to_owned(),
        initramfs: None,
        os_check: true,
        kernel_watchdog_s: 0,
        bootloader_update: true,
    };
    let mut prefix = String::new();
    for (key, value) in settings(bytes, situation) {
        match key.as_str() {
            "kernel" => config.kernels = vec![value],
            "cmdline" => config.cmdline = value,
            "device_tree" => config.device_tree = value,
            "os_check" => config.os_check = value != "0",
            // A number that makes no sense is taken for none, as the firmware does.
            "kernel_watchdog_timeout" => config.kernel_watchdog_s = value.parse().unwrap_or(0),
            "bootloader_update" => config.bootloader_update = value != "0",
            "os_prefix" => prefix = value,
            "initramfs" => config.initramfs = value.split_whitespace().next().map(str::to_owned),
            "auto_initramfs" if value == "1" => config.initramfs = Some("initramfs_2712".to_owned()),
            _ if NOT_PLAYED.contains(&key.as_str()) => return Err(NotPlayed(key)),
            _ => {}
        }
    }
    config.prefix(&prefix);
    Ok(config)
}

impl Config {
    fn prefix(&mut self, prefix: &str) {
        let files = self.kernels.iter_mut().chain([&mut self.cmdline, &mut self.device_tree]);
        for file in files.chain(&mut self.initramfs) {
            file.insert_str(0, prefix);
        }
    }
}
