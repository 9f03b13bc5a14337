mod volume;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use volume::Volume;

impl Volume {
    fn find(&self, name: &str) -> Result<Place, FatError> {
        find(&self.open(), name)
    }

    fn content(&self, place: &Place) -> Vec<u8> {
        let mut content: Vec<u8> =
            place.extents.iter().flat_map(|extent| self.read(extent.offset, extent.length as usize)).collect();
        content.truncate(place.size as usize);
        content
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7) as u8).collect()
}

#[track_caller]
fn assert_found(volume: &Volume, name: &str, content: &[u8]) -> Place {
    let place = volume.find(name).unwrap();
    assert_eq!(place.size, content.len() as u64);
    assert!(volume.content(&place) == content, "`{name}` reads otherwise");
    assert_eq!(volume.get(name), content, "mtools reads it otherwise");
    place
}

#[test]
fn finds_files_of_any_length_by_long_and_short_names() {
    let volume = Volume::new();
    let names = ["lucid.toml", "AUTOBOOT.TXT", "a file with a very long name indeed, so that it takes parts.toml"];
    for (name, length) in names.into_iter().zip([32 * 1024, 1, 1025]) {
        volume.put(name, &pattern(length));
        let place = assert_found(&volume, name, &pattern(length));
        assert_eq!(place.extents.len(), 1, "one piece");
    }
    assert_found(&volume, "autoboot.txt", &pattern(1));
    assert_eq!(volume.find("LUCID.TOML").unwrap(), volume.find("lucid.toml").unwrap());
}

#[test]
fn follows_a_fragmented_file() {
    let volume = Volume::new();
    volume.put_fragmented("lucid.toml", &pattern(32 * 1024 + 1));
    let place = assert_found(&volume, "lucid.toml", &pattern(32 * 1024 + 1));
    assert!(place.extents.len() > 15, "{} pieces", place.extents.len());
}

#[test]
fn takes_no_other_file_for_it() {
    let volume = Volume::new();
    for name in ["._lucid.toml", "lucid.toml.txt", "lucid.tom", "xlucid.toml", "lucid.tomlx"] {
        volume.put(name, b"x");
    }
    volume.put("empty.toml", b"");
    volume.put("gone.toml", b"x");
    volume.remove("gone.toml");
    volume.tool("mmd", &["-i"], &["::dir.toml"]);
    for name in ["lucid.toml", "empty.toml", "gone.toml", "dir.toml", "LUCID-BOOT", ""] {
        assert!(matches!(volume.find(name), Err(FatError::Missing(_))), "{name}");
    }
}

#[test]
fn a_long_name_that_belongs_to_no_short_one_is_no_name() {
    let volume = Volume::with("lucid.toml", b"x");
    let file = volume.open();
    let begin = super::Volume::open(&file).unwrap().data_offset;
    let directory = volume.read(begin, 512);
    let short = directory.windows(11).position(|name| name == b"LUCID~1 TOM").expect("the short entry");
    // A system without long names deletes the short entry and puts another one in its place.
    volume.write(begin + short as u64, b"OTHER   TXT");
    assert!(volume.find("lucid.toml").is_err());
    assert!(volume.find("other.txt").is_ok());
}

#[test]
fn finds_it_behind_many_files_and_after_it_was_saved_anew() {
    let volume = Volume::with("lucid.toml", b"first");
    // More than one cluster of directory entries.
    (0..60).for_each(|index| volume.put(&format!("another long name {index}.txt"), b"x"));
    volume.put("lucid.toml.swp", b"second");
    volume.remove("lucid.toml");
    volume.tool("mren", &["-i"], &["::lucid.toml.swp", "::lucid.toml"]);
    assert_found(&volume, "lucid.toml", b"second");
}

#[test]
fn an_empty_a_short_and_a_foreign_device_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let check = |content: &[u8]| {
        let path = dir.path().join("device");
        fs::write(&path, content).unwrap();
        find(&File::open(&path).unwrap(), "lucid.toml").unwrap_err()
    };
    assert!(matches!(check(&[]), FatError::Read(_)));
    assert!(matches!(check(&[0; 511]), FatError::Read(_)));
    assert!(matches!(check(&[0; 4096]), FatError::Damaged(_)));
    assert!(matches!(check(&[0xff; 4096]), FatError::Damaged(_)));
    let volume = Volume::with("lucid.toml", &pattern(1024));
    let sector = volume.read(0, 512);
    assert!(matches!(check(&sector), FatError::Read(_)), "a volume that ends after its boot sector");
}

