//! The settings of the board's EEPROM, as `rpi-eeprom-config` reads them: the firmware leaves them in memory, names the
//! node of that memory in the device tree by an alias, and the kernel shows it as a file.
//!
//! Must never let what it reads make the boot report longer than its readers take.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::Error;
use crate::file;
use crate::root::Root;

/// Names the node of the EEPROM's settings.
const EEPROM_ALIAS: &str = "/proc/device-tree/aliases/blconfig";
/// The longest path of a node.
const ALIAS_BYTES_MAX: u64 = 256;
const DEVICE_TREE: &str = "/sys/firmware/devicetree/base";
const NVMEM: &str = "/sys/bus/nvmem/devices";
/// The EEPROM has 4 KiB for its settings.
const EEPROM_BYTES_MAX: u64 = 4096;

/// The settings, as lines of text. `None` where there is no such node, the kernel has no driver for it, or its content
/// is no plain text: other signs are escaped in the report.
pub(crate) fn settings(root: &Root) -> Result<Option<String>, Error> {
    let Some(device) = device(root)? else { return Ok(None) };
    let text = file::read(&device.join("nvmem"), EEPROM_BYTES_MAX)?;
    let text = text.and_then(|text| Some(text.split('\0').next()?.trim().to_owned()));
    let is_plain = |text: &String| text.chars().all(|sign| !sign.is_control() || matches!(sign, '\n' | '\r' | '\t'));
    Ok(text.filter(|text| !text.is_empty() && is_plain(text)))
}

/// The device that shows the node's memory.
fn device(root: &Root) -> Result<Option<PathBuf>, Error> {
    let Some(alias) = file::read(&root.at(EEPROM_ALIAS), ALIAS_BYTES_MAX)? else { return Ok(None) };
    let node = root.at(DEVICE_TREE).join(alias.trim_end_matches('\0').trim_start_matches('/'));
    let Ok(node) = fs::canonicalize(node) else { return Ok(None) };
    let devices = root.at(NVMEM);
    let entries = match fs::read_dir(&devices) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(Error::io("read", &devices))?,
    };
    let mut devices = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(devices.find(|device| fs::canonicalize(device.join("of_node")).is_ok_and(|found| found == node)))
}

#[cfg(test)]
mod tests;
