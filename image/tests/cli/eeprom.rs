//! The EEPROM's release on the boot partitions of an image.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use lucid_layout::{Digest, EepromRelease, Partition, Profile, eeprom};
use sha2::{Digest as _, Sha256};

use crate::content::{mtype, part};
use crate::fixture::{CONFIG_TXT, Inputs, difference, fail, lucid_image, succeed, tool};
use crate::keys::Keys;

#[path = "../../eeprom/tests/sample.rs"]
pub(crate) mod sample;

/// Inputs with an EEPROM's release beside them, and the arguments that name it.
pub(crate) fn with(image: &[u8]) -> (Inputs, [String; 2]) {
    let inputs = Inputs::new();
    inputs.write("pieeprom.bin", 0o644, image);
    let path = inputs.path("pieeprom.bin").to_str().unwrap().to_owned();
    (inputs, ["--eeprom".to_owned(), path])
}

/// An image that carries `sample`'s release.
fn carrying() -> (Inputs, std::path::PathBuf) {
    let (inputs, arguments) = with(&sample::image());
    succeed(inputs.build_with(arguments.iter().map(String::as_str)));
    let image = inputs.path("out/lucid-pi5-1.2.3.img");
    (inputs, image)
}

/// Entries of the top folder of a FAT32 file system, 32 bytes each (Microsoft, "FAT File System Specification").
fn entries(part: &Path) -> Vec<[u8; 32]> {
    let bytes = fs::read(part).unwrap();
    let number = |at: usize, length: usize| {
        bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (cluster_bytes, reserved, tables, table_sectors) =
        (number(13, 1) * 512, number(14, 2), number(16, 1), number(36, 4));
    let mut cluster = number(44, 4);
    let mut found = Vec::new();
    while cluster < 0x0fff_fff8 {
        let at = (reserved + tables * table_sectors) * 512 + (cluster - 2) * cluster_bytes;
        found.extend(bytes[at..at + cluster_bytes].chunks(32).map(|entry| <[u8; 32]>::try_from(entry).unwrap()));
        cluster = number(reserved * 512 + cluster * 4, 4) & 0x0fff_ffff;
    }
    found
}

#[test]
fn both_boot_partitions_carry_it_under_names_of_one_entry() {
    let (_inputs, image) = carrying();
    let folder = tempfile::tempdir().unwrap();
    for partition in [Partition::BootA, Partition::BootB] {
        let part = part(&image, partition, &folder.path().join(partition.name()));
        assert!(mtype(&part, "EEPROM.BIN") == sample::image());
        let sha256 = Digest(Sha256::digest(sample::image()).into());
        assert_eq!(mtype(&part, "EEPROM.SIG"), eeprom::digest_file(&sha256, sample::BUILD_S).as_bytes());
        let facts: EepromRelease = serde_json::from_slice(&mtype(&part, "eeprom.json")).unwrap();
        let (version, settings) = (sample::VERSION.to_owned(), sample::SETTINGS.to_owned());
        assert_eq!(facts, EepromRelease { build_s: sample::BUILD_S, version, sha256, settings });
        let entries = entries(Path::new(&part));
        for name in [b"EEPROM  BIN", b"EEPROM  SIG"] {
            let places: Vec<_> = (0..entries.len()).filter(|at| entries[*at][..11] == *name).collect();
            let [at] = places[..] else { panic!("{places:?}") };
            // Attribute 15 is a piece of a long name, which stands before the entry that it belongs to.
            assert_ne!(entries[at - 1][11], 0x0f, "no long name");
            assert_eq!((entries[at][11], entries[at][12]), (0x20, 0), "a plain file, no lower case");
        }
        let kernel = entries.iter().position(|entry| entry[..6] == *b"KERNEL").unwrap();
        assert_eq!(entries[kernel - 1][11], 0x0f, "a long name is found where there is one");
        tool("fsck.vfat", &["-n", &part]);
    }
}

#[test]
fn the_same_release_gives_the_same_bytes_and_none_leaves_no_trace() {
    let ((one, first), (_other, second)) = (carrying(), carrying());
    assert_eq!(difference(&first, &second), None);
    let said = |image: &Path| succeed(lucid_image().arg("verify").arg(image).output().unwrap());
    let line = format!("carries the EEPROM of 2026-05-26T15:01:25Z, {}", sample::VERSION);
    assert_eq!(said(&first).matches(&line).count(), 2, "{}", said(&first));
    let without = one.build();
    assert!(!said(&without).contains("EEPROM"));
    let folder = tempfile::tempdir().unwrap();
    let boot = fs::read(part(&without, Partition::BootA, &folder.path().join("boot"))).unwrap();
    assert!([&b"EEPROM"[..], b"eeprom"].iter().all(|name| memchr::memmem::find(&boot, name).is_none()));
}

#[test]
fn what_must_not_be_shipped_is_refused() {
    let own = |inputs: &Inputs| format!("#{}\n", inputs.path("root").canonicalize().unwrap().display());
    let refused = |inputs: &Inputs, arguments: &[String], wanted: &str| {
        let said = fail(inputs.build_with(arguments.iter().map(String::as_str)));
        assert!(said.contains(wanted) && said.contains("pieeprom.bin"), "`{wanted}`: {said}");
        assert_eq!(fs::read_dir(inputs.path("out")).map_or(0, Iterator::count), 0);
    };
    let (inputs, arguments) = with(b"");
    refused(&inputs, &arguments, "2097152 bytes");
    inputs.write("pieeprom.bin", 0o644, &sample::image_with(&own(&inputs)));
    refused(&inputs, &arguments, "of this machine");
    fs::remove_file(inputs.path("pieeprom.bin")).unwrap();
    refused(&inputs, &arguments, "missing");
    fs::create_dir(inputs.path("pieeprom.bin")).unwrap();
    refused(&inputs, &arguments, "no plain file");
}

#[test]
fn a_release_must_let_the_next_one_in_and_a_test_need_not() {
    let (mut inputs, arguments) = with(&sample::image_with("[all]\nENABLE_SELF_UPDATE=0\n"));
    succeed(inputs.build_with(arguments.iter().map(String::as_str)));
    let keys = Keys::new("release");
    inputs.profile = "release";
    inputs.write("packages", 0o644, b"systemd 257\n");
    let (packages, root) = (inputs.path("packages"), keys.at("update-root"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let lists = ["--packages", packages.to_str().unwrap(), "--cargo-manifest", manifest, "--update-root", &root];
    let said = fail(inputs.build_with(lists.into_iter().chain(arguments.iter().map(String::as_str))));
    assert!(said.contains("ENABLE_SELF_UPDATE"), "{said}");
}

/// Changes one bit of the byte behind `begin`, which the partition holds once; a second call takes it back.
pub(crate) fn flip(image: &Path, partition: Partition, begin: &[u8]) {
    let start = Profile::TEST.start_bytes(partition);
    let mut file = File::options().read(true).write(true).open(image).unwrap();
    file.seek(SeekFrom::Start(start)).unwrap();
    let mut bytes = Vec::new();
    (&file).take(Profile::TEST.bytes(partition).unwrap()).read_to_end(&mut bytes).unwrap();
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, begin).collect();
    let [at] = places[..] else { panic!("{places:?}") };
    let at = at + begin.len();
    file.seek(SeekFrom::Start(start + at as u64)).unwrap();
    file.write_all(&[bytes[at] ^ 1]).unwrap();
}

#[test]
fn an_image_whose_eeprom_is_not_what_it_says_is_found() {
    let (_inputs, image) = carrying();
    let sha256 = Digest(Sha256::digest(sample::image()).into()).to_string();
    let digest = format!("{sha256}\nts: 177980768");
    for (begin, wanted) in [
        (&b"BUILD_TIMESTAMP=177980768"[..], "EEPROM.BIN is not the release"),
        (digest.as_bytes(), "EEPROM.SIG is not the digest"),
        (b"\"build_s\": 177980768", "EEPROM.BIN is not the release"),
        (b"\"build_s", "eeprom.json"),
    ] {
        flip(&image, Partition::BootB, begin);
        let said = fail(lucid_image().arg("verify").arg(&image).output().unwrap());
        assert!(said.contains(wanted) && !said.contains("slot a"), "{said}");
        flip(&image, Partition::BootB, begin);
    }
    succeed(lucid_image().arg("verify").arg(&image).output().unwrap());
}

#[test]
fn a_config_that_keeps_the_firmware_from_installing_it_is_refused_with_it_alone() {
    let (inputs, arguments) = with(&sample::image());
    inputs.write("config.txt", 0o644, format!("{CONFIG_TXT}bootloader_update=0\n").as_bytes());
    let said = fail(inputs.build_with(arguments.iter().map(String::as_str)));
    assert!(said.contains("bootloader_update=0"), "{said}");
    inputs.build();
}
