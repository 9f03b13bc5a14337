use std::collections::BTreeMap;

use super::*;
use crate::eeprom::{DEVICE_TREE, Eeprom, NoBoot, Outcome, Reset};

const MIB: u64 = 1024 * 1024;
const AUTOBOOT: &str = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n";

/// A disk of three FAT partitions of 8 MiB each: autoboot, and two that boot.
fn image(folder: &Path) -> PathBuf {
    let path = folder.join("disk.img");
    File::create(&path).unwrap().set_len(64 * MIB).unwrap();
    let mut disk = gpt::GptConfig::new().writable(true).create(&path).unwrap();
    disk.update_partitions(BTreeMap::new()).unwrap();
    for name in ["autoboot", "boot-a", "boot-b"] {
        disk.add_partition(name, 8 * MIB, gpt::partition_types::BASIC, 0, Some(2048)).unwrap();
    }
    disk.write().unwrap();
    let files = [
        ("config.txt", "cmdline=c"),
        (DEVICE_TREE, "d"),
        ("kernel_2712.img", "k"),
        ("c", "quiet\n"),
        ("PIEEPROM.SIG", "of one entry"),
    ];
    fat(&path, 1, &[("autoboot.txt", AUTOBOOT)]);
    fat(&path, 2, &files);
    fat(&path, 3, &files);
    path
}

/// Makes the file system of a partition, with files.
fn fat(path: &Path, number: u32, files: &[(&str, &str)]) {
    let (start, bytes) = DiskImage::open(path).unwrap().place(number).unwrap();
    let mut memory = io::Cursor::new(vec![0; usize::try_from(bytes).unwrap()]);
    fatfs::format_volume(&mut memory, fatfs::FormatVolumeOptions::new()).unwrap();
    let system = fatfs::FileSystem::new(&mut memory, fatfs::FsOptions::new()).unwrap();
    for (name, text) in files {
        system.root_dir().create_file(name).unwrap().write_all(text.as_bytes()).unwrap();
    }
    drop(system);
    overwrite(path, start, memory.get_ref());
}

fn overwrite(path: &Path, position: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(position)).unwrap();
    file.write_all(bytes).unwrap();
}

fn booted(path: &Path, tryboot: bool) -> Result<u32, NoBoot> {
    let mut disk = DiskImage::open(path).unwrap();
    match Eeprom::CURRENT.boot(&mut disk, 1, Reset { tryboot, partition: 0 })? {
        Outcome::Boot(boot) => Ok(boot.partition),
        Outcome::Update(update) => panic!("{update:?}"),
    }
}

#[test]
fn a_disk_boots_from_the_partition_that_autoboot_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path());
    assert_eq!((booted(&path, false).unwrap(), booted(&path, true).unwrap()), (2, 3));
    let mut disk = DiskImage::open(&path).unwrap();
    assert_eq!(disk.read(2, "c").unwrap(), b"quiet\n");
    assert_eq!(disk.read(2, "pieeprom.sig").unwrap(), b"of one entry", "names are one in either case");
    assert!(disk.read(2, "nothing").unwrap_err().contains("nothing"));
    assert!(disk.read(7, "c").unwrap_err().contains("no partition 7"));
}

#[test]
fn a_boot_partition_whose_first_sector_is_gone_is_not_started() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path());
    let (start, _) = DiskImage::open(&path).unwrap().place(2).unwrap();
    overwrite(&path, start, &[0; 512]);
    assert_eq!(booted(&path, false).unwrap(), 3, "the walk goes on to B");
    overwrite(&path, DiskImage::open(&path).unwrap().place(3).unwrap().0, &[0xff; 512]);
    assert!(matches!(booted(&path, false), Err(NoBoot::Nothing { .. })));
}

#[test]
fn the_second_table_serves_when_the_first_is_damaged_and_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path());
    overwrite(&path, 512, &[0; 512]);
    assert_eq!(booted(&path, false).unwrap(), 2);
    overwrite(&path, 64 * MIB - 512, &[0; 512]);
    assert!(matches!(DiskImage::open(&path), Err(DiskError::Table { .. })));
    assert!(matches!(DiskImage::open(&folder.path().join("none")), Err(DiskError::Open { .. })));
}

#[test]
fn an_image_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = image(folder.path());
    let before = blake3::hash(&std::fs::read(&path).unwrap());
    booted(&path, true).unwrap();
    assert_eq!(blake3::hash(&std::fs::read(&path).unwrap()), before);
}
