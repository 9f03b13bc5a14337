//! Settings for the first boot, put on an image after it was built; and what `verify` notices.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use lucid_layout::provisioning::{AREA_BYTES, consumed, padded, template};
use lucid_layout::{Partition, Profile};

use crate::fixture::{Inputs, copy, difference, fail, lucid_image, succeed};

const SETTINGS: &str = "version = 1\nhostname = \"cellar\"\n[claim]\ncode = \"K7QM-3XWT-9HBD-E2RS\"\n";

fn write_at(image: &Path, at: u64, bytes: &[u8]) {
    let mut disk = OpenOptions::new().write(true).open(image).unwrap();
    disk.seek(SeekFrom::Start(at)).unwrap();
    disk.write_all(bytes).unwrap();
}

fn read_at(image: &Path, at: u64, length: usize) -> Vec<u8> {
    let mut disk = File::open(image).unwrap();
    disk.seek(SeekFrom::Start(at)).unwrap();
    let mut bytes = vec![0; length];
    disk.read_exact(&mut bytes).unwrap();
    bytes
}

/// The first partition's bytes, and where in it the image's settings begin.
fn autoboot(image: &Path) -> (Vec<u8>, usize) {
    let length = usize::try_from(Profile::TEST.bytes(Partition::Autoboot).unwrap()).unwrap();
    let part = read_at(image, Profile::TEST.start_bytes(Partition::Autoboot), length);
    let area = template();
    let at = (0..length - AREA_BYTES).step_by(512).find(|at| part[*at..at + AREA_BYTES] == area).unwrap();
    (part, at)
}

fn provision(image: &Path, inputs: &Inputs, settings: &[u8]) -> std::process::Output {
    inputs.write("lucid.toml", 0o600, settings);
    lucid_image().arg("provision").args([image, &inputs.path("lucid.toml")]).output().unwrap()
}

#[test]
fn settings_are_written_in_place_once_and_can_be_corrected_until_the_first_boot() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let (_, at) = autoboot(&image);
    let area = Profile::TEST.start_bytes(Partition::Autoboot) + at as u64;
    let wanted = copy(&image);
    write_at(&wanted, area, &padded(SETTINGS.as_bytes()).unwrap());
    succeed(provision(&image, &inputs, SETTINGS.as_bytes()));
    assert_eq!(difference(&image, &wanted), None, "nothing but the file's bytes changes");
    let shown = succeed(lucid_image().arg("inspect").arg(&image).output().unwrap());
    assert!(shown.contains("holds settings") && !shown.contains("K7QM"), "{shown}");
    // Corrected, and shorter than before.
    succeed(provision(&image, &inputs, b"version = 1\n"));
    assert!(succeed(lucid_image().arg("inspect").arg(&image).output().unwrap()).contains("untouched"));
    // Booted.
    write_at(&image, area, &consumed(AREA_BYTES));
    assert!(fail(provision(&image, &inputs, SETTINGS.as_bytes())).contains("flash it anew"));
    assert!(succeed(lucid_image().arg("inspect").arg(&image).output().unwrap()).contains("consumed"));
}

#[test]
fn settings_given_to_the_build_are_those_given_later() {
    let inputs = Inputs::new();
    let later = inputs.build();
    succeed(provision(&later, &inputs, SETTINGS.as_bytes()));
    let later = copy(&later);
    let settings = inputs.path("lucid.toml");
    succeed(inputs.build_with(["--provision", settings.to_str().unwrap()]));
    assert_eq!(difference(&inputs.path("out/lucid-pi5-1.2.3.img"), &later), None);
}

#[test]
fn what_is_not_valid_or_no_image_is_left_alone() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let before = copy(&image);
    let long = format!("version = 1\n{}", "#\n".repeat(AREA_BYTES));
    for (settings, wanted) in
        [("version = 1\nhostname = \"-\"\n", "`hostname`"), ("", "version"), (&long, "bytes"), ("\u{1}", "line 1")]
    {
        assert!(fail(provision(&image, &inputs, settings.as_bytes())).contains(wanted), "{wanted}");
    }
    assert_eq!(difference(&image, &before), None);
    let empty = inputs.path("empty");
    fs::write(&empty, vec![0; 1 << 20]).unwrap();
    assert!(fail(provision(&empty, &inputs, SETTINGS.as_bytes())).contains("partition table"));
    assert!(fs::read(&empty).unwrap() == vec![0; 1 << 20]);
    assert!(fail(provision(&inputs.path("none"), &inputs, SETTINGS.as_bytes())).contains("none"));
}

