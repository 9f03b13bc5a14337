//! What config.txt must say for two slots to boot and fall back.

use lucid_layout::{Slot, files};

/// Settings that would boot something that this image does not hold, or hide what it does.
const FORBIDDEN: [&str; 5] = ["initramfs", "os_prefix", "device_tree_address", "ramfsfile", "kernel_address"];

/// Everything that is wrong with `text`.
pub(crate) fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let settings: Vec<_> = settings(text).collect();
    for slot in Slot::ALL {
        let (section, file) = (format!("boot_partition={}", slot.boot().number()), slot.cmdline_file());
        let is_set = |(in_section, key, value): &(&str, &str, &str)| {
            *in_section == section && *key == "cmdline" && *value == file
        };
        if !settings.iter().any(is_set) {
            problems.push(format!("config.txt: `cmdline={file}` in a section `[{section}]` is missing"));
        }
    }
    let elsewhere =
        settings.iter().filter(|(section, key, _)| *key == "cmdline" && !section.contains("boot_partition"));
    problems.extend(elsewhere.map(|(section, ..)| format!("config.txt: `cmdline` in `[{section}]` hides the slots'")));
    // The firmware then boots no partition without a device tree of this board: falling back rests on it.
    let checks: Vec<_> = settings.iter().filter(|(_, key, _)| *key == "os_check").collect();
    if checks.is_empty() || checks.iter().any(|(section, _, value)| (*section, *value) != ("all", "1")) {
        problems.push("config.txt: `os_check=1` in `[all]`, and no other `os_check`, is needed".to_owned());
    }
    let kernels = settings.iter().filter(|(_, key, value)| *key == "kernel" && *value != files::KERNEL);
    problems
        .extend(kernels.map(|(_, _, value)| format!("config.txt: the kernel is `{}`, not `{value}`", files::KERNEL)));
    let is_forbidden = |key: &str, value: &str| FORBIDDEN.contains(&key) || (key == "auto_initramfs" && value != "0");
    let forbidden = settings.iter().filter(|(_, key, value)| is_forbidden(key, value));
    problems.extend(forbidden.map(|(_, key, _)| format!("config.txt: `{key}` is not for this image")));
    if sections(text).last() != Some("all") {
        problems.push("config.txt: the last section is not `[all]`".to_owned());
    }
    problems
}

/// What keeps the firmware from installing an EEPROM that the image carries.
pub(crate) fn eeprom_problem(text: &str) -> Option<String> {
    let (_, _, value) = settings(text).filter(|(_, key, _)| *key == "bootloader_update").last()?;
    (value == "0").then(|| {
        "config.txt: `bootloader_update=0` keeps the firmware from installing the EEPROM that the image carries; take \
         it out, or leave `--eeprom` out"
            .to_owned()
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

fn sections(text: &str) -> impl Iterator<Item = &str> {
    lines(text).filter_map(section)
}

/// Section, key and value of each setting. `initramfs` is the one key that takes its value after a blank.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut current = "all";
    lines(text).filter_map(move |line| {
        if let Some(section) = section(line) {
            current = section;
            return None;
        }
        let (key, value) = line.split_once(['=', ' ']).unwrap_or((line, ""));
        Some((current, key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests;
