//! The files of a boot partition: which there must be, and what the firmware can't read.

use std::fs;
use std::path::{Path, PathBuf};

use lucid_layout::files;

use crate::config_txt;
use crate::error::{Error, refuse};
use crate::inputs::{Inputs, Quality};
use crate::tool::read_file;

/// The device tree of the boards that a release is for; those with the newer BCM2712D0 have one of their own.
const BOARDS: [&str; 2] = ["bcm2712-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb"];

/// First bytes of a flattened device tree (Devicetree Specification, section 5.2).
const FDT_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// What an arm64 kernel has at offset 56 (kernel documentation, "Booting AArch64 Linux").
const IMAGE_MAGIC: &[u8; 4] = b"ARM\x64";

/// A file of a FAT partition.
#[derive(Debug, Clone)]
pub(crate) struct FatFile {
    /// Its path there.
    pub(crate) name: String,
    /// Where its bytes are.
    pub(crate) source: PathBuf,
}

impl FatFile {
    pub(crate) fn new(name: impl Into<String>, source: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), source: source.into() }
    }
}

/// The files that come from outside, in the order in which they are written.
pub(crate) fn collect(inputs: &Inputs) -> Result<Vec<FatFile>, Error> {
    let mut problems = Vec::new();
    let mut found =
        vec![FatFile::new(files::CONFIG_TXT, &inputs.config_txt), FatFile::new(files::KERNEL, &inputs.kernel)];
    found.extend(device_trees(inputs, &mut problems)?);
    if let Some(folder) = &inputs.overlays {
        let overlays = plain_files(folder, &mut problems)?;
        found
            .extend(overlays.into_iter().map(|(name, path)| FatFile::new(format!("{}/{name}", files::OVERLAYS), path)));
    }
    for file in &found {
        check(file, inputs, &mut problems)?;
    }
    refuse("the boot files", problems)?;
    Ok(found)
}

/// Name and path of each file directly in `folder`, sorted by name.
fn plain_files(folder: &Path, problems: &mut Vec<String>) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let path = entry.map_err(Error::file("list", folder))?.path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if path.is_file() => found.push((name.to_owned(), path)),
            _ => problems.push(format!("`{}` is no plain file: the firmware reads no others here", path.display())),
        }
    }
    found.sort();
    Ok(found)
}

fn device_trees(inputs: &Inputs, problems: &mut Vec<String>) -> Result<Vec<FatFile>, Error> {
    // A kernel's folder holds other things, too.
    let found = plain_files(&inputs.dtb, &mut Vec::new())?;
    let trees: Vec<_> = found.into_iter().filter(|(name, _)| name.ends_with(".dtb")).collect();
    if trees.is_empty() {
        problems.push(format!("`{}` holds no device tree (*.dtb)", inputs.dtb.display()));
    } else if inputs.quality == Quality::Release {
        let missing = BOARDS.iter().filter(|board| trees.iter().all(|(name, _)| name != *board));
        problems.extend(missing.map(|board| format!("the device tree {board} is missing")));
    }
    Ok(trees.into_iter().map(|(name, path)| FatFile::new(name, path)).collect())
}

/// Whether the firmware can read the file, and the file is of its kind.
fn check(file: &FatFile, inputs: &Inputs, problems: &mut Vec<String>) -> Result<(), Error> {
    let path = file.source.display();
    if !file.source.is_file() {
        problems.push(format!("`{path}` is missing, or no plain file"));
        return Ok(());
    }
    let bytes = read_file(&file.source)?;
    if bytes.len() as u64 >= files::BOOT_FILE_BYTES_MAX {
        problems.push(format!("`{path}` has {} bytes; EEPROMs of 2024 read less than 32 MiB", bytes.len()));
    }
    match file.name.as_str() {
        files::KERNEL => problems.extend(kernel_problem(&bytes).map(|what| format!("`{path}` {what}"))),
        files::CONFIG_TXT => {
            let text = String::from_utf8_lossy(&bytes);
            problems.extend(config_txt::problems(&text));
            problems.extend(config_txt::eeprom_problem(&text).filter(|_| inputs.eeprom.is_some()));
        }
        name if name.ends_with(".dtb") && !is_device_tree(&bytes) => {
            problems.push(format!("`{path}` is cut short, or no device tree"));
        }
        _ => {}
    }
    let paths = inputs.own_paths();
    let leaks = paths.iter().filter(|own| memchr::memmem::find(&bytes, own.as_bytes()).is_some());
    problems.extend(leaks.map(|own| format!("`{path}` holds the path `{own}` of this machine")));
    Ok(())
}

fn kernel_problem(kernel: &[u8]) -> Option<&'static str> {
    if kernel.starts_with(&[0x1f, 0x8b]) {
        // RFC 1952: the four bytes from 4 on are a time.
        let has_time = kernel.get(4..8).is_none_or(|time| time != [0; 4]);
        return has_time.then_some("carries the time at which it was compressed; use `gzip -n`");
    }
    (kernel.get(56..60) != Some(IMAGE_MAGIC)).then_some("is no arm64 kernel: neither an Image nor one made by gzip")
}

fn is_device_tree(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_be_bytes);
    bytes.starts_with(&FDT_MAGIC) && size.is_some_and(|size| size as usize <= bytes.len() && size >= 40)
}
