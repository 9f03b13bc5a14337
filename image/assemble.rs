//! From inputs to results, step by step.

use std::fs;
use std::path::{Path, PathBuf};

use lucid_layout::cmdline::{self, Verity};
use lucid_layout::disk::AUTOBOOT_LABEL;
use lucid_layout::{Digest, EepromRelease, Partition, Profile, Release, Slot, autoboot, files, provisioning};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::boot_files::{self, FatFile};
use crate::compress::{Sum, compress};
use crate::eeprom::{self, Carried};
use crate::error::Error;
use crate::fat::Volume;
use crate::inputs::{Inputs, Quality};
use crate::tool::{read_file, write_file};
use crate::{disk, erofs, ext4, fat, imager, provision, root_tree, sbom, tls, verity};

/// The first partition. One sector a cluster: with more, 64 MiB would have too few clusters for FAT32.
const AUTOBOOT: Volume = Volume { label: AUTOBOOT_LABEL, id: "6C756301", cluster_sectors: 1 };

/// Both boot partitions, which hold the same bytes.
const BOOT: Volume = Volume { label: "LUCID-SLOT", id: "6C756302", cluster_sectors: 2 };

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image, to be written to a disk.
    pub image: PathBuf,
    /// The same, compressed.
    pub compressed: PathBuf,
    /// Sizes in bytes: image, compressed image, root with its tree.
    pub bytes: (u64, u64, u64),
    /// SHA-256 of the image.
    pub sha256: Digest,
    /// What its boot partitions say.
    pub release: Release,
}

/// The finished parts of a disk.
struct Parts {
    contents: Vec<(Partition, PathBuf)>,
    release: Release,
    root_bytes: u64,
}

/// Builds an image. `progress` is told what is done next.
///
/// # Errors
/// If an input must not be shipped, something does not fit, or a tool fails. The results' folder is as before then.
pub fn build(inputs: &Inputs, progress: &mut dyn FnMut(&str)) -> Result<Built, Error> {
    inputs.check()?;
    fs::create_dir_all(&inputs.out).map_err(Error::file("make", &inputs.out))?;
    progress("looking at the boot files and the root tree");
    let mut boot_files = boot_files::collect(inputs)?;
    let eeprom = eeprom::collect(inputs)?;
    root_tree::check(inputs)?;
    // Beside the results, so that they only need to be renamed.
    let work = tempfile::Builder::new().prefix(".lucid-image-").tempdir_in(&inputs.out);
    let work = work.map_err(Error::file("make a folder in", &inputs.out))?;
    if let Some(eeprom) = &eeprom {
        boot_files.extend(eeprom.write(work.path())?);
    }
    let parts = make_parts(inputs, boot_files, work.path(), progress)?;
    progress("putting the disk together");
    let image = work.path().join(inputs.name(".img"));
    disk::write(&image, &inputs.quality.profile(), &parts.contents)?;
    progress("compressing");
    let compressed = work.path().join(inputs.name(".img.zst"));
    let sums = compress(&image, &compressed, inputs.quality.zstd_level())?;
    progress("listing what is in it");
    write_lists(inputs, eeprom.as_ref().map(Carried::release), sums, work.path())?;
    publish(inputs, work.path())?;
    Ok(Built {
        image: inputs.out.join(inputs.name(".img")),
        compressed: inputs.out.join(inputs.name(".img.zst")),
        bytes: (sums.0.bytes, sums.1.bytes, parts.root_bytes),
        sha256: sums.0.sha256,
        release: parts.release,
    })
}

