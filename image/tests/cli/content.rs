//! What is in an image, as other tools see it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lucid_layout::{Partition, Profile, autoboot, cmdline, provisioning};

use sha2::{Digest as _, Sha256};

use crate::fixture::{Inputs, difference, lucid_image, succeed, tool, walk};
use crate::keys::Keys;

/// The bytes of a partition as a file of its own, holes as holes.
pub(crate) fn part(image: &Path, partition: Partition, to: &Path) -> String {
    let (start, length) = (Profile::TEST.start_bytes(partition), Profile::TEST.bytes(partition).unwrap());
    let (from, to) = (image.to_str().unwrap(), to.to_str().unwrap());
    let place =
        [format!("if={from}"), format!("of={to}"), format!("skip={}", start >> 20), format!("count={}", length >> 20)];
    let args: Vec<_> = place.iter().map(String::as_str).chain(["bs=1M", "conv=sparse", "status=none"]).collect();
    tool("dd", &args);
    File::options().write(true).open(to).unwrap().set_len(length).unwrap();
    to.to_owned()
}

pub(crate) fn mtype(part: &str, name: &str) -> Vec<u8> {
    let output = std::process::Command::new("mtype").args(["-i", part, &format!("::{name}")]).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// By another program than the builder's.
fn sha256(path: &Path) -> String {
    tool("sha256sum", &[path.to_str().unwrap()])[..64].to_owned()
}

#[test]
fn an_image_holds_what_it_should() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let folder = tempfile::tempdir().unwrap();
    let file = |partition: Partition| part(&image, partition, &folder.path().join(partition.name()));
    check_table(&image);
    check_autoboot(&file(Partition::Autoboot));
    let (boot, other) = (file(Partition::BootA), file(Partition::BootB));
    assert!(fs::read(&boot).unwrap() == fs::read(other).unwrap(), "both boot partitions hold the same bytes");
    check_boot(&inputs, &boot);
    check_root(&inputs, &file(Partition::RootA), folder.path());
    check_state(&file(Partition::State));
    check_companions(&inputs, &image);
    assert!(image.metadata().unwrap().blocks() * 512 < 64 << 20, "holes stay holes");
    let text = succeed(lucid_image().arg("verify").arg(&image).output().unwrap());
    assert!(text.contains("commits slot a") && text.contains("version 1.2.3") && text.contains("untouched"), "{text}");
    let left: Vec<_> = fs::read_dir(inputs.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing else is left behind: {left:?}");
}

fn check_table(image: &Path) {
    let image = image.to_str().unwrap();
    let said = tool("sfdisk", &["--verify", image]);
    assert!(said.contains("No errors detected"), "{said}");
    let table: serde_json::Value = serde_json::from_str(&tool("sfdisk", &["--json", image])).unwrap();
    let table = &table["partitiontable"];
    assert_eq!((&table["label"], &table["id"]), (&"gpt".into(), &"6C756369-6400-4000-8000-000000000000".into()));
    for (index, partition) in Partition::IN_IMAGE.into_iter().enumerate() {
        let entry = &table["partitions"][index];
        assert_eq!(entry["name"], partition.name());
        assert_eq!(entry["uuid"].as_str().unwrap().to_lowercase(), partition.guid());
        assert_eq!(entry["type"], partition.type_guid());
        assert_eq!(entry["start"].as_u64().unwrap() * 512, Profile::TEST.start_bytes(partition));
        assert_eq!(entry["size"].as_u64().unwrap() * 512, Profile::TEST.bytes(partition).unwrap());
    }
    assert_eq!(table["partitions"].as_array().unwrap().len(), 6);
}

fn check_autoboot(part: &str) {
    tool("fsck.vfat", &["-n", part]);
    let boot_sector = &fs::read(part).unwrap()[..512];
    assert_eq!(boot_sector[13], 1, "one sector a cluster");
    assert_eq!(&boot_sector[82..90], b"FAT32   ");
    assert_eq!(mtype(part, "autoboot.txt"), autoboot::render(lucid_layout::Slot::A));
    assert_eq!(mtype(part, "lucid.toml"), provisioning::template());
    for (name, clusters) in [("autoboot.txt", 1), ("lucid.toml", 64)] {
        let said = tool("mshowfat", &["-i", part, &format!("::{name}")]);
        let range = said.trim().split_once('<').unwrap().1.trim_end_matches('>');
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let count = last.parse::<u32>().unwrap() - first.parse::<u32>().unwrap() + 1;
        assert_eq!(count, clusters, "{name} lies in one piece: {said}");
    }
}

fn check_boot(inputs: &Inputs, part: &str) {
    tool("fsck.vfat", &["-n", part]);
    for (name, source) in [
        ("config.txt", "config.txt"),
        ("kernel_2712.img", "Image"),
        ("bcm2712-rpi-5-b.dtb", "dtb/bcm2712-rpi-5-b.dtb"),
        ("overlays/README", "overlays/README"),
        ("overlays/a.dtbo", "overlays/a.dtbo"),
    ] {
        assert!(mtype(part, name) == fs::read(inputs.path(source)).unwrap(), "{name}");
    }
    let line = |name: &str| String::from_utf8(mtype(part, name)).unwrap();
    assert_eq!(line("cmdline.txt"), line("cmdline-a.txt"));
    let (a, b) = (cmdline::parse(&line("cmdline-a.txt")).unwrap(), cmdline::parse(&line("cmdline-b.txt")).unwrap());
    assert_eq!((a.0.letter(), b.0.letter(), a.1), ('a', 'b', b.1));
    let release: lucid_layout::Release = serde_json::from_slice(&mtype(part, "lucid-release.json")).unwrap();
    assert_eq!((release.version.as_str(), release.root_hash), ("1.2.3", a.1.root_hash));
}

fn check_root(inputs: &Inputs, part: &str, folder: &Path) {
    let to = folder.join("extracted");
    tool("fsck.erofs", &[&format!("--extract={}", to.display()), part]);
    let tree = inputs.path("root");
    let mut count = 0;
    for entry in walk(&tree) {
        let there = to.join(entry.strip_prefix(&tree).unwrap());
        let (was, is) = (entry.symlink_metadata().unwrap(), there.symlink_metadata().unwrap());
        assert_eq!(was.file_type(), is.file_type(), "{}", there.display());
        if was.is_file() {
            assert!(fs::read(&entry).unwrap() == fs::read(&there).unwrap(), "{}", there.display());
            assert_eq!(is.mtime().to_string(), crate::fixture::EPOCH);
        }
        if !was.is_symlink() {
            assert_eq!(was.mode(), is.mode(), "{}", there.display());
        }
        count += 1;
    }
    assert_eq!(count, walk(&to).len(), "nothing is added");
}

fn check_state(part: &str) {
    tool("e2fsck", &["-f", "-n", part]);
    let said = tool("dumpe2fs", &["-h", part]);
    for wanted in ["lucid-state", "has_journal", "metadata_csum", "Filesystem created:"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

fn check_companions(inputs: &Inputs, image: &Path) {
    let out = inputs.path("out");
    let compressed = out.join("lucid-pi5-1.2.3.img.zst");
    let mut unpacked = Sha256::new();
    zstd::stream::copy_decode(File::open(&compressed).unwrap(), &mut unpacked).unwrap();
    let unpacked: String = unpacked.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let (raw, packed) = (sha256(image), sha256(&compressed));
    assert_eq!(unpacked, raw, "the download is the image");
    let sums = fs::read_to_string(out.join("lucid-pi5-1.2.3.sha256")).unwrap();
    let wanted = [(&packed, "lucid-pi5-1.2.3.img.zst"), (&raw, "lucid-pi5-1.2.3.img")];
    assert_eq!(sums, wanted.map(|(sum, name)| format!("{sum}  {name}\n")).concat());
    let text = fs::read_to_string(out.join("lucid-pi5-1.2.3.imager.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = &manifest["os_list"][0];
    assert_eq!(entry["extract_size"], image.metadata().unwrap().len());
    assert_eq!(entry["extract_sha256"], raw);
    assert_eq!(entry["image_download_size"], compressed.metadata().unwrap().len());
    assert_eq!(entry["image_download_sha256"], packed);
    assert_eq!(entry["release_date"], "2025-10-09");
    // Imager offers the boards that the list names, and of the images those with a tag of the chosen board.
    assert_eq!(entry["devices"], serde_json::json!(["pi5-64bit"]));
    assert_eq!(manifest["imager"]["devices"][0]["tags"], entry["devices"]);
}

#[test]
fn a_root_set_is_put_into_the_root_as_if_the_tree_had_had_it() {
    let (inputs, other, keys) = (Inputs::new(), Inputs::new(), Keys::new("test"));
    // Folders and links of the tree stay what they are.
    for inputs in [&inputs, &other] {
        fs::hard_link(inputs.path("root/etc/hosts"), inputs.path("root/etc/hosts.again")).unwrap();
    }
    let tree: Vec<_> = walk(&inputs.path("root"));
    succeed(inputs.build_with(["--update-root", &keys.at("update-root")]));
    assert_eq!(walk(&inputs.path("root")), tree, "the tree that was given is not touched");
    other.write("root/usr/share/lucid/update-root", 0o644, &fs::read(keys.path("update-root")).unwrap());
    for folder in ["root/usr/share", "root/usr/share/lucid"] {
        fs::set_permissions(other.path(folder), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let (one, two) = (inputs.path("out/lucid-pi5-1.2.3.img"), other.build());
    assert_eq!(difference(&one, &two), None);
    let folder = tempfile::tempdir().unwrap();
    let root = part(&one, Partition::RootA, &folder.path().join("root"));
    let to = folder.path().join("extracted");
    tool("fsck.erofs", &[&format!("--extract={}", to.display()), &root]);
    let file = to.join("usr/share/lucid/update-root");
    assert_eq!(fs::read(&file).unwrap(), fs::read(keys.path("update-root")).unwrap());
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn the_list_of_contents_names_crates_and_packages() {
    let inputs = Inputs::new();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    inputs.write("packages", 0o644, b"systemd\t257.7-1\nlibc6\t2.41-12\n");
    let packages = inputs.path("packages");
    inputs.write("pieeprom.bin", 0o644, &crate::eeprom::sample::image());
    let eeprom = inputs.path("pieeprom.bin");
    let more = ["--packages", packages.to_str().unwrap(), "--cargo-manifest", manifest];
    succeed(inputs.build_with(more.into_iter().chain(["--eeprom", eeprom.to_str().unwrap()])));
    let text = fs::read_to_string(inputs.path("out/lucid-pi5-1.2.3.sbom.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let components = list["components"].as_array().unwrap();
    let purls: Vec<_> = components.iter().map(|component| component["purl"].as_str().unwrap()).collect();
    let has = |prefix: &str| purls.iter().any(|purl| purl.starts_with(prefix));
    let eeprom = components.iter().find(|component| component["name"] == "pi5-eeprom").unwrap();
    assert_eq!(eeprom["version"], crate::eeprom::sample::VERSION);
    assert_eq!(eeprom["hashes"][0]["content"], sha256(&inputs.path("pieeprom.bin")));
    for wanted in ["pkg:cargo/lucid@", "pkg:cargo/lucid-kit@", "pkg:cargo/tokio@", "pkg:deb/debian/systemd@257.7-1"] {
        assert!(has(wanted), "{wanted}: {purls:?}");
    }
    // A macro, a test's crate, and this builder: none of them is in the image.
    for unwanted in ["pkg:cargo/serde_derive@", "pkg:cargo/proptest@", "pkg:cargo/lucid-image@"] {
        assert!(!has(unwanted), "{unwanted}");
    }
    let tokio = components.iter().find(|component| component["name"] == "tokio").unwrap();
    assert_eq!(tokio["hashes"][0]["content"].as_str().unwrap().len(), 64);
    assert_eq!(tokio["licenses"][0]["expression"], "MIT");
    for dependency in list["dependencies"].as_array().unwrap() {
        let all = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
        assert!(all.clone().all(|purl| purls.contains(&purl.as_str().unwrap())), "{dependency}");
    }
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "no path of this machine");
}