#[test]
fn a_file_that_a_pc_has_replaced_is_not_overwritten() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let place = format!("{}@@{}", image.display(), Profile::TEST.start_bytes(Partition::Autoboot));
    inputs.write("lucid.toml", 0o600, SETTINGS.as_bytes());
    let mut mcopy = Command::new("mcopy");
    mcopy.args(["-o", "-i", &place]).arg(inputs.path("lucid.toml")).arg("::lucid.toml");
    succeed(mcopy.output().unwrap());
    let before = copy(&image);
    assert!(fail(provision(&image, &inputs, b"version = 1\n")).contains("not the file that the image came with"));
    assert_eq!(difference(&image, &before), None);
    assert!(succeed(lucid_image().arg("inspect").arg(&image).output().unwrap()).contains("holds settings"));
}

/// An authority as OpenSSL makes it.
fn authority(folder: &Path, name: &str, extra: &[&str]) -> (PathBuf, PathBuf) {
    let (key, pem) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]);
    openssl.args(["-subj", "/O=Lucid"]).args(extra).arg("-keyout").arg(&key).arg("-out").arg(&pem);
    succeed(openssl.output().unwrap());
    (key, pem)
}

#[test]
fn the_fingerprint_is_that_of_the_certificate_which_must_fit_its_key() {
    let inputs = Inputs::new();
    let folder = tempfile::tempdir().unwrap();
    let settings = |pem: &Path, key: &Path| {
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        let file = inputs.path("lucid.toml");
        let both = format!("ca_certificate = '''\n{}'''\nca_key = '''\n{}'''\n", text(pem), text(key));
        fs::write(&file, format!("version = 1\n[tls]\n{both}")).unwrap();
        lucid_image().arg("fingerprint").arg(&file).output().unwrap()
    };
    let (key, pem) = authority(folder.path(), "one", &[]);
    let shown = succeed(settings(&pem, &key));
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&pem);
    assert_eq!(Some(shown.trim()), succeed(openssl.output().unwrap()).trim().split_once('=').map(|(_, hex)| hex));
    let (other_key, _) = authority(folder.path(), "other", &[]);
    assert!(fail(settings(&pem, &other_key)).contains("not the certificate's"));
    let (leaf_key, leaf) = authority(folder.path(), "leaf", &["-addext", "basicConstraints=critical,CA:FALSE"]);
    assert!(fail(settings(&leaf, &leaf_key)).contains("not an authority's"));
    inputs.write("lucid.toml", 0o600, SETTINGS.as_bytes());
    let none = lucid_image().arg("fingerprint").arg(inputs.path("lucid.toml")).output().unwrap();
    assert_eq!(succeed(none), "no certificate authority\n");
}

#[test]
fn a_changed_byte_of_either_root_is_noticed() {
    let inputs = Inputs::new();
    let image = inputs.build();
    let verify = || lucid_image().arg("verify").arg(&image).output().unwrap();
    succeed(verify());
    for (partition, slot) in [(Partition::RootA, "slot a"), (Partition::RootB, "slot b")] {
        let at = Profile::TEST.start_bytes(partition) + 300_000;
        let was = read_at(&image, at, 1)[0];
        write_at(&image, at, &[was ^ 1]);
        let said = fail(verify());
        assert!(said.contains(slot) && said.contains("root hash"), "{said}");
        write_at(&image, at, &[was]);
    }
    succeed(verify());
    // Of the table, of autoboot.txt and of a command line, too.
    let (part, _) = autoboot(&image);
    let text = (0..part.len()).step_by(512).find(|at| part[*at..].starts_with(b"[all]\ntryboot_a_b")).unwrap();
    write_at(&image, Profile::TEST.start_bytes(Partition::Autoboot) + text as u64, b"[ALL]");
    assert!(fail(verify()).contains("autoboot.txt"));
    write_at(&image, 1024, &[0; 128]);
    assert!(!verify().status.success());
}