#[test]
fn chains_in_circles_and_out_of_the_volume_are_errors() {
    let volume = Volume::with("lucid.toml", &pattern(32 * 1024));
    let file = volume.open();
    let fat = super::Volume::open(&file).unwrap();
    let place = volume.find("lucid.toml").unwrap();
    let first = 2 + (place.extents[0].offset - fat.data_offset) / fat.cluster_bytes;
    let entry = fat.table_offset + 4 * (first + 3);
    for (next, is_error) in [(0, true), (1, true), (0x0fff_fff7, true), (0x00ff_ffff, true), (0x0fff_ffff, true)] {
        volume.write(entry, &u32::to_le_bytes(next));
        assert_eq!(volume.find("lucid.toml").is_err(), is_error, "{next:x}");
    }
    // A circle ends with the file's size, and its places stay inside the volume.
    volume.write(entry, &u32::to_le_bytes(first as u32));
    assert!(volume.find("lucid.toml").unwrap().extents.len() > 10);
    // The directory in a circle.
    volume.write(fat.table_offset + 8, &2_u32.to_le_bytes());
    volume.remove_root_content(&fat);
    assert!(volume.find("lucid.toml").is_err());
}

impl Volume {
    /// Fills the root directory's first cluster with deleted entries: no end in it.
    fn remove_root_content(&self, fat: &super::Volume<'_, File>) {
        self.write(fat.data_offset, &[0xe5; 512]);
    }
}

/// Bytes of the volume before its data: boot sectors and tables.
fn metadata_end(path: &Path) -> u64 {
    super::Volume::open(&File::open(path).unwrap()).unwrap().data_offset
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is damaged: an answer, and never a place before the data area.
    #[test]
    fn damage_never_leads_out_of_the_data_area(
        damage in prop::collection::vec((0_usize..3, 0_u64..4096, any::<u8>()), 1..12),
    ) {
        thread_local!(static VOLUME: Volume = {
            let volume = Volume::new();
            volume.put_fragmented("lucid.toml", &pattern(8 * 1024));
            volume
        });
        VOLUME.with(|volume| {
            let data = metadata_end(&volume.image);
            // The boot sector, the first table, the root directory.
            let areas = [(0, 90), (32 * 512, 4096), (data, 4096)];
            let place = |(area, at): (usize, u64)| areas[area].0 + at % areas[area].1;
            let places: Vec<_> = damage.iter().map(|(area, at, byte)| (place((*area, *at)), *byte)).collect();
            let before: Vec<_> = places.iter().map(|(offset, _)| (*offset, volume.read(*offset, 1))).collect();
            places.iter().for_each(|(offset, byte)| volume.write(*offset, &[*byte]));
            let found = volume.find("lucid.toml");
            let begin = super::Volume::open(&volume.open()).map(|volume| volume.data_offset).unwrap_or(u64::MAX);
            before.iter().rev().for_each(|(offset, byte)| volume.write(*offset, byte));
            if let Ok(place) = found {
                let held: u64 = place.extents.iter().map(|extent| extent.length).sum();
                prop_assert!(place.size > 0 && place.size <= held);
                prop_assert!(place.extents.iter().all(|extent| extent.offset >= begin && extent.length > 0));
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_directory_has_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..4096), name in ".{0,20}") {
        let entry = directory::find(&bytes, &name);
        prop_assert!(entry.is_none() || bytes.len() >= 32);
    }
}

#[test]
fn an_entry_can_be_renamed_in_place() {
    let volume = Volume::new();
    // More than one cluster of directory entries, so that it is in a later one.
    (0..60).for_each(|index| volume.put(&format!("another long name {index}.txt"), b"x"));
    volume.put("EEPROM.BIN", &pattern(3000));
    let at = entry(&volume.open(), "eeprom.bin").unwrap();
    assert_eq!(volume.read(at, 11), b"EEPROM  BIN");
    volume.write(at, b"PIEEPROMUPD");
    assert_found(&volume, "pieeprom.upd", &pattern(3000));
    assert!(matches!(entry(&volume.open(), "EEPROM.BIN"), Err(FatError::Missing(_))));
    volume.put("EMPTY.TXT", b"");
    assert_eq!(volume.read(entry(&volume.open(), "EMPTY.TXT").unwrap(), 11), b"EMPTY   TXT");
}