fn make_parts(
    inputs: &Inputs,
    boot_files: Vec<FatFile>,
    work: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Parts, Error> {
    let profile = inputs.quality.profile();
    progress("making the root file system");
    let root = work.join("root");
    let tree = root_tree::complete(inputs, work)?;
    let (verity, root_bytes) = make_root(inputs, &tree, &profile, &root)?;
    progress("making the boot partitions");
    let boot = work.join("boot");
    let release = make_boot(inputs, boot_files, &verity, work, &boot)?;
    let autoboot = work.join("autoboot");
    make_autoboot(inputs, work, &autoboot)?;
    let state = work.join("state");
    ext4::make(&state, profile.state_bytes, inputs.epoch_s, &work.join("mke2fs.conf"))?;
    let contents = vec![
        (Partition::Autoboot, autoboot),
        (Partition::BootA, boot.clone()),
        (Partition::BootB, boot),
        (Partition::RootA, root.clone()),
        (Partition::RootB, root),
        (Partition::State, state),
    ];
    Ok(Parts { contents, release, root_bytes })
}

fn make_root(inputs: &Inputs, tree: &Path, profile: &Profile, root: &Path) -> Result<(Verity, u64), Error> {
    erofs::make(inputs, tree, root)?;
    let verity = verity::append(root)?;
    let bytes = root.metadata().map_err(Error::file("look at", root))?.len();
    if bytes > profile.root_bytes {
        return Err(Error::TooLarge { what: "the root file system", bytes, bytes_max: profile.root_bytes });
    }
    Ok((verity, bytes))
}

/// Makes the boot partition, from the files from outside and those that depend on the root.
fn make_boot(
    inputs: &Inputs,
    mut boot_files: Vec<FatFile>,
    verity: &Verity,
    work: &Path,
    boot: &Path,
) -> Result<Release, Error> {
    let lines = [files::CMDLINE_TXT, Slot::A.cmdline_file(), Slot::B.cmdline_file()];
    for (name, slot) in lines.into_iter().zip([Slot::A, Slot::A, Slot::B]) {
        boot_files.push(written(work, name, format!("{}\n", cmdline::render(slot, verity)).as_bytes())?);
    }
    let build_id = build_id(verity, &boot_files)?;
    let release = Release {
        version: inputs.version.clone(),
        build_id,
        root_hash: verity.root_hash,
        epoch: inputs.security_epoch,
        data: lucid_layout::update::DATA,
    };
    let json = serde_json::to_string_pretty(&release).expect("text and digests have a form in JSON");
    boot_files.push(written(work, files::RELEASE, format!("{json}\n").as_bytes())?);
    let sizes = boot_files.iter().map(|file| file.source.metadata().map_or(0, |metadata| metadata.len()));
    let (bytes, bytes_max) = (sizes.sum::<u64>(), inputs.quality.profile().boot_bytes);
    // The tables take less than one part in 64.
    if bytes > bytes_max - bytes_max / 64 {
        return Err(Error::TooLarge { what: "the boot files", bytes, bytes_max });
    }
    fat::make(boot, bytes_max, &BOOT, &boot_files, inputs.epoch_s)?;
    Ok(release)
}

/// A digest of all that boots: names, lengths and bytes.
fn build_id(verity: &Verity, boot_files: &[FatFile]) -> Result<Digest, Error> {
    let mut hasher = Sha256::new();
    hasher.update(verity.root_hash.0);
    for file in boot_files {
        let bytes = read_file(&file.source)?;
        hasher.update((file.name.len() as u64).to_le_bytes());
        hasher.update(&file.name);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(Digest(hasher.finalize().into()))
}

fn make_autoboot(inputs: &Inputs, work: &Path, image: &Path) -> Result<(), Error> {
    let settings = match &inputs.provisioning {
        None => Zeroizing::new(provisioning::template()),
        Some(path) => {
            let file = provision::read_provisioning(path)?;
            tls::authority(&lucid_layout::Provisioning::parse(&file)?)?;
            Zeroizing::new(provisioning::padded(&file)?)
        }
    };
    let contents = [
        written(work, files::AUTOBOOT_TXT, &autoboot::render(Slot::A))?,
        written(work, files::PROVISIONING, &settings)?,
    ];
    fat::make(image, inputs.quality.profile().autoboot_bytes, &AUTOBOOT, &contents, inputs.epoch_s)
}

fn written(work: &Path, name: &str, bytes: &[u8]) -> Result<FatFile, Error> {
    let path = work.join(name);
    write_file(&path, bytes)?;
    Ok(FatFile::new(name, path))
}

/// The endings of everything that is published, the image last: who finds it finds the others.
const ENDINGS: [&str; 5] = [".img.zst", ".sha256", ".imager.json", ".sbom.json", ".img"];

fn write_lists(
    inputs: &Inputs,
    eeprom: Option<&EepromRelease>,
    (image, compressed): (Sum, Sum),
    work: &Path,
) -> Result<(), Error> {
    let line = |sum: Sum, ending: &str| format!("{}  {}\n", sum.sha256, inputs.name(ending));
    let sums = line(compressed, ".img.zst") + &line(image, ".img");
    write_file(&work.join(inputs.name(".sha256")), sums.as_bytes())?;
    let manifest = imager::manifest(inputs, image, compressed);
    write_file(&work.join(inputs.name(".imager.json")), format!("{manifest:#}\n").as_bytes())?;
    if inputs.quality == Quality::Test && inputs.packages.is_none() && inputs.cargo_manifest.is_none() {
        return Ok(());
    }
    let document = sbom::document(inputs, eeprom, image)?;
    write_file(&work.join(inputs.name(".sbom.json")), format!("{document:#}\n").as_bytes())
}

fn publish(inputs: &Inputs, work: &Path) -> Result<(), Error> {
    // First what was there goes, last of it the image's companions: never an image with another's sums.
    for ending in ENDINGS.into_iter().rev() {
        let old = inputs.out.join(inputs.name(ending));
        match fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &old)(error));
            }
            _ => {}
        }
    }
    for ending in ENDINGS {
        let (from, to) = (work.join(inputs.name(ending)), inputs.out.join(inputs.name(ending)));
        if from.exists() {
            fs::rename(&from, &to).map_err(Error::file("write", &to))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
